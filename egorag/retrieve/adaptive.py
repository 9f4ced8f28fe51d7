"""Chunk-adaptive evidence: each scene in the form in which it fits the query best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from egorag.errors import did_you_mean
from egorag.fuse.base import Fused
from egorag.fuse.pool import SCALES, Floats, Pool
from egorag.retrieve.bounds import bounds, within
from egorag.retrieve.expand import Expanding
from egorag.retrieve.forms import form_of
from egorag.retrieve.levels import parents
from egorag.retrieve.retriever import QueryVectors, Retriever
from egorag.store.scope import Int64s
from egorag.types import LEVELS, Hit, Part, Query

DEPTH = 10_000
"""Scenes of each configuration that are compared; the others have the score of the last."""

_DIGITS = 12
"""Of a score. What is equal on paper then ties."""


@dataclass(frozen=True, eq=False)
class Told:
    """What every configuration says of every chunk.

    Attributes:
        configurations: (level, ranking), finest level first.
        rows: int64 [chunks]: the chunks, as rows of the catalog's table.
        above: int64 [levels, chunks]: the row that stands for each chunk at each level.
        values: float64 [configurations, chunks]; NaN where one has no say.
        parts: places and scores by ranking, of each row that was ranked.
    """

    configurations: list[tuple[int, str]]
    rows: Int64s
    above: Int64s
    values: Floats
    parts: Mapping[int, Mapping[str, Part]]

    @property
    def scores(self) -> Floats:
        """float64 [chunks]: the mean of what has a say; 0 where nothing has."""
        has = ~np.isnan(self.values)
        total, count = np.where(has, self.values, 0.0).sum(axis=0), has.sum(axis=0)
        mean = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
        return np.asarray(np.round(mean, _DIGITS) + 0.0)


@dataclass(frozen=True, kw_only=True)
class Adaptive(Expanding):
    """Runs every ranking at every level, and lets each chunk be what it is found best as.

    The idea of CARVE (Lee et al., "Rethinking RAG in long videos: what to retrieve and how to use
    it?", arXiv 2606.13141), without training. A configuration is a ranking at a level. Its
    scores are standardised over the scenes it knows, so that configurations can be compared. A
    chunk, which is a scene of the finest level asked for, has the score of the scene, event or
    video that it is part of. It ranks by the mean over the configurations that know it, and is
    represented by the one in which it stands out most: as that scene or event, in the form that
    the ranking read (``Hit.form``). An event stands for all its chunks, once, and only where none
    of them was taken before it. The fuser has no part in this, unless it joins vectors.

    Attributes:
        widest: the widest level that may represent a chunk. An event in place of its scenes is
            less exact about when.
        normalise: how scores of configurations are made comparable, as for ``fuser=weighted``.
    """

    widest: str = "scene"
    normalise: str = "z"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.widest not in LEVELS:
            raise ValueError(f"no level widest={self.widest}{did_you_mean(self.widest, LEVELS)}")
        if self.normalise not in SCALES:
            raise ValueError(f"no normalise={self.normalise}{did_you_mean(self.normalise, SCALES)}")

    def find(self, query: Query, retriever: Retriever, k: int) -> list[Hit]:
        vectors = retriever.embed(query)
        catalog = retriever.folder.catalog
        with catalog.snapshot():
            told = self.told(query, vectors, retriever)
            chosen = self._chosen(told, retriever, k)
            ids = catalog.table().ids
            items = [Fused(int(ids[row]), s, told.parts.get(row, {})) for row, s, _ in chosen]
            hits = retriever.shown(query, vectors, items)
            return [
                replace(hit, form=_form(hit, ranking, query, vectors, retriever))
                for hit, (_, _, ranking) in zip(hits, chosen, strict=True)
            ]

    def told(self, query: Query, vectors: QueryVectors, retriever: Retriever) -> Told:
        """Every configuration's say; belongs into a snapshot."""
        catalog = retriever.folder.catalog
        table, parent = catalog.table(), parents(catalog)
        finest = min(LEVELS.index(level) for level in query.levels)
        levels = range(finest, max(finest, LEVELS.index(self.widest)) + 1)
        seen = catalog.scope(replace(query, levels=(LEVELS[finest],)))
        rows = np.searchsorted(table.ids, seen.ids)
        above = [rows]
        for _ in levels[1:]:
            above.append(np.where(above[-1] < 0, -1, parent[above[-1]]))
        configurations: list[tuple[int, str]] = []
        values: list[Floats] = []
        parts: dict[int, Mapping[str, Part]] = {}
        for level, standing in zip(levels, above, strict=True):
            rankings = retriever.rankings(replace(query, levels=(LEVELS[level],)), vectors, DEPTH)
            pool = Pool.of(rankings, self.normalise)
            ranked = table.places(pool.places.ids)
            parts |= {row: pool.places.parts(i) for i, row in enumerate(ranked.tolist())}
            for name, of in zip(pool.places.names, pool.values, strict=True):
                whole = np.full(len(table.ids) + 1, np.nan)  # the last for no parent
                whole[ranked] = of
                configurations.append((level, name))
                values.append(whole[standing])
        stacked = np.array(values).reshape(len(configurations), len(rows))
        return Told(configurations, rows, np.array(above), stacked, parts)

    def _chosen(
        self, told: Told, retriever: Retriever, k: int
    ) -> list[tuple[int, float, str | None]]:
        """(row, score, ranking that found it) of the best ``k``, best first."""
        table = retriever.folder.catalog.table()
        has = ~np.isnan(told.values)
        count, score = has.sum(axis=0), told.scores
        named = np.isin(told.rows, np.fromiter(told.parts, np.int64, len(told.parts)))
        best = np.where(has, told.values, -np.inf).argmax(axis=0) if len(has) else count
        kept: dict[int, tuple[int, float, str | None]] = {}
        covered: set[int] = set()  # rows that something kept is a part of
        for chunk in np.lexsort((table.order[told.rows], -score)).tolist():
            line = told.above[:, chunk].tolist()
            if len(kept) == k:
                break
            if not (count[chunk] or named[chunk]) or any(row in kept for row in line):
                continue
            depth, ranking = 0, None
            if count[chunk]:
                level, ranking = told.configurations[best[chunk]]
                depth = level - told.configurations[0][0]
            row = line[depth]
            if row in covered:  # one of its parts was better
                row = line[0]
            kept[row] = row, float(score[chunk]), ranking
            covered.update(line[line.index(row) + 1 :])
        return list(kept.values())


def _form(
    hit: Hit,
    ranking: str | None,
    query: Query,
    vectors: QueryVectors,
    retriever: Retriever,
) -> str | None:
    if ranking is None:
        return None
    catalog = retriever.folder.catalog
    allowed = bounds(query, catalog.video(hit.scene.video))
    lines = within(catalog.texts(hit.scene.video, span=hit.scene.span), allowed)
    return form_of(ranking, query, vectors, retriever, lines)
