"""Search over moments: what is finer than a scene, and where in the scene it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from egorag.errors import ConfigError
from egorag.fuse.pool import Floats
from egorag.retrieve.bounds import bounds
from egorag.retrieve.joint import QueryVector
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.moments import moments
from egorag.store.scope import Int64s, Scope
from egorag.types import Hit, Query


@dataclass(frozen=True)
class Fine:
    """An encoder of moments.

    Attributes:
        reach: microseconds after a moment's end that its vector knows of.
    """

    name: str
    reach: int = 0


@dataclass(frozen=True, eq=False)
class Matched:
    """The moments of one video that a query may see, in time order.

    Attributes:
        starts, ends: int64 [n], microseconds.
        scores: float64 [n]: inner products in a normalised space, else minus the distance.
    """

    starts: Int64s
    ends: Int64s
    scores: Floats

    def of(self, span: Span) -> slice:
        """Those that start in ``span``."""
        first, last = np.searchsorted(self.starts, [span.start, span.end])
        return slice(int(first), int(last))


def matched(
    folder: IndexFolder, query: Query, video: str, encoder: Fine, vector: QueryVector
) -> Matched | None:
    """How well the moments of a video match; None where the encoder has none of it.

    A moment counts that starts at or after ``after``, and of which nothing, nor of what its
    vector knows of, comes after ``before`` and ``until``.
    """
    allowed = bounds(query, folder.catalog.video(video))
    try:
        spans, rows = moments(folder, video, encoder.name)
    except ConfigError:
        return None
    if allowed is None:
        return None
    starts = np.array([span.start for span in spans], np.int64)
    ends = np.array([span.end for span in spans], np.int64)
    seen = (starts >= allowed.start) & (ends + encoder.reach <= allowed.end)
    told, asked = rows[seen].astype(np.float64), vector.values.astype(np.float64)
    if vector.space.normalised:
        scores = (told * asked).sum(axis=1)
    else:
        scores = -np.sqrt(((told - asked) ** 2).sum(axis=1))
    return Matched(starts[seen], ends[seen], scores)


def best_moments(
    folder: IndexFolder, query: Query, scope: Scope, encoder: Fine, vector: QueryVector
) -> tuple[Int64s, Floats]:
    """(ids, ascending; scores) of the scenes of the scope with a moment that the query may see:
    each has the score of its best one (MaxSim with one query vector)."""
    table = folder.catalog.table()
    rows = np.searchsorted(table.ids, scope.ids)
    found: dict[int, float] = {}
    for video in np.unique(table.video[rows]).tolist():
        own = matched(folder, query, table.videos[video].id, encoder, vector)
        for row in rows[table.video[rows] == video].tolist() if own is not None else ():
            assert own is not None
            part = own.scores[own.of(Span(int(table.start[row]), int(table.end[row])))]
            if len(part):
                found[int(table.ids[row])] = float(part.max())
    ids = np.array(sorted(found), np.int64)
    return ids, np.array([found[int(id)] for id in ids], np.float64)


def focused(
    folder: IndexFolder,
    query: Query,
    hits: Sequence[Hit],
    vectors: Mapping[Fine, QueryVector],
) -> list[Hit]:
    """``hits`` with their ``focus``: the run of moments around the best one that are each at least
    half way from the scene's mean to the best. By the first encoder that has moments there."""
    known: dict[tuple[str, Fine], Matched | None] = {}
    found = []
    for hit in hits:
        video, focus = hit.scene.video, None
        for encoder, vector in vectors.items():
            if (video, encoder) not in known:
                known[video, encoder] = matched(folder, query, video, encoder, vector)
            own = known[video, encoder]
            if own is not None and focus is None:
                focus = _focus(own, hit.scene.span)
        found.append(replace(hit, focus=focus))
    return found


def _focus(own: Matched, scene: Span) -> Span | None:
    part = own.of(scene)
    scores = own.scores[part]
    if not len(scores):
        return None
    best = int(scores.argmax())
    low = np.flatnonzero(scores < (scores[best] + scores.mean()) / 2)
    first = int(low[low < best].max(initial=-1)) + 1
    last = int(low[low > best].min(initial=len(scores))) - 1
    start, end = own.starts[part][first], own.ends[part][last]
    return Span(int(start), min(int(end), scene.end))
