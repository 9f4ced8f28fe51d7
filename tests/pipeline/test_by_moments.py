"""Scenes cut by moments: decoded once for those, cut, decoded again; stopped anywhere, the same."""

from __future__ import annotations

import shutil
import wave
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from fakes import GB, FakeFrames, FakeSpeech, checkpoint
from snapshot import artifact_hashes, catalog_rows

from egorag.api import open_index
from egorag.encode.base import Moments
from egorag.encode.picture import Picture
from egorag.encode.picture_frames import PictureFrames
from egorag.errors import ConfigError
from egorag.media.inputs import discover
from egorag.media.sampling import Frame
from egorag.pipeline import video as video_module
from egorag.pipeline.batch import Summary, index_all
from egorag.pipeline.onepass import run_pass
from egorag.pipeline.planner import plan_passes
from egorag.pipeline.progress import Silent
from egorag.pipeline.recipe import Recipe
from egorag.segment.by_tree import Ward
from egorag.segment.shots import Shots
from egorag.spans import Span, check_tiling, to_us
from egorag.store.folder import IndexFolder
from egorag.store.moments import moments

SHOT = {"min_seconds": 0.5, "max_seconds": 4.0}


@dataclass(frozen=True)
class Heavy(PictureFrames):
    """Moments that need memory, and break as told."""

    size: int = field(default=0, metadata={"affects_output": False})
    fault: str = field(default="", metadata={"affects_output": False})
    runs: ClassVar[list[str]] = []

    def memory(self) -> int:
        return self.size

    def encode(self, data: Iterable[Frame]) -> Iterator[Moments]:
        self.runs.append("encode")
        if self.fault == "raises":
            raise RuntimeError("out of luck")
        if self.fault == "nothing":
            return
        for block in super().encode(data):
            if self.fault == "runs over":
                spans = (
                    *block.spans[:-1],
                    Span(block.spans[-1].start, 10**12),
                    Span(10**12, 10**13),
                )
                block = Moments(spans, np.concatenate([block.vectors, block.vectors[:1]]))
            yield block


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from egorag.sample import make

    folder = tmp_path_factory.mktemp("clips")
    for seed in (1, 2):
        make(folder / f"v{seed}.mp4", seconds=10, seed=seed, size=(160, 90), scenes=4)
    return folder


@pytest.fixture(autouse=True)
def fresh() -> None:
    Heavy.runs.clear()


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def counting(path: Path, *rest: Any) -> Any:
        counts[path.name] += 1
        return run_pass(path, *rest)

    monkeypatch.setattr(video_module, "run_pass", counting)
    return counts


def run(
    videos: Path,
    index: Path,
    encoders: dict[str, Any],
    segmenter: Any = None,
    watch: Silent | None = None,
    seconds: float = 5.0,
    memory: int | None = None,
) -> Summary:
    settings = {name: {"_target_": name} for name in encoders}
    cut = segmenter or Ward("frames", **SHOT)
    recipe = Recipe(cut, encoders, settings, seconds, "cpu", memory)
    with IndexFolder.create(index, "") as folder:
        return index_all(discover(videos), recipe, folder, watch or Silent())


def state(index: Path) -> tuple[Any, Any]:
    return catalog_rows(index), artifact_hashes(index)


def test_decoded_for_moments_then_for_scenes(
    clips: Path, tmp_path: Path, decodes: Counter[str]
) -> None:
    both = {"frames": Heavy(), "picture": Picture()}
    run(clips, tmp_path / "i", both)
    assert decodes == {"v1.mp4": 2, "v2.mp4": 2}
    decodes.clear()
    run(clips, tmp_path / "i", both)
    assert not decodes
    run(clips, tmp_path / "i", both, Ward("frames", count=2, max_seconds=None))
    assert decodes == {"v1.mp4": 1, "v2.mp4": 1}, "scene vectors alone are made anew"
    assert len(Heavy.runs) == 2
    decodes.clear()
    run(clips, tmp_path / "i", both)
    assert not decodes, "and the ones before are still there"
    run(clips, tmp_path / "i", {"frames": Heavy()}, Ward("frames", count=3))
    assert not decodes


def test_moments_made_while_shots_were_cut_serve(
    clips: Path, tmp_path: Path, decodes: Counter[str]
) -> None:
    encoders = {"frames": Heavy()}
    run(clips / "v1.mp4", tmp_path / "i", encoders, Shots())
    run(clips / "v1.mp4", tmp_path / "i", encoders)
    assert len(Heavy.runs) == 1
    assert decodes == {"v1.mp4": 2}, "the second for its length"
    run(clips / "v1.mp4", tmp_path / "other", encoders)
    assert catalog_rows(tmp_path / "i")["scenes"] == catalog_rows(tmp_path / "other")["scenes"]


def test_levels_tile_and_parents_hold_their_children(clips: Path, tmp_path: Path) -> None:
    run(clips, tmp_path / "i", {"frames": PictureFrames()})
    with open_index(tmp_path / "i") as index:
        for video in index.videos():
            levels = [index.scenes(video.id, name) for name in ("scene", "event", "video")]
            for level in levels:
                check_tiling([scene.span for scene in level], video.span)
            assert len(levels[0]) > len(levels[1]) == 2 > len(levels[2]) == 1
            for below, above in pairwise(levels):
                assert [c for parent in above for c in index.children(parent)] == below
                for parent in above:
                    children = index.children(parent)
                    assert {child.parent for child in children} == {parent.id}
                    check_tiling([child.span for child in children], parent.span)
            assert index.children(levels[0][0]) == []


def test_events_follow_their_length_without_new_scenes(
    clips: Path, tmp_path: Path, decodes: Counter[str]
) -> None:
    encoders = {"frames": PictureFrames(), "picture": Picture()}
    for seconds, count in ((20, 1), (5, 2), (3.4, 3)):
        run(clips / "v1.mp4", tmp_path / "i", encoders, seconds=seconds)
        with open_index(tmp_path / "i") as index:
            assert len(index.scenes(level="event")) == count
    assert decodes == {"v1.mp4": 2}


def test_the_tree_and_the_moments_can_be_had(clips: Path, tmp_path: Path) -> None:
    run(clips / "v1.mp4", tmp_path / "i", {"frames": PictureFrames(), "picture": Picture()})
    with open_index(tmp_path / "i") as index:
        (video,) = index.videos()
        spans, vectors = moments(index.folder, video.id, "frames")
        tree = index.tree("v1.mp4")
        assert tree.encoder == "frames" and tree.spans == tuple(spans)
        assert tree.tree.leaves == len(vectors) == 40
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
        assert tree.span(2 * 40 - 2) == Span(spans[0].start, spans[-1].end)
        cut = Ward("frames", **SHOT).cut(tree, video.duration, PictureFrames.scene_threshold)
        assert [scene.span for scene in index.scenes(level="scene")] == list(cut.scenes)
        with pytest.raises(ConfigError, match="no moments of encoder 'picture'"):
            index.tree("v1.mp4", "picture")
    kept = [
        p for p in (tmp_path / "i" / "artifacts").rglob("*.json") if b"children" in p.read_bytes()
    ]
    assert len(kept) == 1
    kept[0].write_text("{}")
    with open_index(tmp_path / "i") as index:
        again = index.tree("v1.mp4").tree
        assert np.array_equal(again.children, tree.tree.children)
        assert np.array_equal(again.distances, tree.tree.distances)


def test_an_index_without_moments_says_what_gives_them(clips: Path, tmp_path: Path) -> None:
    run(clips / "v1.mp4", tmp_path / "i", {"picture": Picture()}, Shots())
    with open_index(tmp_path / "i") as index, pytest.raises(ConfigError, match=r"\+encoder=pic"):
        index.tree("v1.mp4")


def test_moments_are_not_scene_vectors(clips: Path, tmp_path: Path) -> None:
    run(clips / "v1.mp4", tmp_path / "i", {"frames": PictureFrames(), "picture": Picture()})
    assert {p.name.split(".")[0] for p in (tmp_path / "i" / "vectors").iterdir()} == {"picture"}
    with open_index(tmp_path / "i") as index:
        found = index.embeddings("v1.mp4")
        assert list(found.spaces) == ["picture"] and found.roles["video"] == "picture"
        assert found.whole["video"] is not None


def test_a_file_with_sound_alone_is_cut_into_windows(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(2 * 8000 * 9))
    for _ in range(2):  # the second time from disk
        (outcome,) = run(tmp_path / "a.wav", tmp_path / "i", {"frames": PictureFrames()}).outcomes
        assert outcome.record is not None and not outcome.failed
        scenes = [s.span.duration for s in outcome.record.scenes if s.level == 0]
        assert scenes == [4_000_000, 4_000_000, 1_000_000]
        assert outcome.record.problems == (
            "no moments of frames to cut it by: it became windows of 4 s",
        )


@pytest.mark.parametrize("fault", ["raises", "nothing"])
def test_an_encoder_that_finds_nothing_leaves_windows_until_it_does(
    fault: str, clips: Path, tmp_path: Path
) -> None:
    both = {"frames": Heavy(fault=fault), "picture": Picture()}
    (outcome,) = run(clips / "v1.mp4", tmp_path / "i", both).outcomes
    assert outcome.record is not None
    assert outcome.failed == (fault == "raises")
    assert any("windows of 4 s" in problem for problem in outcome.record.problems)
    if fault == "raises":
        run(clips / "v1.mp4", tmp_path / "i", {**both, "frames": Heavy()})
        run(clips / "v1.mp4", tmp_path / "clean", {**both, "frames": Heavy()})
        assert catalog_rows(tmp_path / "i") == catalog_rows(tmp_path / "clean")


def test_moments_end_with_the_video(clips: Path, tmp_path: Path) -> None:
    encoders = {"frames": Heavy(fault="runs over", batch_size=999)}
    run(clips / "v1.mp4", tmp_path / "i", encoders)
    with open_index(tmp_path / "i") as index:
        (video,) = index.videos()
        spans, vectors = moments(index.folder, video.id, "frames")
        assert spans[-1].end == video.duration and len(spans) == len(vectors) == 40


class StopAt(Silent):
    """Interrupts the run when the n-th stage begins."""

    def __init__(self, n: int) -> None:
        self.left = n

    def stage(self, name: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_stopped_anywhere_and_run_again(clips: Path, tmp_path: Path) -> None:
    encoders = {"frames": PictureFrames(), "picture": Picture()}
    run(clips / "v1.mp4", tmp_path / "whole", encoders)
    stops = 0
    for n in range(100):
        index = tmp_path / f"i{n}"
        try:
            run(clips / "v1.mp4", index, encoders, watch=StopAt(n))
            break
        except KeyboardInterrupt:
            stops += 1
            run(clips / "v1.mp4", index, encoders)
            assert state(index) == state(tmp_path / "whole")
            shutil.rmtree(index)
    assert stops == 4, "reading, decoding, cutting, decoding"


@pytest.mark.parametrize("how", ["cut", "gone"])
def test_damaged_artifacts_are_made_anew(how: str, clips: Path, tmp_path: Path) -> None:
    encoders = {"frames": PictureFrames(), "picture": Picture()}
    run(clips / "v1.mp4", tmp_path / "i", encoders)
    kept = {p: p.read_bytes() for p in (tmp_path / "i" / "artifacts").rglob("*.*") if p.is_file()}
    assert len(kept) == 5  # moments, length, tree, scenes, vectors
    for path, content in kept.items():
        if how == "cut":
            path.write_bytes(content[: len(content) // 2])
        else:
            path.unlink()
    run(clips / "v1.mp4", tmp_path / "i", encoders)
    again = {p: p.read_bytes() for p in kept if p.exists()}
    assert again == kept


def heavy(weights: Path) -> dict[str, Any]:
    def of(name: str, seed: int) -> dict[str, Any]:
        return {"checkpoint": checkpoint(weights / name, seed), "dtype": "float32"}

    return {
        "large": FakeFrames(**of("large", 1), size=3 * GB),
        "hears": FakeSpeech(**of("hears", 2), size=2 * GB),
        "frames": Heavy(size=GB),
    }


def test_many_passes_begin_with_moments_and_leave_what_one_leaves(
    clips: Path, tmp_path: Path
) -> None:
    one = run(clips, tmp_path / "one", heavy(tmp_path / "w"), memory=100 * GB)
    many = run(clips, tmp_path / "many", heavy(tmp_path / "w"), memory=3 * GB)
    assert [p["encoders"] for p in one.passes] == [["large", "hears", "frames"]]
    assert [p["encoders"] for p in many.passes] == [["hears", "frames"], ["large"]]
    assert state(tmp_path / "many") == state(tmp_path / "one")
    order = plan_passes(heavy(tmp_path / "w"), 3 * GB, "cpu").groups
    assert order[0].encoders == ("large",), "which is what happens where nothing waits"


def test_what_yields_no_moments_is_refused_at_once() -> None:
    picture, frames = Picture(), PictureFrames()
    with pytest.raises(ConfigError, match=r"'frames', which is not chosen.*\+encoder=picture_f"):
        Recipe(Ward("frames"), {"picture": picture})
    with pytest.raises(ConfigError, match=r"'picture', which yields none; set .*encoder=mine"):
        Recipe(Ward("picture"), {"picture": picture, "mine": frames})
    Recipe(Ward("mine"), {"picture": picture, "mine": frames})


def test_boundaries_are_moments(clips: Path, tmp_path: Path) -> None:
    (outcome,) = run(clips / "v2.mp4", tmp_path / "i", {"frames": PictureFrames(rate=2)}).outcomes
    assert outcome.record is not None
    starts = [s.span.start for s in outcome.record.scenes if s.level == 0]
    assert len(starts) > 2 and all(start % to_us(0.5) == 0 for start in starts)
