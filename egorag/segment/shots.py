"""Shots: PySceneDetect's own detectors, fed by our single decode pass.

Source: https://www.scenedetect.com/docs/ (version 0.7). Only its detector classes are used; its
decode loop, which would read the file a second time, is not.

Detectors count frames, scenes are in microseconds of presentation time: a detector is told the
frame's number, and a cut at frame n lies at the time frame n is shown. At a constant frame rate
(or with ``exact`` and PySceneDetect's golden files) that is what PySceneDetect does; at a variable
one its minimum scene length counts frames, not seconds at the average rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import ShotSampling
from egorag.segment.detectors import build, check
from egorag.segment.tiling import Tiling, bounds
from egorag.spans import Span

_RATE = Fraction(30)  # detectors want some frame rate; with lengths in frames it changes nothing


@dataclass(frozen=True)
class Shots:
    """Scenes between cuts, merged and split into ``[min_seconds, max_seconds]`` by ``tiling``.

    Attributes:
        detector: ``adaptive`` (changes against the frames around, so that camera motion is no
            cut), ``content``, ``hash``, ``histogram`` or ``threshold`` (fades to black).
        threshold: the detector's own measure. None: 4 for adaptive (PySceneDetect's 3 takes
            flashes and head turns for cuts), PySceneDetect's default for the others.
        options: other settings of the detector class by PySceneDetect's names. Lengths
            (``min_scene_len``, ``min_out_length``) are whole frames.
        exact: True does as PySceneDetect does, pictures and default settings, and finds its cuts
            frame for frame; False reads smaller, cheaper pictures that differ slightly.

    Raises:
        ConfigError: an unknown detector or option, or a value out of range.
    """

    detector: str = "adaptive"
    threshold: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    min_seconds: float = 1.0
    max_seconds: float = 20.0
    exact: bool = False

    def __post_init__(self) -> None:
        bounds(self.min_seconds, self.max_seconds)
        check(self.detector, self.threshold, self.options)

    @property
    def sampling(self) -> ShotSampling | None:
        return ShotSampling(exact=self.exact)

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1, scenedetect=version("scenedetect-headless"))

    def start(self) -> ShotStream:
        detector, lag = build(self.detector, self.threshold, self.options, original=self.exact)
        return ShotStream(detector, lag, Tiling(*bounds(self.min_seconds, self.max_seconds)))


class ShotStream:
    """One video being cut.

    A detector may report a cut some frames late: content when it merges a run of flashes
    (``min_scene_len``), adaptive because its window looks ahead (``window_width``), threshold
    because a fade is only over when the picture is back (``FADE_LAG``). Nothing younger than that
    lag counts as settled, so a late cut never meets a scene that was already closed.

    Attributes:
        cuts: frame numbers as the detector reported them, before any merging or splitting.
        problems: what went wrong without ending the video.
    """

    def __init__(self, detector: Any, lag: int, tiling: Tiling) -> None:
        from scenedetect import FrameTimecode

        first = FrameTimecode(0, fps=_RATE)
        self._position = partial(FrameTimecode, fps=first)  # a rate as a number is parsed each time
        self.cuts: list[int] = []
        self.problems: list[str] = []
        self._detector = detector
        self._tiling = tiling
        self._times: deque[int] = deque(maxlen=lag + 1)  # of the latest frames
        self._frames = 0

    def push(self, time: int, image: npt.NDArray[np.uint8] | None) -> list[Span]:
        if image is None:  # a file with sound only: time passes, nothing is seen
            return self._tiling.advance(self._times[0] if self._times else time)
        self._times.append(time)
        position = self._position(self._frames)
        self._frames += 1
        reported = self._detector.process_frame(position, image)
        return self._tiling.advance(self._times[0], self._note(reported))

    def finish(self, end: int) -> list[Span]:
        closed: list[Span] = []
        if self._frames:
            last = self._position(self._frames - 1)
            reported = self._detector.post_process(last)
            closed = self._tiling.advance(self._times[0], self._note(reported))
        return closed + self._tiling.finish(end)

    def _note(self, reported: list[Any]) -> list[int]:
        """Times of reported cuts; one older than the lag is moved up to it."""
        numbers = [cut.frame_num for cut in reported]
        self.cuts += numbers
        oldest = self._frames - len(self._times)
        return [self._times[max(0, number - oldest)] for number in numbers]
