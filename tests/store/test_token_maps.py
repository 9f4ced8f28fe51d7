"""Token maps: any shapes come back bit for bit, damage is noticed, nothing half is ever left."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from egorag.errors import StoreError
from egorag.spans import Span
from egorag.store import token_maps
from egorag.store.files import remove_leftovers
from egorag.store.token_maps import TokenMap, TokenMaps, TokenWriter

# Every bit pattern: NaN with any payload, infinities, subnormals, minus zero.
bits = st.integers(0, 2**16 - 1)
shapes = st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(1, 4), st.integers(1, 6))
maps = shapes.flatmap(lambda s: hnp.arrays(np.uint16, s, elements=bits)).map(
    lambda a: a.view(np.float16)
)


def write(path: Path, given: list[TokenMap], **meta: str) -> list[Span]:
    writer = TokenWriter(path.parent / "tmp", meta)
    spans = [Span(i * 10, i * 10 + 10) for i in range(len(given))]
    for span, tokens in zip(spans, given, strict=True):
        writer.add(span, tokens)
    writer.keep(path)
    return spans


def files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


@settings(max_examples=80, deadline=None)
@given(st.lists(maps, max_size=5), st.integers(1, 200))
def test_maps_of_any_shapes_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, given: list[TokenMap], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("maps") / "a.tokens"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_maps, "CHUNK", chunk)  # one map is many chunks
        spans = write(path, given, encoder="e")
    with TokenMaps(path) as kept:
        assert kept.spans == tuple(spans) and kept.meta == {"encoder": "e"}
        assert kept.shapes == tuple(tokens.shape for tokens in given)
        assert len(kept) == len(given)
        for number in reversed(range(len(given))):
            again = kept[number]
            assert (again.dtype, again.shape) == (np.float16, given[number].shape)
            assert again.tobytes() == given[number].tobytes()
        assert [m.tobytes() for m in kept] == [m.tobytes() for m in given]
    assert files(path.parent) == [path]


def test_a_view_that_is_not_contiguous_is_kept_as_it_reads(tmp_path: Path) -> None:
    whole = np.arange(4 * 3 * 2 * 6, dtype=np.float16).reshape(4, 3, 2, 6)
    view = whole.transpose(1, 0, 3, 2)[:, ::2]
    write(tmp_path / "a.tokens", [view])
    with TokenMaps(tmp_path / "a.tokens") as kept:
        assert np.array_equal(kept[0], view)
        assert [m.shape for m in kept[:]] == [view.shape]
        with pytest.raises(IndexError):
            kept[1]


def test_the_same_maps_give_the_same_bytes(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).normal(size=(3, 4, 4, 8)).astype(np.float16)
    for name in "ab":
        write(tmp_path / name, [tokens, tokens[:1]])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_features_take_less_room_than_they_are_and_from_bfloat16_much_less(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).normal(size=(4, 16, 16, 256)).astype(np.float16)
    rounded = (tokens.view(np.uint16) & 0xFFF8).view(np.float16)  # 7 bits of mantissa
    sizes = []
    for given_map in (tokens, rounded):
        write(tmp_path / "a", [given_map])
        sizes.append((tmp_path / "a").stat().st_size / given_map.nbytes)
    assert sizes[0] < 0.88 and sizes[1] < 0.7


def test_only_the_scene_that_is_asked_for_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", [np.zeros((2, 2, 2, 4), np.float16)] * 5)
    unpacked = []
    unpack = token_maps._unpack
    monkeypatch.setattr(
        token_maps, "_unpack", lambda packed, into: (unpacked.append(1), unpack(packed, into))
    )
    with TokenMaps(tmp_path / "a") as kept:
        assert len(kept.shapes) == 5 and not unpacked
        _ = kept[3]
    assert len(unpacked) == 1


# -- damage --


def test_no_changed_byte_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    given = [np.full((2, 2, 1, 2), i, np.float16) for i in range(3)]
    write(path, given)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        told = pytest.raises(StoreError, match=r"a\.tokens.*damaged.*egorag\.index")
        with told, TokenMaps(path) as kept:
            list(kept)


def test_no_lost_end_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    write(path, [np.ones((2, 2, 1, 2), np.float16)])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="damaged"):
            TokenMaps(path)
    path.write_bytes(whole + b"\n")
    with pytest.raises(StoreError, match="damaged"):
        TokenMaps(path)


def test_damage_to_one_scene_leaves_the_others_readable(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    given = [np.full((2, 2, 1, 2), i, np.float16) for i in range(3)]
    write(path, given)
    whole = bytearray(path.read_bytes())
    whole[len(token_maps._MAGIC) + 5] ^= 1  # within the first scene
    path.write_bytes(whole)
    with TokenMaps(path) as kept:
        assert np.array_equal(kept[2], given[2])
        with pytest.raises(StoreError, match="has changed"):
            kept[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no token maps.*nowhere"):
        TokenMaps(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (np.zeros((1, 1, 1, 1), np.float32), "float32"),
        (np.zeros((2, 3), np.float16), r"\[2, 3\]"),
    ],
)
def test_what_is_no_token_map_is_refused(tmp_path: Path, tokens: Any, told: str) -> None:
    writer = TokenWriter(tmp_path, {})
    with pytest.raises(ValueError, match=told):
        writer.add(Span(0, 1), tokens)
    writer.discard()


def test_scenes_out_of_order_are_refused(tmp_path: Path) -> None:
    writer = TokenWriter(tmp_path, {})
    tokens = np.zeros((1, 1, 1, 1), np.float16)
    writer.add(Span(5, 9), tokens)
    with pytest.raises(ValueError, match="not after"):
        writer.add(Span(8, 12), tokens)
    writer.discard()


# -- whole or not at all --


def test_what_is_discarded_leaves_nothing_and_what_is_kept_stays(tmp_path: Path) -> None:
    writer = TokenWriter(tmp_path / "tmp", {})
    writer.add(Span(0, 1), np.zeros((1, 1, 1, 1), np.float16))
    writer.discard()
    writer.discard()
    assert files(tmp_path) == []
    writer = TokenWriter(tmp_path / "tmp", {})
    writer.keep(tmp_path / "a")
    writer.discard()
    with TokenMaps(tmp_path / "a") as kept:
        assert list(kept) == []


def test_a_killed_writer_leaves_nothing_half(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from egorag.spans import Span\n"
        "from egorag.store.token_maps import TokenWriter\n"
        "w = TokenWriter(Path(sys.argv[1]) / 'tmp', {})\n"
        "m = np.random.default_rng(0).normal(size=(8, 16, 16, 64)).astype(np.float16)\n"
        "i = 0\n"
        "while True:\n"
        "    w.add(Span(i, i + 1), m); i += 1\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as writing:
        while not any(p.stat().st_size > 10**6 for p in files(tmp_path)):
            assert writing.poll() is None
            time.sleep(0.02)
        writing.send_signal(signal.SIGKILL)
    assert [p.parent.name for p in files(tmp_path)] == ["tmp"]
    remove_leftovers(tmp_path / "tmp")  # as the next writer does
    assert files(tmp_path) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        writer = TokenWriter(tmp_path / "tmp", {})
        with pytest.raises(StoreError, match="cannot write"):
            for i in range(100):
                tokens = np.random.default_rng(i).normal(size=(2, 8, 8, 16)).astype(np.float16)
                writer.add(Span(i, i + 1), tokens)
            writer.keep(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    writer.discard()
    assert files(tmp_path) == []


def test_no_space_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = TokenWriter(tmp_path / "tmp", {})
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        writer.keep(tmp_path / "a")
    writer.discard()
    assert files(tmp_path) == []


@pytest.mark.slow
def test_memory_stays_that_of_one_scene(tmp_path: Path) -> None:
    """300 MB of maps through a process that may grow by far less."""
    code = (
        "import resource, sys, numpy as np; from pathlib import Path\n"
        "from egorag.spans import Span\n"
        "from egorag.store.token_maps import TokenWriter, TokenMaps\n"
        "path = Path(sys.argv[1])\n"
        "m = np.random.default_rng(0).normal(size=(30, 16, 16, 1024)).astype(np.float16)\n"
        "w = TokenWriter(path / 'tmp', {}); w.add(Span(0, 1), m)\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "start = most()\n"
        "for i in range(1, 20): w.add(Span(i, i + 1), m)\n"
        "w.keep(path / 'a')\n"
        "with TokenMaps(path / 'a') as kept: assert kept[11].tobytes() == m.tobytes()\n"
        "print(most() - start)\n"
    )
    grown = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert int(grown.stdout) < 80_000  # KiB; a map is 15,360
