"""The exact time grid of a frame reader: k / rate seconds for k = 0, 1, 2, ..."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from egorag.spans import MICROSECONDS, to_us


class FrameGrid:
    """Hands out grid points in order, each once.

    The frame on show at a point is the last one presented at or before it. So when a frame at time
    ``t`` arrives, all points before ``t`` belong to the frame before it; and the points before the
    very first frame belong to that one, so that no stretch of the video is without a picture.

    >>> grid = FrameGrid(2.0)
    >>> list(grid.before(1_000_000)), list(grid.before(1_000_001))
    ([0, 500000], [1000000])

    Args:
        rate: points a second.
        start: microseconds; points before it are not handed out.
    """

    def __init__(self, rate: float, start: int = 0) -> None:
        self._rate = Fraction(rate)
        self._k = max(0, ceil(start * self._rate / MICROSECONDS) - 1)
        while to_us(self._k / self._rate) < start:
            self._k += 1
        self.next = to_us(self._k / self._rate)

    def before(self, time: int) -> Iterator[int]:
        """Points earlier than ``time`` (microseconds) that were not handed out yet."""
        while self.next < time:
            point = self.next
            self._k += 1
            self.next = to_us(self._k / self._rate)
            yield point
