"""From cut times to scenes that tile the video, decided while the video is still being read.

The rule, for cuts sorted, without repeats, strictly inside ``(0, end)``:

1. **Merge.** A scene shorter than ``shortest`` joins the one before it; the first scene joins the
   one after it. So a cut stays exactly when it lies at least ``shortest`` after 0 and the next cut
   (or the end) lies at least ``shortest`` after it. A flash of many cuts leaves its last one.
2. **Split.** A scene longer than ``longest`` gives pieces of exactly ``longest`` from its start,
   for as long as what follows the piece is at least ``shortest``. A rest still longer than
   ``longest`` (it would leave a crumb) becomes two even halves.

Every scene then lies within ``[shortest, longest]``, but for a video that is itself shorter than
``shortest``, which is one scene. An empty video has none.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from egorag.errors import ConfigError
from egorag.spans import Span, to_us


class Tiling:
    """The rule, online: cuts go in, closed scenes come out, in order.

    ``advance(settled, cuts)`` promises that every later cut lies at or after ``settled`` and that
    the video ends there or later. Scenes are emitted as soon as that promise fixes them: after it,
    the part of ``[0, settled)`` not yet emitted is shorter than ``longest + 2 * shortest``.
    """

    def __init__(self, shortest: int, longest: int | None) -> None:
        """Bounds in microseconds. ``longest`` None never splits, and then lag has no bound.

        Raises:
            ConfigError: ``longest`` is under twice ``shortest``: no split could keep both.
        """
        if shortest < 0:
            raise ConfigError(f"the shortest scene must not be negative, got {shortest} us")
        self._shortest = max(1, shortest)
        if longest is not None and longest < 2 * self._shortest:
            raise ConfigError(
                f"the longest scene ({longest / 1e6:g} s) must be at least twice the shortest "
                f"({shortest / 1e6:g} s), or a scene just over the longest could not be split; "
                "raise max_seconds or lower min_seconds"
            )
        self._longest = longest
        self._cuts: list[int] = []  # sorted, not yet decided
        self._start = 0  # of the scene being built
        self._settled = 0

    def advance(self, settled: int, cuts: Iterable[int] = ()) -> list[Span]:
        """Take new cuts (any order, repeats allowed); return the scenes they and time fix.

        Args:
            settled: microseconds; a value under an earlier one changes nothing.
            cuts: microseconds.

        Raises:
            ValueError: a cut lies before an earlier ``settled``: the promise was broken.
        """
        for cut in cuts:
            if cut < self._settled:
                raise ValueError(
                    f"cut at {cut} us came after everything before {self._settled} us was settled"
                )
            place = bisect_left(self._cuts, cut)
            if place == len(self._cuts) or self._cuts[place] != cut:
                insort(self._cuts, cut)
        self._settled = max(self._settled, settled)
        return list(self._emit(self._settled))

    def finish(self, end: int) -> list[Span]:
        """The video ends at ``end`` microseconds; return the remaining scenes.

        Raises:
            ValueError: ``end`` lies before what was settled.
        """
        if end < self._settled:
            raise ValueError(f"the video ends at {end} us, before the settled {self._settled} us")
        closed = list(self._emit(end))
        self._cuts.clear()  # what is left lies too near the end to start a scene
        return closed + list(self._split(end, ended=True))

    def _emit(self, settled: int) -> Iterator[Span]:
        while self._cuts and self._cuts[0] + self._shortest <= settled:
            cut = self._cuts.pop(0)
            followed = bool(self._cuts) and self._cuts[0] - cut < self._shortest
            if cut >= self._shortest and not followed:
                yield from self._split(cut, ended=True)
        yield from self._split(min([*self._cuts[:1], settled]), ended=False)

    def _split(self, until: int, *, ended: bool) -> Iterator[Span]:
        """Pieces of the open scene, which ends at ``until`` (or, not ``ended``, there or later)."""
        longest = self._longest
        while longest is not None and until - self._start >= longest + self._shortest:
            yield self._close(self._start + longest)
        if not ended:
            return
        if longest is not None and until - self._start > longest:
            yield self._close((self._start + until) // 2)
        if until > self._start:
            yield self._close(until)

    def _close(self, end: int) -> Span:
        span = Span(self._start, end)
        self._start = end
        return span


def tile(cuts: Iterable[int], end: int, shortest: int, longest: int | None) -> list[Span]:
    """All scenes of a video whose cuts are known; times in microseconds.

    Cuts out of order, repeated or outside ``(0, end)`` are harmless.

    >>> tile([9_000_000, 2_000_000], 10_000_000, shortest=1_500_000, longest=5_000_000)
    [Span(0:00.000-0:02.000), Span(0:02.000-0:07.000), Span(0:07.000-0:10.000)]
    """
    tiling = Tiling(shortest, longest)
    closed = tiling.advance(0, (cut for cut in cuts if 0 < cut < end))
    return closed + tiling.finish(end)


def bounds(min_seconds: float, max_seconds: float | None) -> tuple[int, int | None]:
    """Settings in seconds to microseconds, checked.

    Raises:
        ConfigError: not positive, or the maximum is under twice the minimum.
    """
    if not 0 <= min_seconds < float("inf"):
        raise ConfigError(f"min_seconds must be 0 or more seconds, got {min_seconds}")
    if max_seconds is not None and not 0 < max_seconds < float("inf"):
        raise ConfigError(f"max_seconds must be a positive number of seconds, got {max_seconds}")
    shortest, longest = to_us(min_seconds), None if max_seconds is None else to_us(max_seconds)
    Tiling(shortest, longest)
    return shortest, longest
