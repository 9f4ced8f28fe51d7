"""From the timestamps in a file to microseconds since its start, whatever the file says.

Timestamps may be missing, out of order, start anywhere, start over (files glued together), or
jump ahead by days. Here each decoded thing gets the time at which it is shown or heard.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

from egorag.spans import MICROSECONDS, clock

MAX_GAP = 600 * MICROSECONDS
"""A timestamp this far beyond everything seen so far is taken for damage, not for a pause."""

RESTART = MICROSECONDS // 2
"""A step back by more than this is a new recording glued on, not frames out of order."""


class TimestampJump(Exception):
    """The timestamps leap ahead by more than ``MAX_GAP``; reading ends there."""

    def __init__(self, time: int, reached: int) -> None:
        super().__init__(
            f"timestamps jump from {clock(reached)} to {clock(time)}; read up to {clock(reached)}"
        )


class Timeline:
    """The time axis of one file, shared by its streams.

    Attributes:
        start: seconds in the container's clock that are time 0 here (exact).
        shift: microseconds to add where ``start`` was unknown or false.
        reached: end of the latest thing placed so far, None before the first.
    """

    def __init__(self, start: Fraction | None) -> None:
        self._start_known = start is not None
        self.start = start or Fraction(0)
        self.shift = 0
        self.reached: int | None = None

    def place(self, time: int) -> int:
        """``time`` after correction, and after a look at whether it can be true.

        Raises:
            TimestampJump: it lies more than ``MAX_GAP`` ahead.
        """
        if self.reached is None:
            self.reached = 0
            if not self._start_known or abs(time) > MAX_GAP:
                self.shift = -time
        time += self.shift
        if time > self.reached + MAX_GAP:
            raise TimestampJump(time, self.reached)
        return time

    def reach(self, end: int) -> None:
        """Something was placed that ends at ``end``."""
        self.reached = max(self.reached or 0, end)


class StreamClock:
    """Places the frames of one stream on the timeline.

    Attributes:
        tick: microseconds in one unit of the stream's timestamps.
        end: where the next thing starts if it has no timestamp of its own.
        restarts: how often the timestamps started over.
    """

    def __init__(self, timeline: Timeline, time_base: Fraction) -> None:
        self._timeline = timeline
        tick, start = Fraction(time_base) * MICROSECONDS, timeline.start * MICROSECONDS
        self.tick = float(tick)
        self._unit = lcm(tick.denominator, start.denominator)
        self._tick, self._start = int(tick * self._unit), int(start * self._unit)
        self._shift = 0
        self._latest: int | None = None
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty = [0, 0]
        self.end = 0
        self.restarts = 0

    def place(self, pts: int | None, dts: int | None = None) -> int:
        """The time of the next decoded frame in microseconds; before 0 only if the file says so.

        Raises:
            TimestampJump: see ``Timeline.place``.
        """
        ticks = self._best_effort(pts, dts)
        if ticks is None:
            time = self.end
        else:
            time = self._timeline.place(self.microseconds(ticks) + self._shift)
        if self._latest is not None and time < self._latest - RESTART:
            self.restarts += 1
            self._shift += self.end - time
            time = self.end
        self._latest = time
        return time

    def advance(self, end: int) -> None:
        """What was placed last ends at ``end``."""
        self.end = end
        self._timeline.reach(end)

    def microseconds(self, ticks: int) -> int:
        """``ticks`` since the container's start, rounded half to even as ``spans.to_us`` does."""
        whole, rest = divmod(ticks * self._tick - self._start, self._unit)
        return whole + (2 * rest + (whole & 1) > self._unit)

    def _best_effort(self, pts: int | None, dts: int | None) -> int | None:
        """Whichever of the two stamps has stepped back less often (libavcodec's
        ``best_effort_timestamp``: AVI, for one, may carry B-frames' stamps in the wrong order)."""
        for kind, (stamp, last) in enumerate(((pts, self._last_pts), (dts, self._last_dts))):
            if stamp is not None and last is not None and stamp <= last:
                self._faulty[kind] += 1
        self._last_pts = dts if pts is None else pts
        self._last_dts = pts if dts is None else dts
        if pts is not None and (dts is None or self._faulty[0] <= self._faulty[1]):
            return pts
        return dts
