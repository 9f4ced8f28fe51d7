"""From videos to events to scenes, the best few of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from egorag.fuse.base import Fused
from egorag.retrieve.expand import Expanding
from egorag.retrieve.levels import parents
from egorag.retrieve.retriever import QueryVectors, Retriever
from egorag.types import LEVELS, Hit, Query


@dataclass(frozen=True, kw_only=True)
class TopDown(Expanding):
    """A beam search down the levels, to the finest that the query names.

    Ranked are, at each level, the children of the best ones above, and those whose parent the
    query may not see: under ``until`` the present event and video are not over, and may not be
    used, but their scenes are. Such a scene starts a path of its own. Beams are doubled until
    ``k`` scenes are found or there are no more.

    A path's score is its own fused score, and ``above`` of it its parent's path score in its
    place; that of one which starts a path is its own.

    Attributes:
        videos, events: beam widths: how many of each are followed.
        above: from 0, the beams alone decide, to 1, scenes of an event are not told apart.
    """

    videos: int = 32
    events: int = 128
    above: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("videos", "events"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, got {value!r}")
        if not 0 <= self.above <= 1:
            raise ValueError(f"above must lie in 0..1, got {self.above!r}")

    def find(self, query: Query, retriever: Retriever, k: int) -> list[Hit]:
        vectors = retriever.embed(query)
        catalog = retriever.folder.catalog
        with catalog.snapshot():
            widths = {2: self.videos, 1: self.events}
            while True:
                found, left = _descend(query, vectors, retriever, widths, k, self.above)
                if len(found) >= k or not left:
                    return retriever.shown(query, vectors, found[:k])
                widths = {level: 2 * width for level, width in widths.items()}


def _descend(
    query: Query,
    vectors: QueryVectors,
    retriever: Retriever,
    widths: Mapping[int, int],
    k: int,
    share: float,
) -> tuple[list[Fused], bool]:
    """(scenes of the finest level with their paths' scores, best first; whether a beam left any
    of the levels above behind)."""
    catalog = retriever.folder.catalog
    table, above = catalog.table(), parents(catalog)
    finest = min(LEVELS.index(level) for level in query.levels)
    higher = np.zeros(len(table.ids), bool)  # what the query may see of the level above
    paths: dict[int, float] = {}  # the beam of the level above: score by row
    ranked: list[Fused] = []
    left = False
    for level in range(len(LEVELS) - 1, finest - 1, -1):
        at_level = replace(query, levels=(LEVELS[level],))
        scope = catalog.scope(at_level)
        rows = np.searchsorted(table.ids, scope.ids)
        beam = np.zeros(len(table.ids), bool)
        beam[list(paths)] = True
        parent = above[rows]
        starts = (parent < 0) | ~higher[parent]
        higher = np.zeros(len(table.ids), bool)
        higher[rows] = True
        rows = rows[starts | beam[parent]]
        width = k if level == finest else widths[level]
        found = retriever.ranked(at_level, vectors, width, scope.only(table.ids[rows]))
        scored = []
        for item, row in zip(found, table.places(found.ids).tolist(), strict=True):
            over = paths.get(int(above[row]))
            score = item.score if over is None else (1 - share) * item.score + share * over
            scored.append((row, replace(item, score=score)))
        scored.sort(key=lambda pair: -pair[1].score)
        ranked = [item for _, item in scored]
        left |= level != finest and len(scored) > width
        paths = {row: item.score for row, item in scored[:width]}
    return ranked, left
