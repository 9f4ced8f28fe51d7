"""Token maps in a run: kept a scene at a time, made later for themselves alone, refused or told."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import GB, FakeFrames, checkpoint
from snapshot import artifact_hashes, catalog_rows

from egorag.errors import ConfigError, StoreError
from egorag.media.inputs import discover
from egorag.pipeline.batch import Summary, index_all
from egorag.pipeline.progress import Silent
from egorag.pipeline.recipe import Recipe
from egorag.segment.fixed import Fixed
from egorag.spans import Span
from egorag.store import token_maps
from egorag.store.folder import IndexFolder
from egorag.store.tokens import scene_tokens, tokens

CALLS: list[tuple[str, Span]] = []


@dataclass(frozen=True, kw_only=True)
class Mapper(FakeFrames):
    """A map of one step a frame: 2 x 2 places of its mean colour. May fail on its Nth scene."""

    keep_tokens: bool = False
    fail_at: int = 0
    room: int = 8

    def fingerprint(self) -> str:
        return replace(self, keep_tokens=False, fail_at=0, room=8)._own_fingerprint()

    def _own_fingerprint(self) -> str:
        return super().fingerprint()

    def encode(self, batch: Sequence[Any]) -> Any:
        CALLS.extend(("encode", clip.span) for clip in batch)
        return super().encode(batch)

    def encode_with_tokens(self, clip: Any) -> tuple[Any, Any]:
        CALLS.append(("map", clip.span))
        if len(CALLS) == self.fail_at:
            raise RuntimeError("out of luck")
        colours = np.array([f.image.mean((0, 1)) for f in clip.frames])
        steps = np.broadcast_to(colours[:, None, None], (len(colours), 2, 2, 3))
        return super().encode([clip])[0], steps.astype(np.float16)

    def token_bytes(self, spans: Sequence[Span]) -> int:
        return sum(-(-s.duration // 500_000) for s in spans) * self.room


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def fresh() -> None:
    CALLS.clear()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from egorag.sample import make

    folder = tmp_path_factory.mktemp("videos")
    for seed, name in enumerate("ab"):
        make(folder / f"{name}.mp4", seconds=4, seed=seed, size=(160, 90))
        (folder / f"{name}.truth.json").unlink()
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return checkpoint(tmp_path / "weights")


def run(
    videos: Path, index: Path, encoder: Mapper, watch: Silent | None = None, seconds: float = 1.5
) -> Summary:
    recipe = Recipe(Fixed(seconds=seconds), {"maps": encoder}, {"maps": {}}, 60.0, "cpu", 9 * GB)
    with IndexFolder.create(index, "") as folder:
        return index_all(discover(videos), recipe, folder, watch or Silent())


def maps_of(index: Path) -> list[dict[int, Any]]:
    """Of every video, by path."""
    found = []
    with IndexFolder.open(index, read_only=True) as folder:
        for video in folder.catalog.videos():
            with scene_tokens(folder, video.id, "maps") as maps:
                assert {n: m.shape for n, m in maps.items()} == maps.shapes
                found.append(dict(maps))
            for number, whole in found[-1].items():
                assert np.array_equal(tokens(folder, video.id, "maps", number), whole)
    return found


def files(index: Path, suffix: str) -> dict[str, str]:
    return {name: h for name, h in artifact_hashes(index).items() if name.endswith(suffix)}


def test_the_map_of_every_scene_is_kept_beside_the_same_vectors(
    videos: Path, tmp_path: Path, weights: str
) -> None:
    run(videos, tmp_path / "without", Mapper(checkpoint=weights))
    CALLS.clear()
    run(videos, tmp_path / "with", Mapper(checkpoint=weights, keep_tokens=True))
    assert [what for what, _ in CALLS] == ["map"] * 6, "one run of the model a scene"
    for found in maps_of(tmp_path / "with"):
        assert {n: m.shape for n, m in found.items()} == {
            0: (3, 2, 2, 3),
            1: (3, 2, 2, 3),
            2: (2, 2, 2, 3),
        }
        assert all(m.dtype == np.float16 and m.any() for m in found.values())
    one, other = (files(tmp_path / name, ".safetensors") for name in ("without", "with"))
    assert one == other
    assert catalog_rows(tmp_path / "without") == catalog_rows(tmp_path / "with")
    assert len(files(tmp_path / "with", ".tokens")) == 2
    assert not files(tmp_path / "without", ".tokens")
    assert not files(tmp_path / "with", ".tmp")


def test_turned_on_later_only_the_maps_are_made_and_vectors_stay_the_same_files(
    videos: Path, tmp_path: Path, weights: str
) -> None:
    index = tmp_path / "index"
    run(videos, index, Mapper(checkpoint=weights))
    vectors = {p: p.stat() for p in index.rglob("*.safetensors")}
    CALLS.clear()
    summary = run(videos, index, Mapper(checkpoint=weights, keep_tokens=True))
    assert [what for what, _ in CALLS] == ["map"] * 6
    assert not summary.failed
    for path, state in vectors.items():
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns) == (state.st_ino, state.st_mtime_ns)
    run(videos, tmp_path / "at once", Mapper(checkpoint=weights, keep_tokens=True))
    assert artifact_hashes(index) == artifact_hashes(tmp_path / "at once")
    CALLS.clear()
    for keep in (True, False):  # all is there; turned off, it is left alone
        run(videos, index, Mapper(checkpoint=weights, keep_tokens=keep))
        assert CALLS == [] and len(maps_of(index)) == 2


def test_a_damaged_file_is_made_anew_and_only_it(
    videos: Path, tmp_path: Path, weights: str
) -> None:
    index, encoder = tmp_path / "index", Mapper(checkpoint=weights, keep_tokens=True)
    run(videos, index, encoder)
    whole = artifact_hashes(index)
    first, _ = sorted(index.rglob("*.tokens"))
    first.write_bytes(first.read_bytes()[:-1])
    CALLS.clear()
    run(videos, index, encoder)
    assert len(CALLS) == 3 and artifact_hashes(index) == whole


def test_scenes_cut_anew_have_their_own_maps(videos: Path, tmp_path: Path, weights: str) -> None:
    index, encoder = tmp_path / "index", Mapper(checkpoint=weights, keep_tokens=True)
    run(videos, index, encoder)
    run(videos, index, encoder, seconds=5.0)
    assert [set(found) for found in maps_of(index)] == [{0}, {0}]
    assert len(files(index, ".tokens")) == 4


def test_an_encoder_that_fails_on_the_way_leaves_no_half_of_a_file(
    videos: Path, tmp_path: Path, weights: str
) -> None:
    index = tmp_path / "index"
    summary = run(videos, index, Mapper(checkpoint=weights, keep_tokens=True, fail_at=2))
    assert [o.failed for o in summary.outcomes] == [True, False]
    assert len(files(index, ".tokens")) == 1 and not files(index, ".tmp")
    CALLS.clear()
    run(videos, index, Mapper(checkpoint=weights, keep_tokens=True))
    assert len(CALLS) == 3 and len(maps_of(index)) == 2


def test_vectors_that_are_there_survive_a_failure_of_their_maps(
    videos: Path, tmp_path: Path, weights: str
) -> None:
    index = tmp_path / "index"
    run(videos, index, Mapper(checkpoint=weights))
    vectors = files(index, ".safetensors")
    CALLS.clear()
    summary = run(videos, index, Mapper(checkpoint=weights, keep_tokens=True, fail_at=1))
    first, second = (o.record for o in summary.outcomes)
    assert first is not None and second is not None
    assert first.problems == (
        "maps failed, its token maps are not kept: RuntimeError: out of luck",
    )
    assert [e.rows for e in first.encodings] == [3] and not second.problems
    assert files(index, ".safetensors") == vectors and len(files(index, ".tokens")) == 1


def test_a_disk_that_fills_ends_the_run_and_keeps_what_was_whole(
    videos: Path, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, encoder = tmp_path / "index", Mapper(checkpoint=weights, keep_tokens=True)
    pack = token_maps._pack
    calls: list[int] = []

    def full(part: Any) -> bytes:
        calls.append(1)
        if len(calls) == 5:
            raise StoreError("cannot write: the disk is full")
        return pack(part)

    with monkeypatch.context() as patch:
        patch.setattr(token_maps, "_pack", full)
        with pytest.raises(StoreError, match=r"disk is full.*1 videos of this run are kept"):
            run(videos, index, encoder)
    assert len(files(index, ".tokens")) == 1 and not files(index, ".tmp")
    assert len(maps_of(index)) == 1
    run(videos, index, encoder)
    assert len(maps_of(index)) == 2


@pytest.mark.parametrize("stage", ["pass", "cut", "keep"])
def test_a_run_that_is_broken_off_leaves_no_half_of_a_file(
    videos: Path, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    index, encoder = tmp_path / "index", Mapper(checkpoint=weights, keep_tokens=True)

    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    class Stopping(Silent):
        def reached(self, time_us: int) -> None:
            if stage == "pass" and time_us > 3_000_000:
                stop()

    with monkeypatch.context() as patch:
        if stage != "pass":
            name = "keep_scenes" if stage == "cut" else "keep_results"
            patch.setattr(f"egorag.pipeline.video.{name}", stop)
        with pytest.raises(KeyboardInterrupt):
            run(videos, index, encoder, Stopping())
    assert not files(index, ".tokens") and not files(index, ".tmp")


# -- room --


def test_the_room_is_told_before_the_run_for_what_is_still_to_be_made(
    videos: Path, tmp_path: Path, weights: str
) -> None:
    index, encoder = tmp_path / "index", Mapper(checkpoint=weights, keep_tokens=True, room=10**6)
    watch = Notes()
    run(videos, index, encoder, watch)
    (told,) = watch.notes  # 8 frames a video by the headers' lengths
    assert "about: maps 0.016 GB for 2 videos; free: " in told
    next(iter(index.rglob("*.tokens"))).unlink()
    watch = Notes()
    run(videos, index, encoder, watch)
    assert "maps 0.009 GB for 1 video;" in watch.notes[0]  # scene by scene now
    watch = Notes()
    run(videos, index, encoder, watch)
    run(videos, index, Mapper(checkpoint=weights), watch)
    assert watch.notes == []


def test_where_the_disk_has_no_room_nothing_is_indexed(
    videos: Path, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, encoder = tmp_path / "index", Mapper(checkpoint=weights, keep_tokens=True, room=10**9)
    small = shutil.disk_usage(tmp_path)._replace(free=12 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: small)
    with pytest.raises(StoreError, match=r"16\.0 GB for 2 videos.*free: 12\.0 GB.*keep_tokens off"):
        run(videos, index, encoder)
    assert CALLS == [] and artifact_hashes(index) == {}
    with IndexFolder.open(index, read_only=True) as folder:
        assert folder.catalog.videos() == []


# -- reading --


def test_what_has_no_maps_is_told_with_the_remedy(
    videos: Path, tmp_path: Path, weights: str
) -> None:
    index = tmp_path / "index"
    run(videos, index, Mapper(checkpoint=weights))
    with IndexFolder.open(index, read_only=True) as folder:
        video = folder.catalog.videos()[0].id
        with pytest.raises(ConfigError, match=r"encoders\.maps\.keep_tokens=true"):
            scene_tokens(folder, video, "maps")
        with pytest.raises(ConfigError, match="did you mean 'maps'"):
            scene_tokens(folder, video, "map")
        with pytest.raises(StoreError, match="no video"):
            scene_tokens(folder, "0" * 64, "maps")
    run(videos, index, Mapper(checkpoint=weights, keep_tokens=True))
    with (
        IndexFolder.open(index, read_only=True) as folder,
        pytest.raises(ConfigError, match=r"scene 3 has no token map; those with one: 0-2"),
    ):
        tokens(folder, video, "maps", 3)
