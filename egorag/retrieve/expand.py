"""From hits to evidence: the scenes around them, within a budget of what is read or watched."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from egorag.fuse.base import Fused
from egorag.retrieve.base import Cost
from egorag.retrieve.retriever import Retriever
from egorag.retrieve.shown import shown
from egorag.spans import MICROSECONDS, Span
from egorag.store.scope import Int64s, SceneTable
from egorag.types import LEVELS, Hit, Query


@dataclass(frozen=True, kw_only=True)
class Expanding:
    """What every strategy does to make evidence of hits.

    Hits come first, best first, then the neighbours: nearest first, and of those equally near that
    of the better hit. What is over the budget is left out whole and the next that fits is taken.
    Only the best hit, where it alone is over, is cut: to the beginning of its scene.

    Attributes:
        neighbours: scenes before and after each hit that are read with it: of its level and
            video, inside the query's filters and ``until``, and apart from what is found. They
            have the score of their hit and no parts.
        tokens: what all may take together, as the generator counts; None for no limit.
        seconds: how much video all may cover together; what overlaps counts once.
    """

    neighbours: int = 0
    tokens: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("neighbours", 0), ("tokens", 1)):
            value = getattr(self, name)
            if value is None and name == "tokens":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds must be a number above 0, got {self.seconds!r}")

    def evidence(
        self, query: Query, hits: Sequence[Hit], retriever: Retriever, cost: Cost
    ) -> tuple[list[Hit], tuple[str, ...]]:
        """See ``Strategy``."""
        found = list(hits)
        if self.neighbours:
            found += neighbours(query, hits, retriever, self.neighbours)
        if self.tokens is None and self.seconds is None:
            return found, ()
        catalog = retriever.folder.catalog
        budget = _Budget(self.tokens, self.seconds, lambda hit: cost(query, hit, catalog))
        kept = [hit for hit in found[:1] if budget.takes(hit)]
        begun = budget.begins(found[0]) if found and not kept else None
        if begun is not None:
            kept.append(begun)
        kept += [hit for hit in found[1:] if budget.takes(hit)]
        return kept, budget.notes(len(found) - len(kept), begun is not None)


_Count: TypeAlias = Callable[[Hit], int]


class _Budget:
    """What is left of tokens and seconds."""

    def __init__(self, tokens: int | None, seconds: float | None, cost: _Count) -> None:
        self._given = {"tokens": tokens, "seconds": seconds}
        self._tokens = math.inf if tokens is None else tokens
        self._time = math.inf if seconds is None else seconds * MICROSECONDS
        self._cost: _Count = cost if tokens is not None else lambda _: 0
        self._seen: dict[str, list[Span]] = {}

    def takes(self, hit: Hit) -> bool:
        """Whether there was room for it."""
        tokens, time = self._cost(hit), self._new(hit)
        if tokens > self._tokens or time > self._time:
            return False
        self._tokens -= tokens
        self._time -= time
        self._seen.setdefault(hit.scene.video, []).append(hit.scene.span)
        return True

    def begins(self, hit: Hit) -> Hit | None:
        """As much of the beginning of its scene as there is room for; None for none."""
        span = hit.scene.span
        low, high = 0, min(span.duration, int(min(self._time, span.duration)))
        while low < high:  # the longest beginning that fits, to the millisecond
            middle = (low + high + 1) // 2
            if self._cost(_cut(hit, middle)) <= self._tokens:
                low = middle
            elif high - low <= MICROSECONDS // 1000:
                break
            else:
                high = middle - 1
        if low == 0:
            return None
        shorter = _cut(hit, low)
        return shorter if self.takes(shorter) else None

    def notes(self, left: int, cut: bool) -> tuple[str, ...]:
        """What had no room."""
        asked = ", ".join(f"{n}={v}" for n, v in self._given.items() if v is not None)
        found = []
        if cut:
            found.append(f"the best scene alone is over strategy {asked} and was cut")
        if left:
            found.append(f"{left} scenes had no room in strategy {asked}")
        return tuple(found)

    def _new(self, hit: Hit) -> int:
        """Microseconds of it that are not covered yet."""
        span, left = hit.scene.span, hit.scene.span.duration
        reached = span.start
        for other in sorted(self._seen.get(hit.scene.video, ())):
            start, end = max(other.start, reached), min(other.end, span.end)
            if end > start:
                left -= end - start
                reached = end
        return left


def _cut(hit: Hit, duration: int) -> Hit:
    start = hit.scene.span.start
    return replace(hit, scene=replace(hit.scene, span=Span(start, start + duration)))


def neighbours(query: Query, hits: Sequence[Hit], retriever: Retriever, reach: int) -> list[Hit]:
    """Scenes up to ``reach`` places before and after each hit, nearest first; each once, and none
    that overlaps a hit."""
    catalog = retriever.folder.catalog
    with catalog.snapshot():
        table = catalog.table()
        found: dict[int, tuple[int, int]] = {}  # row: how far, and from which hit
        for number, hit in enumerate(hits):
            level = hit.scene.level
            scope = catalog.scope(replace(query, levels=(LEVELS[level],)))
            rows, order = catalog.memo(
                ("in time", level), functools.partial(_in_time, table, level)
            )
            own = int(np.searchsorted(table.ids, hit.scene.id))
            place = int(np.searchsorted(order, table.order[own]))
            for other in range(max(0, place - reach), min(len(rows), place + reach + 1)):
                row, far = int(rows[other]), abs(other - place)
                if table.video[row] == table.video[own] and scope.holds(table.ids[[row]])[0]:
                    found[row] = min(found.get(row, (far, number)), (far, number))
        apart = [row for row in found if not _overlaps(table, row, hits)]
        apart.sort(key=lambda row: (*found[row], table.order[row]))
        items = [Fused(int(table.ids[row]), hits[found[row][1]].score, {}) for row in apart]
        return shown(query, items, catalog)


def _in_time(table: SceneTable, level: int) -> tuple[Int64s, Int64s]:
    """int64 [n]: the rows of a level by (video, start), and their ``order``."""
    rows = np.flatnonzero(table.level == level)
    rows = rows[np.argsort(table.order[rows])]
    return rows, table.order[rows]


def _overlaps(table: SceneTable, row: int, hits: Sequence[Hit]) -> bool:
    span = Span(int(table.start[row]), int(table.end[row]))
    return any(
        table.videos[table.video[row]].id == hit.scene.video
        and (hit.scene.span.overlap(span) > 0 or hit.scene.span == span)
        for hit in hits
    )
