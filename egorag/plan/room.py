"""What a query may see of an index, and where times that a question names lie in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from egorag.plan.asked import Windows
from egorag.retrieve.bounds import bounds, within
from egorag.spans import Span, to_seconds
from egorag.store.catalog import Catalog
from egorag.types import LEVELS, Query, Video

Bools = npt.NDArray[np.bool_]


class Room:
    """The scenes of all levels that ``query`` may see, as columns, and its videos.

    Attributes:
        ids, video, start, end, level: int64 [n]; ``video`` is the place in ``names``.
        names: ids of the index's videos, those that may not be seen included.
        stretches: by id, the videos that may be seen and which part of each: up to its end or
            ``until``, whichever is first, inside the query's other filters.
    """

    def __init__(self, query: Query, catalog: Catalog) -> None:
        self.query = query
        self.catalog = catalog
        table, scope = catalog.table(), catalog.scope(replace(query, levels=LEVELS))
        rows = np.searchsorted(table.ids, scope.ids)
        self.ids = scope.ids
        self.video, self.start, self.end = table.video[rows], table.start[rows], table.end[rows]
        self.level = table.level[rows]
        self.names = [video.id for video in table.videos]
        self._videos = table.videos

    @cached_property
    def stretches(self) -> dict[str, tuple[Video, Span]]:
        # A video is there once something of it may be seen: until then its name tells nothing.
        found = {}
        for place in np.unique(self.video).tolist():
            video = self._videos[place]
            allowed = bounds(self.query, video)
            if allowed and allowed.start < min(allowed.end, video.duration):
                span = Span(max(0, allowed.start), min(allowed.end, video.duration))
                found[video.id] = video, span
        return found

    @cached_property
    def dated(self) -> dict[str, tuple[datetime, Span]]:
        """``recorded_at`` and visible stretch of the videos that have one."""
        return {
            id: (video.recorded_at, span)
            for id, (video, span) in self.stretches.items()
            if video.recorded_at is not None
        }

    @cached_property
    def now(self) -> datetime | None:
        """The latest recorded moment that may be seen; filters other than ``until`` and the videos
        do not move it. In the time zone of its recording."""
        free = Room(replace(self.query, after=None, before=None), self.catalog)
        ends = [at + timedelta(microseconds=span.end) for at, span in free.dated.values()]
        return max(ends, default=None)

    def inside(self, start: float, end: float, from_end: bool = False) -> dict[str, Span]:
        """Seconds of each video that may be seen, from its start or its (visible) end."""
        found = {}
        for id, (_, seen) in self.stretches.items():
            zero = seen.end if from_end else 0
            first = max(seen.start, zero + _us(start))
            last = min(seen.end, zero + _us(end))
            if first < last or (first == last and start == end and first < seen.end):
                found[id] = Span(first, last)
        return found

    def moments(self, start: datetime, end: datetime) -> dict[str, Span]:
        """A stretch of local time (no time zone) in each dated video, by the clock of its own
        recording."""
        found = {}
        for id, (at, seen) in self.dated.items():
            zero = at.replace(tzinfo=None)
            first = max(seen.start, (start - zero) // timedelta(microseconds=1))
            last = min(seen.end, (end - zero) // timedelta(microseconds=1))
            if first < last or (start == end and first == last < seen.end):
                found[id] = Span(first, last)
        return found

    def daily(self, start: float, end: float) -> dict[str, tuple[Span, ...]]:
        """A time of day, in seconds after midnight, on every day of each dated video."""
        found: dict[str, tuple[Span, ...]] = {}
        days = {
            (at.replace(tzinfo=None) + timedelta(microseconds=us)).date()
            for at, seen in self.dated.values()
            for us in range(seen.start, seen.end + 1, 43_200_000_000)
        }
        around = {day + timedelta(days=d) for day in days for d in (-1, 0, 1)}
        for day in sorted(around):
            midnight = datetime(day.year, day.month, day.day)
            first, last = midnight + timedelta(seconds=start), midnight + timedelta(seconds=end)
            for id, span in self.moments(first, last).items():
                found[id] = (*found.get(id, ()), span)
        return found

    def overlapping(self, windows: Windows) -> Bools:
        """bool [n]: which scenes share a moment with the windows of their video."""
        keep = np.zeros(len(self.ids), dtype=bool)
        for place, spans in self._by_place(windows):
            (rows,) = (self.video == place).nonzero()
            start, end = self.start[rows], self.end[rows]
            for span in spans:
                point = (start <= span.start) & (span.start < end)
                keep[rows] |= ((start < span.end) & (end > span.start)) | point
        return keep

    def spoken(self, speaker: str) -> Bools:
        """bool [n]: in which scenes ``speaker`` speaks."""
        said: dict[str, tuple[Span, ...]] = {}
        for id, (video, _) in self.stretches.items():
            lines = within(self.catalog.texts(id), bounds(self.query, video))
            said[id] = tuple(line.span for line in lines if line.speaker == speaker)
        return self.overlapping(said)

    def speakers(self) -> list[str]:
        """Who is known to speak in what may be seen."""
        found: set[str] = set()
        for id, (video, _) in self.stretches.items():
            lines = within(self.catalog.texts(id), bounds(self.query, video))
            found |= {line.speaker for line in lines if line.speaker}
        return sorted(found)

    def beside(self, kind: str, anchors: Mapping[str, Sequence[Span]], most: int | None) -> Bools:
        """bool [n]: which scenes lie after, before or at (``while``) one of the anchors of their
        video, no further from it than ``most`` microseconds."""
        keep = np.zeros(len(self.ids), dtype=bool)
        for place, spans in self._by_place(anchors):
            (rows,) = (self.video == place).nonzero()
            start, end = self.start[rows], self.end[rows]
            for span in spans:
                if kind == "after":
                    fits = (start >= span.end) & (start - span.end <= (most or 2**62))
                elif kind == "before":
                    fits = (end <= span.start) & (span.start - end <= (most or 2**62))
                else:
                    fits = (start < span.end) & (end > span.start)
                keep[rows] |= fits
        return keep

    def narrow(self, keep: Bools) -> Query:
        """The query with the closest filters around the scenes to keep, of its own levels."""
        keep = keep & np.isin(self.level, [LEVELS.index(name) for name in self.query.levels])
        if not keep.any():
            return self.query
        query = self.query
        kept = np.unique(self.video[keep])
        if len(kept) < len(np.unique(self.video)):
            query = replace(query, videos=tuple(self.names[place] for place in kept.tolist()))
        same = np.isin(self.video, kept) & np.isin(self.level, self.level[keep])
        after, before = int(self.start[keep].min()), int(self.end[keep].max())
        # A date cannot be compared with seconds: it stays, and the scenes to keep say the rest.
        if after > self.start[same].min() and not isinstance(query.after, datetime):
            query = replace(query, after=max(to_seconds(after), query.after or 0.0))
        if before < self.end[same].max() and not isinstance(query.before, datetime):
            least = query.before if query.before is not None else float("inf")
            query = replace(query, before=min(to_seconds(before), least))
        return query

    def _by_place(self, by: Mapping[str, Sequence[Span]]) -> Iterable[tuple[int, Sequence[Span]]]:
        place = {name: i for i, name in enumerate(self.names)}
        return [(place[id], spans) for id, spans in by.items() if spans]


def _us(seconds: float) -> int:
    return round(max(-4e12, min(4e12, seconds)) * 1_000_000)
