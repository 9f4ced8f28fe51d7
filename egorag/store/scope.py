"""Which scenes a query may see: levels, videos, time filters and the causal cut-off."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, did_you_mean
from egorag.spans import MICROSECONDS
from egorag.types import LEVELS, Query, Scene, Video

Int64s = npt.NDArray[np.int64]

T = TypeVar("T")

_FOREVER = 2**62  # microseconds, beyond any time


@dataclass(frozen=True, eq=False)
class Scope:
    """The scenes a query may see.

    Attributes:
        ids: int64 [n], ascending. Nothing else may be read, ranked or counted in a statistic.
        table, allows: the table it was made from, and bool [m] for every row of that.
        causal: whether ``until`` was set.
        untimed: videos left out because a date was asked for and theirs is not known.
    """

    ids: Int64s
    table: SceneTable
    allows: npt.NDArray[np.bool_]
    causal: bool
    untimed: int = 0
    _known: dict[Hashable, Any] = field(default_factory=dict)

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make()`` returns, kept with the scope: many queries share one."""
        if key not in self._known:
            self._known[key] = make()
        value: T = self._known[key]
        return value

    def holds(self, ids: Int64s) -> npt.NDArray[np.bool_]:
        """bool [m]: which of ``ids`` (int64 [m], in any order) it allows."""
        return among(ids, self.ids)

    def only(self, ids: Int64s) -> Scope:
        """The part of it that is among ``ids`` (int64 [m], ascending)."""
        kept = self.allows & among(self.table.ids, ids)
        return replace(self, ids=self.table.ids[kept], allows=kept, _known={})

    def __repr__(self) -> str:
        causal = ", causal" if self.causal else ""
        untimed = f", {self.untimed} videos without a date left out" if self.untimed else ""
        return f"Scope({len(self.ids)} scenes{causal}{untimed})"


COLUMNS = ("ids", "video", "level", "start", "end", "known_at", "order")
"""The columns of a ``SceneTable``."""


@dataclass(frozen=True, eq=False)
class SceneTable:
    """All scenes of an index as columns, in ascending order of id.

    Attributes:
        ids, start, end, known_at: int64 [n]; times in microseconds.
        video: int64 [n], position in ``videos``.
        level: int64 [n].
        order: int64 [n], place of each scene when sorted by (video id, start, level): the
            tie-break of every ranking.
        videos: the videos in ascending order of id.
    """

    ids: Int64s
    video: Int64s
    level: Int64s
    start: Int64s
    end: Int64s
    known_at: Int64s
    order: Int64s
    videos: tuple[Video, ...]

    @classmethod
    def make(
        cls, rows: Sequence[tuple[int, str, int, int, int, int]], videos: Sequence[Video]
    ) -> SceneTable:
        """From rows (id, video, level, start, end, known_at) in ascending order of id."""
        ordered = tuple(sorted(videos, key=lambda video: video.id))
        place = {video.id: i for i, video in enumerate(ordered)}
        numbers = [(i, place[v], level, s, e, k) for i, v, level, s, e, k in rows]
        columns = np.array(numbers, dtype=np.int64).reshape(-1, 6).T.copy()
        ids, video, level, start, end, known_at = columns
        order = np.empty(len(ids), dtype=np.int64)
        order[np.lexsort((level, start, video))] = np.arange(len(ids))
        return cls(ids, video, level, start, end, known_at, order, ordered)

    @property
    def columns(self) -> dict[str, Int64s]:
        """All of it but the videos, by name."""
        return {name: getattr(self, name) for name in COLUMNS}

    def rank(
        self, ids: Int64s, scores: npt.NDArray[np.floating], k: int
    ) -> list[tuple[int, float]]:
        """The best ``k`` as (scene id, score); equal scores in order of (video, start, level)."""
        if len(ids) > k > 0:
            least = -np.partition(-scores, k - 1)[k - 1]
            ids, scores = ids[scores >= least], scores[scores >= least]
        order = self.order[np.searchsorted(self.ids, ids)]
        best = np.lexsort((order, -scores))[:k]
        return list(zip(ids[best].tolist(), scores[best].tolist(), strict=True))

    def scope(self, query: Query) -> Scope:
        """The scenes ``query`` may see.

        Raises:
            ConfigError: the query names a video or scene that is not in the index, or a scene that
                is not known before its ``until``.
        """
        wanted = np.isin(np.arange(len(LEVELS)), [LEVELS.index(name) for name in query.levels])
        keep = wanted[self.level]
        allowed = self._allowed(query.videos)
        dated = any(isinstance(t, datetime) for t in (query.after, query.before, query.until))
        untimed = 0
        if dated:
            known = np.array([v.recorded_at is not None for v in self.videos], dtype=bool)
            untimed = int((allowed & ~known).sum())
            allowed &= known
        keep &= allowed[self.video]
        if query.after is not None:
            keep &= self.start >= self._times(query.after)
        if query.before is not None:
            keep &= self.end <= self._times(query.before)
        if query.until is not None:
            keep &= self.known_at <= self._times(query.until)
        if query.like is not None:
            keep &= ~self._overlaps(query.like, query.until)
        return Scope(self.ids[keep], self, keep, query.until is not None, untimed)

    def _overlaps(self, like: Scene, until: float | datetime | None) -> npt.NDArray[np.bool_]:
        """bool [n]: ``like`` itself, and whatever of its video shares a moment with it."""
        row = int(np.searchsorted(self.ids, like.id))
        if row == len(self.ids) or self.ids[row] != like.id:
            raise ConfigError(f"{like} is no scene of this index; take one of its own scenes")
        video = self.videos[self.video[row]]
        if until is not None:
            undated = isinstance(until, datetime) and video.recorded_at is None
            if undated or self.known_at[row] > _in_video(until, video):
                raise ConfigError(
                    f"the scene to look for more of is not known before until={until}; give an "
                    "earlier scene, or a later until"
                )
        together = (self.start < self.end[row]) & (self.end > self.start[row])
        same = self.video == self.video[row]
        return np.asarray((same & together) | (self.ids == like.id))

    def places(self, ids: Int64s) -> Int64s:
        """Row of each scene of ``ids`` (int64 [m], all of them in the table)."""
        return np.searchsorted(self.ids, ids)

    def _allowed(self, videos: Sequence[str]) -> npt.NDArray[np.bool_]:
        """bool [number of videos]: which ones the query is restricted to."""
        if not videos:
            return np.ones(len(self.videos), dtype=bool)
        names = [video.id for video in self.videos]
        for name in videos:
            if name not in names:
                raise ConfigError(f"no video {name!r} in this index{did_you_mean(name, names)}")
        return np.isin(names, list(videos))

    def _times(self, time: float | datetime) -> Int64s:
        """``time`` in microseconds of each scene's own video, int64 [number of scenes]."""
        per_video = [_in_video(time, video) for video in self.videos]
        return np.array(per_video, dtype=np.int64)[self.video]


def among(ids: Int64s, ascending: Int64s) -> npt.NDArray[np.bool_]:
    """bool [m]: which of ``ids`` (int64 [m], in any order) are in ``ascending`` (int64 [n])."""
    if not len(ascending):
        return np.zeros(len(ids), dtype=bool)
    place = np.searchsorted(ascending, ids).clip(max=len(ascending) - 1)
    return np.asarray(ascending[place] == ids)


def _in_video(time: float | datetime, video: Video) -> int:
    if isinstance(time, datetime):
        if video.recorded_at is None:
            return 0  # left out already
        return (time - video.recorded_at) // timedelta(microseconds=1)
    if math.isinf(time) or abs(time) * MICROSECONDS > _FOREVER:
        return _FOREVER if time > 0 else -_FOREVER
    return round(time * MICROSECONDS)
