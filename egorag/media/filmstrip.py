"""One stream's frames, each at the time it is shown, handed to the readers that want it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

from egorag.media.grid import FrameGrid
from egorag.media.pictures import Image, SampledPictures, shot_pictures
from egorag.media.sampling import Frame, FrameSampling, ShotSampling
from egorag.media.timeline import MAX_GAP, StreamClock
from egorag.spans import MICROSECONDS

_IMPLAUSIBLY_SHORT = 2_000
_LONGEST_GUESS = MICROSECONDS
_USUAL_DURATION = MICROSECONDS // 25


@dataclass(frozen=True)
class _Shown:
    """The frame on show, kept until the next one tells how long it was."""

    frame: VideoFrame
    time: int
    index: int


class Filmstrip:
    """Places decoded frames on the timeline and feeds the readers.

    Times strictly increase: a frame stamped no later than the one before it is put a microsecond
    after it, a frame stamped before the video's start at 0.

    Args:
        start: microseconds; readers with a rate get no frame before it.

    Attributes:
        end: microseconds; where the last frame ends, once ``finish`` has run.
        frames: how many were decoded.
        disordered: how many of them had a stamp no later than the one before.
    """

    def __init__(
        self,
        clock: StreamClock,
        samplings: Mapping[int, FrameSampling | ShotSampling],
        pixel_aspect: Fraction | None,
        start: int = 0,
    ) -> None:
        self._clock = clock
        self._sampled = [
            (reader, FrameGrid(s.rate, start), SampledPictures(s, pixel_aspect))
            for reader, s in samplings.items()
            if isinstance(s, FrameSampling) and s.rate is not None
        ]
        self._every = [
            (
                reader,
                shot_pictures(s)
                if isinstance(s, ShotSampling)
                else SampledPictures(s, pixel_aspect),
            )
            for reader, s in samplings.items()
            if isinstance(s, ShotSampling) or s.rate is None
        ]
        self._shown: _Shown | None = None
        self._gap = _USUAL_DURATION
        self.end = 0
        self.frames = 0
        self.disordered = 0

    def push(self, frame: VideoFrame) -> Iterator[tuple[int, Frame]]:
        """Take the next frame; yields (reader, frame) for grid points before it and for itself."""
        time = max(0, self._clock.place(frame.pts, frame.dts))
        before = self._shown
        if before is not None:
            if time <= before.time:
                self.disordered += 1
                time = before.time + 1
            self._gap = time - before.time
            yield from self._held(before, time)
        self._shown = _Shown(frame, time, self.frames)
        self.frames += 1
        self._clock.advance(time + self._duration(frame))
        for reader, picture in self._every:
            yield reader, Frame(time, time, self._shown.index, picture(frame))

    def finish(self) -> Iterator[tuple[int, Frame]]:
        """The stream is over: the last frame is on show to its own end."""
        if self._shown is not None:
            self.end = self._shown.time + self._duration(self._shown.frame)
            yield from self._held(self._shown, self.end)
            self._shown = None

    def _held(self, shown: _Shown, until: int) -> Iterator[tuple[int, Frame]]:
        """``shown`` at each reader's grid points before ``until`` that are still open."""
        for reader, grid, picture in self._sampled:
            if grid.next >= until:
                continue
            image: Image | None = None
            for point in grid.before(until):
                image = picture(shown.frame) if image is None else image.copy()
                yield reader, Frame(point, shown.time, shown.index, image)

    def _duration(self, frame: VideoFrame) -> int:
        """How long a frame lasts if none follows, in microseconds: as the file says, or, where it
        says nothing or a single tick (FLV, Matroska), as long as the one before it."""
        stated = round((frame.duration or 0) * self._clock.tick)
        if stated < _IMPLAUSIBLY_SHORT:
            return min(self._gap, _LONGEST_GUESS)
        return min(stated, MAX_GAP)
