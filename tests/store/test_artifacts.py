"""Artifacts: whole or absent, the same bytes every time, damage noticed, full disks survived."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from egorag.errors import StoreError
from egorag.spans import Span
from egorag.store.artifacts import Artifacts
from egorag.store.files import write_whole

KEY = Artifacts.key(video="v", encoder="e")
SPANS = [Span(0, 5), Span(5, 9)]
VECTORS = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
matrices = hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 4)), elements=finite)


@settings(max_examples=50, deadline=None)
@given(matrices, st.data())
def test_vectors_come_back_bit_for_bit(tmp_path_factory, vectors, data) -> None:
    starts = data.draw(
        st.lists(st.integers(0, 2**52), min_size=len(vectors), max_size=len(vectors))
    )
    spans = [Span(start, start + 7) for start in starts]
    artifacts = Artifacts(tmp_path_factory.mktemp("a"))
    stored = artifacts.write_vectors(KEY, vectors, spans, {"a": "1", "b": "2"})
    again, spans_again = artifacts.read_vectors(KEY, stored.sha256)
    assert again.tobytes() == vectors.tobytes() and again.shape == vectors.shape
    assert spans_again == spans
    assert artifacts.stored(KEY) == stored


def test_bytes_do_not_depend_on_the_process(artifacts: Artifacts) -> None:
    # safetensors writes several metadata entries in random order, so this needs several processes.
    code = (
        "import sys, numpy as np; from pathlib import Path; from egorag.spans import Span\n"
        "from egorag.store.artifacts import Artifacts\n"
        "a = Artifacts(Path(sys.argv[1])); k = a.key(x=1)\n"
        "m = {c: c for c in 'abcdefgh'}\n"
        "print(a.write_vectors(k, np.ones((1, 2), np.float32), [Span(0, 1)], m).sha256)"
    )
    run = [sys.executable, "-c", code, str(artifacts.root)]
    hashes = {subprocess.run(run, check=True, capture_output=True).stdout for _ in range(3)}
    assert len(hashes) == 1


def test_json_has_one_spelling(artifacts: Artifacts) -> None:
    one = artifacts.write_json(Artifacts.key(n=1), {"b": [1, "é\ud800"], "a": None})
    two = artifacts.write_json(Artifacts.key(n=2), {"a": None, "b": [1, "é\ud800"]})
    assert one.sha256 == two.sha256
    assert artifacts.read_json(one.key) == {"a": None, "b": [1, "é\ud800"]}


def test_keys_depend_on_every_part() -> None:
    assert Artifacts.key(a=1, b=2) == Artifacts.key(b=2, a=1)
    assert len({Artifacts.key(a=1), Artifacts.key(a="1"), Artifacts.key(b=1)}) == 3


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "g" * 64, "a" * 63])
def test_only_keys_name_files(artifacts: Artifacts, key: str) -> None:
    with pytest.raises(StoreError, match="no artifact key"):
        artifacts.read_json(key)


def test_missing_names_key_and_remedy(artifacts: Artifacts) -> None:
    assert not artifacts.has(KEY)
    for read in (artifacts.read_vectors, artifacts.read_json, artifacts.stored):
        with pytest.raises(StoreError, match=rf"{KEY[:12]}.*missing.*egorag.index"):
            read(KEY)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage"])
def test_damage_is_noticed(artifacts: Artifacts, damage: str) -> None:
    stored = artifacts.write_vectors(KEY, VECTORS, SPANS, {})
    path = next(artifacts.root.rglob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    kinds = {"truncate": data[:-3], "flip": data, "empty": b"", "garbage": b"\xff" * 100}
    path.write_bytes(kinds[damage])
    with pytest.raises(StoreError, match=r"damaged.*delete it"):
        artifacts.verify(KEY, stored.sha256)
    with pytest.raises(StoreError, match=r"damaged.*delete it"):
        artifacts.read_vectors(KEY, stored.sha256)
    if damage != "flip":  # only the hash can tell a flipped bit
        with pytest.raises(StoreError, match=r"damaged.*delete it"):
            artifacts.read_vectors(KEY)
    artifacts.discard(KEY)
    assert not artifacts.has(KEY)


def test_damaged_json_is_noticed(artifacts: Artifacts) -> None:
    artifacts.write_json(KEY, [1, 2])
    next(artifacts.root.rglob("*.json")).write_bytes(b"[1, ")
    with pytest.raises(StoreError, match="damaged"):
        artifacts.read_json(KEY)


def test_wrong_vectors_are_refused(artifacts: Artifacts) -> None:
    with pytest.raises(ValueError, match="2 spans"):
        artifacts.write_vectors(KEY, VECTORS[:1], SPANS, {})
    with pytest.raises(ValueError, match="float64"):
        artifacts.write_vectors(KEY, VECTORS.astype(np.float64), SPANS, {})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NaN"):
        artifacts.write_vectors(KEY, VECTORS * np.float32(np.nan), SPANS, {})
    assert files(artifacts.root) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_changes_nothing(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch, number: int, words: str, call: str
) -> None:
    artifacts.write_json(KEY, "before")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError, match=words):
        artifacts.write_json(KEY, "after")
    monkeypatch.undo()
    assert artifacts.read_json(KEY) == "before"
    assert files(artifacts.root) == [f"{KEY}.json"]


def test_a_really_full_disk(small_disk) -> None:
    artifacts = Artifacts(small_disk("64k") / "artifacts")
    artifacts.write_json(KEY, "before")
    with pytest.raises(StoreError, match="disk is full"):
        artifacts.write_json(KEY, "x" * 200_000)
    assert artifacts.read_json(KEY) == "before"
    assert files(artifacts.root) == [f"{KEY}.json"]


def test_a_really_read_only_disk(small_disk) -> None:
    artifacts = Artifacts(small_disk("1m") / "artifacts")
    artifacts.write_json(KEY, "before")
    small_disk("remount,ro")
    with pytest.raises(StoreError, match="read-only"):
        artifacts.write_json(Artifacts.key(n=2), "after")
    assert artifacts.read_json(KEY) == "before"


def test_clean_removes_what_killed_runs_left(artifacts: Artifacts) -> None:
    artifacts.write_json(KEY, "kept")
    left = artifacts.root / "tmp" / ".abc.json.123.tmp"
    left.write_bytes(b"half")
    artifacts.clean(older_than=3600)
    assert left.exists()
    artifacts.clean()
    assert files(artifacts.root) == [f"{KEY}.json"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_whole(tmp_path / "file" / "x", b"")
