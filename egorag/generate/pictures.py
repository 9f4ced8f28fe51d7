"""Pictures of a scene for a model that sees: a few frames, evenly spread over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egorag.media.same import check_same as check_same
from egorag.media.sampling import Frame, FrameSampling
from egorag.media.stretch import stretch
from egorag.spans import MICROSECONDS, Span, clock

FINE = 4
"""Frames looked at for each picture, of which the one nearest to the middle is taken."""
SHORTEST, FASTEST = MICROSECONDS // 10, 100
"""Microseconds of a scene for each picture at least; frames looked at in a second at most."""
NEAR = 10 * MICROSECONDS
"""Pictures further apart than this are sought one by one; what lies between is not decoded."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame of a scene.

    Attributes:
        time: microseconds in the video at which it is on show.
        span: the part of the scene it stands for.
        image: RGB uint8 [H, W, 3].
    """

    time: int
    span: Span
    image: npt.NDArray[np.uint8]

    @property
    def clock(self) -> str:
        """Its time as a model is told it."""
        return clock(self.time)


def pictures(path: Path, span: Span, count: int, longest: int, since: int = 0) -> list[Picture]:
    """At most ``count`` different frames in time order, one from the middle of each equal part of
    ``span``. None of them comes later than it.

    Args:
        longest: pixels of the longer side, never scaled up.
        since: microseconds; a frame that was on show before is left out, even if it still is.

    Raises:
        MediaError: the file cannot be read, or has no video.
    """
    count = max(1, min(count, span.duration // SHORTEST))
    part = span.duration / count
    if part < 1:
        return []
    edges = [span.start + round(part * i) for i in range(count)] + [span.end]
    parts = [Span(*ends) for ends in pairwise(edges)]
    sampling = FrameSampling(min(FINE * MICROSECONDS / part, FASTEST), longest)
    best: dict[Span, Frame] = {}
    for frame in _around(path, span, parts, sampling):
        own = next((p for p in parts if frame.time in p), None)
        if own is None or not since <= frame.shown_at < span.end:
            continue
        if own not in best or _off(frame, own) < _off(best[own], own):
            best[own] = frame
    found: list[Picture] = []
    shown: set[int] = set()
    for own, frame in sorted(best.items()):
        if frame.shown_at not in shown:  # a still picture is one picture
            shown.add(frame.shown_at)
            found.append(Picture(frame.time, own, frame.image))
    return found


def _around(path: Path, span: Span, parts: list[Span], sampling: FrameSampling) -> Iterator[Frame]:
    if parts[0].duration <= NEAR:
        yield from stretch(path, span, sampling)
    else:
        for part in parts:
            reach = -(-part.duration // (2 * FINE)) + 1
            yield from stretch(path, Span(part.middle - reach, part.middle + reach), sampling)


def _off(frame: Frame, part: Span) -> int:
    return abs(frame.time - part.middle)
