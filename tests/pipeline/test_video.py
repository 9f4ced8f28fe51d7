"""One video through the pipeline with toy encoders: failures, damage, empty subtitles."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from egorag.encode.base import Available, FrameClip, Medium, Over
from egorag.encode.subtitles import Subtitles
from egorag.fingerprint import fingerprint_of
from egorag.media.inputs import discover
from egorag.media.sampling import FrameSampling, SoundSampling
from egorag.pipeline.batch import Summary, index_all
from egorag.pipeline.models import SetupError
from egorag.pipeline.progress import Silent
from egorag.pipeline.recipe import Recipe
from egorag.segment.fixed import Fixed
from egorag.segment.given import Given
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.types import TimedText

CALLS: list[str] = []


@dataclass(frozen=True)
class Mean:
    """Mean colour of a scene; breaks its promise as told."""

    medium: ClassVar[Medium] = Medium.FRAMES
    over: ClassVar[Over] = Over.SCENES
    mode: str = field(default="good", metadata={"affects_output": False})

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(rate=2, longest=16)

    @property
    def space(self) -> EmbeddingSpace:
        return EmbeddingSpace("mean", "1", 3, False, frozenset())

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def skip_reason(self, available: Available) -> str | None:
        return None if available.frames else "no video"

    def setup(self, device: str = "cpu") -> None:
        CALLS.append("setup")
        if self.mode == "no weights":
            raise OSError("weights are missing")

    def encode(self, batch: list[FrameClip]) -> Any:
        CALLS.append("encode")
        rows = np.stack([np.mean([f.image.mean((0, 1)) for f in c.frames], 0) for c in batch])
        if self.mode == "raises":
            raise RuntimeError("out of luck")
        if self.mode == "nan":
            rows[0, 0] = np.nan
        return rows[:, :2] if self.mode == "narrow" else rows.astype(np.float32)

    def close(self) -> None:
        CALLS.append("close")


@dataclass(frozen=True)
class Loud:
    """Timed text from sound, only where there are no subtitles; may stop reading early."""

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.STREAM
    lazy: bool = False

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(8000)

    @property
    def space(self) -> None:
        return None

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def skip_reason(self, available: Available) -> str | None:
        return "has subtitles" if available.subtitles else None

    def setup(self, device: str = "cpu") -> None: ...

    def encode(self, stream: Iterable[Any]) -> Iterator[TimedText]:
        for chunk in stream:
            yield TimedText(Span(chunk.span.start, 10**12), "heard", "transcript", "loud")
            if self.lazy:
                return

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from egorag.sample import make

    folder = tmp_path_factory.mktemp("clips")
    make(folder / "a.mp4", seconds=4, seed=1, size=(160, 90), subtitles="none")
    return folder


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def run(video: Path, index: Path, **encoders: Any) -> Summary:
    recipe = Recipe(
        Fixed(seconds=1.0), encoders, {name: {"_target_": name} for name in encoders}, 2.0
    )
    with IndexFolder.create(index, "") as folder:
        return index_all(discover(video), recipe, folder, Silent())


def rows(summary: Summary) -> dict[str, Any]:
    (outcome,) = summary.outcomes
    assert outcome.record is not None
    return {e.encoder: e for e in outcome.record.encodings}


@pytest.mark.parametrize(
    ("mode", "said"),
    [("raises", "out of luck"), ("nan", "not finite"), ("narrow", "expected (4, 3)")],
)
def test_a_failing_encoder_fails_alone_and_is_tried_again(
    mode: str, said: str, clips: Path, tmp_path: Path
) -> None:
    first = run(clips / "a.mp4", tmp_path / "i", bad=Mean(mode), loud=Loud())
    found = rows(first)
    assert first.failed
    assert said in found["bad"].error
    assert found["loud"].rows > 0
    again = rows(run(clips / "a.mp4", tmp_path / "i", bad=Mean(), loud=Loud()))
    assert again["bad"].error is None
    assert again["bad"].rows == 4
    assert again["loud"] == found["loud"]


def test_nothing_is_loaded_when_nothing_is_missing(clips: Path, tmp_path: Path) -> None:
    run(clips / "a.mp4", tmp_path / "i", mean=Mean())
    assert CALLS == ["setup", "encode", "close"]
    CALLS.clear()
    summary = run(clips / "a.mp4", tmp_path / "i", mean=Mean())
    assert CALLS == []
    assert not summary.outcomes[0].changed


def test_missing_weights_end_the_run_with_the_remedy(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"weights are missing.*egorag\.doctor"):
        run(clips / "a.mp4", tmp_path / "i", mean=Mean("no weights"))


@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_a_damaged_artifact_is_made_anew(how: str, clips: Path, tmp_path: Path) -> None:
    run(clips / "a.mp4", tmp_path / "i", mean=Mean(), loud=Loud())
    kept = {p: p.read_bytes() for p in (tmp_path / "i" / "artifacts").rglob("*.*") if p.is_file()}
    assert len(kept) == 3  # scenes, vectors, texts
    for path, content in kept.items():
        if how == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif how == "flipped" and path.suffix == ".safetensors":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        elif how == "gone":
            path.unlink()
    run(clips / "a.mp4", tmp_path / "i", mean=Mean(), loud=Loud())
    assert {p: p.read_bytes() for p in kept} == kept


def test_an_encoder_that_stops_reading_does_not_hold_up_the_rest(
    clips: Path, tmp_path: Path
) -> None:
    found = rows(run(clips / "a.mp4", tmp_path / "i", lazy=Loud(lazy=True), mean=Mean()))
    assert found["lazy"].rows == 1
    assert found["mean"].rows == 4


def test_texts_end_with_the_video(clips: Path, tmp_path: Path) -> None:
    (outcome,) = run(clips / "a.mp4", tmp_path / "i", loud=Loud()).outcomes
    assert outcome.record is not None
    assert {t.span.end for t in outcome.record.texts} == {outcome.record.video.duration}


def test_subtitles_that_say_nothing_do_not_stand_in_the_way(clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "a.mp4", tmp_path / "b.mp4")
    (tmp_path / "b.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello there\n")
    found = rows(run(tmp_path / "b.mp4", tmp_path / "i", subtitles=Subtitles(), loud=Loud()))
    assert found["loud"].skipped == "has subtitles"
    (tmp_path / "b.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n")
    found = rows(run(tmp_path / "b.mp4", tmp_path / "i", subtitles=Subtitles(), loud=Loud()))
    assert found["subtitles"].rows == 0
    assert found["loud"].skipped is None
    assert found["loud"].rows > 0


def test_one_content_under_two_names_is_one_video(clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("x.mp4", "y.mp4"):
        shutil.copy(clips / "a.mp4", folder / name)
    run(folder, tmp_path / "i", mean=Mean())
    assert CALLS.count("encode") == 1
    with IndexFolder.open(tmp_path / "i") as index:
        (video,) = index.catalog.videos()
        before = index.catalog.generation()
        record = index.catalog.record(video.id)
        assert record is not None
        assert [Path(s.path).name for s in record.sources] == ["x.mp4", "y.mp4"]
    assert not any(outcome.changed for outcome in run(folder, tmp_path / "i", mean=Mean()).outcomes)
    (folder / "x.mp4").rename(folder / "z.mp4")
    run(folder, tmp_path / "i", mean=Mean())
    with IndexFolder.open(tmp_path / "i") as index:
        assert Path(index.catalog.videos()[0].path).name == "y.mp4"
        assert index.catalog.generation() != before


def test_a_later_run_with_fewer_encoders_takes_nothing_from_earlier_videos(
    clips: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.mp4"
    shutil.copy(clips / "a.mp4", other)
    with other.open("ab") as file:
        file.write(b"\0\0\0\x08free")
    run(clips / "a.mp4", tmp_path / "i", mean=Mean(), loud=Loud())
    run(other, tmp_path / "i", loud=Loud())
    with IndexFolder.open(tmp_path / "i") as index:
        assert list(index.catalog.encoders()) == ["loud", "mean"]
    run(clips / "a.mp4", tmp_path / "i", loud=Loud())
    with IndexFolder.open(tmp_path / "i") as index:
        assert list(index.catalog.encoders()) == ["loud"]


def test_videos_read_with_other_settings_are_told(clips: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    shutil.copy(clips / "a.mp4", other)
    with other.open("ab") as file:
        file.write(b"\0\0\0\x08free")
    assert run(clips / "a.mp4", tmp_path / "i", loud=Loud()).outdated == {}
    assert run(other, tmp_path / "i", loud=Loud(lazy=True)).outdated == {"loud": 1}
    assert run(clips / "a.mp4", tmp_path / "i", loud=Loud(lazy=True)).outdated == {}


def test_a_given_scene_past_the_end_is_told(clips: Path, tmp_path: Path) -> None:
    recipe = Recipe(Given(scenes=[[0, 1], [2, 99]]), {"loud": Loud()}, {"loud": {}}, 2.0)
    with IndexFolder.create(tmp_path / "i", "") as folder:
        (outcome,) = index_all(discover(clips / "a.mp4"), recipe, folder, Silent()).outcomes
    assert outcome.record is not None
    assert any("clipped" in problem for problem in outcome.record.problems)
