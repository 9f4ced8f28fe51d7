"""Shots: PySceneDetect's golden cuts, and scenes that were right before the video had ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.media.reader import Pass
from egorag.media.sampling import Frame, ShotSampling
from egorag.segment.detectors import FADE_LAG, KINDS
from egorag.segment.shots import Shots, ShotStream
from egorag.segment.tiling import Tiling, tile
from egorag.spans import Span, check_tiling

GOLDENS = {
    "AdaptiveDetector.default": {"detector": "adaptive"},
    "AdaptiveDetector.t5": {"detector": "adaptive", "threshold": 5.0},
    "ContentDetector.default": {"detector": "content"},
    "ContentDetector.t30": {"detector": "content", "threshold": 30.0},
    "HashDetector.default": {"detector": "hash"},
    "ThresholdDetector.default": {"detector": "threshold"},
    # made by the command line, whose defaults for this one differ from the class's
    "HistogramDetector.default": {
        "detector": "histogram",
        "threshold": 0.05,
        "options": {"bins": 256},
    },
}
FRAME = 33_333


def cut(shots: Shots, frames: list[Frame]) -> ShotStream:
    stream = shots.start()
    for frame in frames:
        stream.push(frame.time, frame.image)
    stream.finish(frames[-1].time + FRAME)
    return stream


@pytest.mark.parametrize("video", ["testvideo.mp4", "fades.mp4"])
def test_golden_cuts_frame_for_frame(shared_data: Path, video: str) -> None:
    folder = shared_data / "media" / "scenedetect"
    with Pass(folder / video, [ShotSampling(exact=True)]) as one_pass:
        frames = [item for _, item in one_pass if isinstance(item, Frame)]
    for name, given_settings in GOLDENS.items():
        golden = folder / "goldens" / f"{video}.{name}.json"
        stream = cut(Shots(exact=True, **given_settings), frames)
        assert stream.cuts == json.loads(golden.read_text())["cuts"], golden.name


def test_every_golden_file_is_tested(shared_data: Path) -> None:
    found = {p.name for p in (shared_data / "media/scenedetect/goldens").iterdir()}
    assert found == {f"{v}.{n}.json" for v in ("testvideo.mp4", "fades.mp4") for n in GOLDENS}


def flat(level: int) -> npt.NDArray[np.uint8]:
    return np.full((8, 8, 3), level, np.uint8)


class _Spy:
    """A detector that notes how many frames late each cut was reported."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.late: list[int] = []

    def process_frame(self, position: Any, image: Any) -> list[Any]:
        cuts = self._inner.process_frame(position, image)
        self.late += [position.frame_num - c.frame_num for c in cuts]
        return list(cuts)

    def post_process(self, position: Any) -> list[Any]:
        return list(self._inner.post_process(position))


levels = st.lists(
    st.tuples(st.sampled_from([0, 5, 60, 120, 250]), st.integers(1, 40)), min_size=1, max_size=25
)


@pytest.mark.parametrize(
    "shots",
    [
        Shots(detector="content", min_seconds=0.2, max_seconds=1.0),
        Shots(detector="content", options={"min_scene_len": 4}, min_seconds=0.1, max_seconds=0.5),
        Shots(detector="adaptive", options={"window_width": 3}, min_seconds=0.2, max_seconds=1.0),
        Shots(detector="hash", threshold=0.1, min_seconds=0.2, max_seconds=1.0),
        Shots(detector="histogram", min_seconds=0.2, max_seconds=1.0),
    ],
    ids=lambda shots: shots.detector,
)
@given(levels=levels)
@settings(max_examples=40, deadline=None)
def test_no_cut_comes_later_than_the_lag(shots: Shots, levels: list[tuple[int, int]]) -> None:
    """Flickering pictures: the stream never meets a cut before what it has closed, and what it
    closed is what all cuts together, known at the end, would have given."""
    stream = shots.start()
    spy = _Spy(stream._detector)
    stream._detector = spy
    lag = (stream._times.maxlen or 0) - 1
    images = [flat(level) for level, count in levels for _ in range(count)]
    closed: list[Span] = []
    for number, image in enumerate(images):
        closed += stream.push(number * FRAME, image)
    end = len(images) * FRAME
    closed += stream.finish(end)
    assert all(0 <= late <= lag for late in spy.late)
    check_tiling(closed, Span(0, end))
    shortest, longest = round(shots.min_seconds * 1e6), round(shots.max_seconds * 1e6)
    assert closed == tile([c * FRAME for c in stream.cuts], end, shortest, longest)


def test_detectors_really_are_late() -> None:
    """The guard above would be empty if no detector ever looked back."""
    stream = Shots(detector="content").start()
    spy = _Spy(stream._detector)
    stream._detector = spy
    steps = [0] * 30 + [250] * 20 + [0] * 6 + [250] * 6 + [0] * 10 + [250] * 40
    for number, level in enumerate(steps):
        stream.push(number * FRAME, flat(level))
    assert 15 in spy.late

    stream = Shots(detector="adaptive", options={"window_width": 3}).start()
    spy = _Spy(stream._detector)
    stream._detector = spy
    for number in range(60):
        stream.push(number * FRAME, flat(0 if number < 30 else 250))
    assert spy.late == [3]


@pytest.mark.parametrize("dark", [10, 2 * FADE_LAG - 20, 2 * FADE_LAG + 200])
def test_a_long_fade_cuts_in_its_middle_or_at_the_lag(dark: int) -> None:
    shots = Shots(detector="threshold", min_seconds=0.1, max_seconds=100.0)
    stream = shots.start()
    closed: list[Span] = []
    images = [flat(200)] * 60 + [flat(0)] * dark + [flat(200)] * 60
    for number, image in enumerate(images):
        closed += stream.push(number * FRAME, image)
    closed += stream.finish(len(images) * FRAME)
    middle, back = 60 + dark // 2, 60 + dark
    assert stream.cuts == [middle]
    assert closed[0].end == max(middle, back - FADE_LAG) * FRAME


def test_cuts_fall_on_presentation_times_of_a_variable_rate() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(5_000, 90_000, 200)).tolist()
    stream = Shots(detector="content", min_seconds=0.0).start()
    closed = [
        span
        for number, time in enumerate(times)
        for span in stream.push(time, flat(20 if number < 120 else 220))
    ]
    closed += stream.finish(times[-1] + FRAME)
    assert stream.cuts == [120]
    assert closed == [Span(0, times[120]), Span(times[120], times[-1] + FRAME)]


def test_without_pictures_time_alone_cuts() -> None:
    stream = Shots(min_seconds=1, max_seconds=4).start()
    closed = [span for second in range(11) for span in stream.push(second * 1_000_000, None)]
    closed += stream.finish(11_000_000)
    assert closed == [Span.seconds(0, 4), Span.seconds(4, 8), Span.seconds(8, 11)]
    assert Shots().start().finish(0) == []


def test_a_detector_that_lied_about_its_lag_would_be_caught() -> None:
    """Fault injection: a cut from before the lag is moved up to it, never into a closed scene."""

    class Late:
        def process_frame(self, position: Any, image: Any) -> list[Any]:
            return [type(position)(3, fps=30.0)] if position.frame_num == 90 else []

        def post_process(self, position: Any) -> list[Any]:
            return []

    stream = ShotStream(Late(), 5, Tiling(1, 1_000_000))
    closed = [span for n in range(100) for span in stream.push(n * FRAME, flat(0))]
    closed += stream.finish(100 * FRAME)
    check_tiling(closed, Span(0, 100 * FRAME))
    assert 85 * FRAME in [span.end for span in closed]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detector": "adaptve"}, "did you mean 'adaptive'"),
        ({"options": {"window": 3}}, "did you mean 'window_width'"),
        ({"detector": "hash", "options": {"luma_only": True}}, "no option 'luma_only'"),
        ({"options": {"min_scene_len": 0.6}}, "whole number of frames"),
        ({"options": {"window_width": 0}}, "window_width .* 1 or more, got 0"),
        ({"options": {"weights": [0, 0, 0, 0]}}, "not all 0"),
        ({"options": {"kernel_size": 4}}, "odd"),
        ({"detector": "hash", "options": {"size": 7}}, "even"),
        ({"detector": "threshold", "options": {"fade_bias": 1.5}}, "from -1 to 1"),
        ({"threshold": float("nan")}, "threshold must be a number"),
        ({"min_seconds": 3.0, "max_seconds": 4.0}, "at least twice"),
    ],
)
def test_wrong_settings_name_the_fix(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Shots(**arguments)


@pytest.mark.parametrize("detector", KINDS)
def test_every_option_is_one_that_pyscenedetect_takes(detector: str) -> None:
    import inspect

    import scenedetect

    kind = KINDS[detector]
    taken = inspect.signature(getattr(scenedetect, kind.class_name)).parameters
    assert {kind.threshold, *kind.options, *kind.defaults} <= set(taken)


@pytest.mark.parametrize("bias", [-1.0, 1.0])
def test_fades_at_either_end_of_the_dark(bias: float) -> None:
    options = {"fade_bias": bias, "add_final_scene": True}
    stream = Shots(detector="threshold", options=options, min_seconds=0.1).start()
    images = [flat(200)] * 40 + [flat(0)] * 20 + [flat(200)] * 40 + [flat(0)] * 20
    closed = [s for n, image in enumerate(images) for s in stream.push(n * FRAME, image)]
    closed += stream.finish(len(images) * FRAME)
    assert stream.cuts == [40 if bias < 0 else 60, 100]
    check_tiling(closed, Span(0, len(images) * FRAME))


def test_the_fingerprint_follows_the_settings() -> None:
    assert Shots().fingerprint() == Shots(options={}).fingerprint()
    others = [Shots(threshold=5.0), Shots(exact=True), Shots(options={"window_width": 3})]
    assert len({s.fingerprint() for s in (Shots(), *others)}) == 4
