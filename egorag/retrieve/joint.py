"""The one ranking of an early fusion: an index's vectors joined over what a query may see."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from egorag.encode.base import Vectors
from egorag.fuse.early import EarlyFusion, Floats, Joined, Rows
from egorag.spaces import EmbeddingSpace
from egorag.store.folder import IndexFolder
from egorag.store.means import all_levels
from egorag.store.records import EncoderRow
from egorag.store.scope import Int64s, Scope
from egorag.types import Query

_KEPT = 4
"""Scopes whose joined vectors are remembered; each takes as much memory as its vectors."""


@dataclass(frozen=True, eq=False)
class QueryVector:
    """A query in one space: float32 [dim]."""

    values: Vectors
    space: EmbeddingSpace


def joint(
    fuser: EarlyFusion,
    folder: IndexFolder,
    query: Query,
    vectors: Mapping[str, tuple[str, QueryVector]],
) -> tuple[Int64s, Floats]:
    """(ids, ascending; cosines) of every scene that the query may see and an encoder knows.

    Every statistic is over those scenes alone, whatever part of them is ranked in the end.

    Args:
        vectors: by ranking: the encoder, and the query in its space.

    Raises:
        SpaceError: a vector is of another space than its encoder.
        StoreError: an artifact is missing or damaged.
    """
    catalog = folder.catalog
    rows = catalog.encoders()
    for encoder, vector in vectors.values():
        space = rows[encoder].space
        assert space is not None
        space.check_same(vector.space)
    seen = query.levels, query.videos, query.after, query.before, query.until, query.like
    key: Hashable = (repr(fuser), *((n, encoder) for n, (encoder, _) in vectors.items()), seen)
    known: dict[Hashable, Joined] = catalog.memo("joined", dict)
    if key not in known:
        scope = catalog.scope(query)
        of = {e: rows_of(folder, rows[e], scope) for e in {e for e, _ in vectors.values()}}
        known[key] = fuser.join({name: of[encoder] for name, (encoder, _) in vectors.items()})
        if len(known) > _KEPT:
            del known[next(iter(known))]
    joined = known[key]
    return joined.ids, fuser.scores({n: v.values for n, (_, v) in vectors.items()}, joined)


def rows_of(folder: IndexFolder, encoder: EncoderRow, scope: Scope) -> Rows:
    """An encoder's vectors of the scope, read from the artifacts of its videos alone."""
    assert encoder.space is not None
    catalog = folder.catalog
    table = catalog.table()
    videos = {table.videos[i].id for i in np.unique(table.video[np.isin(table.ids, scope.ids)])}
    ids = [np.empty(0, np.int64)]
    vectors = [np.empty((0, encoder.space.dim), np.float32)]
    for video, key, sha256, _ in catalog.vector_sources(encoder):
        if video in videos:
            read, spans = folder.artifacts.read_vectors(key, sha256)
            scenes, found = all_levels(catalog.scenes(video), spans, read, encoder.space.normalised)
            own = np.array(scenes, np.int64)
            kept = scope.holds(own)
            ids.append(own[kept])
            vectors.append(found[kept])
    every = np.concatenate(ids)
    order = np.argsort(every)
    return Rows(every[order], np.concatenate(vectors)[order])
