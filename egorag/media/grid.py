"""The exact time grid of a frame reader: k / rate seconds for k = 0, 1, 2, ..."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from egorag.spans import to_us


class FrameGrid:
    """Hands out grid points in order, each once.

    The frame on show at a point is the last one presented at or before it. So when a frame at time
    ``t`` arrives, all points before ``t`` belong to the frame before it; and the points before the
    very first frame belong to that one, so that no stretch of the video is without a picture.

    >>> grid = FrameGrid(2.0)
    >>> list(grid.before(1_000_000)), list(grid.before(1_000_001))
    ([0, 500000], [1000000])
    """

    def __init__(self, rate: float) -> None:
        self._rate = Fraction(rate)
        self._k = 0
        self.next = 0

    def before(self, time: int) -> Iterator[int]:
        """Points earlier than ``time`` (microseconds) that were not handed out yet."""
        while self.next < time:
            point = self.next
            self._k += 1
            self.next = to_us(self._k / self._rate)
            yield point
