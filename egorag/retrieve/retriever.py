"""From a query to ranked scenes: dense search per encoder and BM25, fused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Encoder, QueryEncoder
from egorag.errors import ConfigError, SpaceError, did_you_mean
from egorag.fuse.base import Covered, Fused, Fuser, Ranking
from egorag.fuse.early import JOINT, EarlyFusion
from egorag.fuse.places import FusedList
from egorag.retrieve.bridges import REMEDY, Bridge
from egorag.retrieve.joint import QueryVector, joint
from egorag.retrieve.moments import Fine, best_moments, focused
from egorag.retrieve.shown import shown
from egorag.store.folder import IndexFolder
from egorag.store.fulltext import has_text, search_text
from egorag.store.scope import Int64s, Scope, among
from egorag.terminal import plain
from egorag.types import Hit, Query

BM25 = "bm25"
"""Name of the full-text ranking, beside the encoders' names."""


QueryVectors: TypeAlias = Mapping[tuple[str, str], QueryVector]
"""By (encoder, medium)."""


class Retriever:
    """Searches one index folder.

    Args:
        encoders: encoders of the index by name, set up; those without a space are ignored.
        fuser: makes one list of the rankings.
        depth: scenes taken from each ranking (at least ``k``).
        without: rankings to leave out, by encoder or ``bm25``.
        bridges: projections by the encoder that they let text into; their text encoders are
            among ``encoders``, whether or not these have a ranking of their own.

    Raises:
        ConfigError: a depth below 1, or a name that is no ranking of this index.
    """

    def __init__(
        self,
        folder: IndexFolder,
        encoders: Mapping[str, Encoder],
        fuser: Fuser,
        depth: int = 300,
        without: Collection[str] = (),
        bridges: Mapping[str, Bridge] | None = None,
    ) -> None:
        if depth < 1:
            raise ConfigError(f"depth must be 1 or more scenes a ranking, got {depth}")
        self.folder = folder
        self.encoders = {
            n: e for n, e in encoders.items() if e.space is not None and n not in without
        }
        self.without = frozenset(without)
        self.bridges = {n: b for n, b in (bridges or {}).items() if n not in without}
        self._texts = encoders
        self.fuser = fuser
        self.depth = depth
        queries = self._queries()
        media = {n: [*takes, "like"] for n, takes in queries.items()}
        fuser.check([BM25, *queries, *(f"{n}:{m}" for n, takes in media.items() for m in takes)])
        for name in self.without:
            if name not in (BM25, *queries):
                raise ConfigError(f"without names {name!r}{did_you_mean(name, [BM25, *queries])}")

    def search(self, query: Query, k: int = 10) -> list[Hit]:
        """The best ``k`` scenes the query may see, best first; fewer where there are no more.

        Every medium of the query is searched: its vectors in each space that takes it, its text
        by BM25 too; a scene, by its own stored vectors, in each space that has one of it, whether
        or not queries enter that. Equal scores come in order of best single rank, then (video,
        start, level).

        Raises:
            ConfigError: ``k`` below 1, an empty text, an unknown video.
            SpaceError: no encoder of the index takes a medium of the query.
        """
        if k < 1:
            raise ConfigError(f"k must be 1 or more, got {k}")
        vectors = self.embed(query)
        with self.folder.catalog.snapshot():
            return self.shown(query, vectors, self.ranked(query, vectors, k)[:k])

    def ranked(
        self, query: Query, vectors: QueryVectors, k: int, scope: Scope | None = None
    ) -> FusedList:
        """The fused list in the order of ``search``, and what follows its first ``k`` as far as
        the rankings were read. Belongs into a snapshot.

        Args:
            vectors: what ``embed`` made of the query.
            scope: what is searched; by default all that the query may see.
        """
        catalog = self.folder.catalog
        scope = scope or catalog.scope(query)
        found = self.fuser.fuse(self._rankings(query, vectors, max(k, self.depth), scope))
        table = catalog.table()
        return replace(found, ties=table.order[table.places(found.places.ids)])

    def shown(self, query: Query, vectors: QueryVectors, items: Sequence[Fused]) -> list[Hit]:
        """Hits in the order of ``items``; encoders of moments tell their ``focus``."""
        hits = shown(query, items, self.folder.catalog)
        fine = self._fine()
        asked = {fine[name]: vector for (name, _), vector in vectors.items() if name in fine}
        return focused(self.folder, query, hits, asked) if asked else hits

    def rankings(
        self, query: Query, vectors: QueryVectors | None = None, depth: int | None = None
    ) -> dict[str, Ranking]:
        """What ``search`` fuses: ``depth`` scenes each, and which others each one knows.

        Args:
            vectors: what ``embed`` made of the query, where that is known.
            depth: other than the retriever's.

        Raises:
            ConfigError, SpaceError: as ``search``.
        """
        vectors = self.embed(query) if vectors is None else vectors
        with self.folder.catalog.snapshot():
            scope = self.folder.catalog.scope(query)
            return self._rankings(query, vectors, depth or self.depth, scope)

    def untimed(self, query: Query) -> int:
        """How many videos a dated filter leaves out because their own date is not known."""
        return self.folder.catalog.scope(query).untimed

    def left_out(self, query: Query) -> dict[str, str]:
        """Rankings of this index that have no part in answering ``query``, and why."""
        asked = query.media
        called = ["a scene" if medium == "like" else medium for medium in asked]
        takes = {**self._queries(), BM25: ["text"]}
        stored = self._stored(query)
        return {
            name: "left out on request"
            if name in self.without
            else "has no vector of the scene"
            if asked == ("like",) and name != BM25
            else f"takes {' or '.join(media) or 'no query'}, not {' or '.join(called)}"
            f"{f'; {REMEDY}' if 'text' in asked and 'video' in media else ''}"
            for name, media in takes.items()
            if name in self.without or not (set(media) & set(asked) or name in stored)
        }

    def notes(self, query: Query) -> list[str]:
        """What a reader of the results must know: which rankings were trained on what they rank."""
        if query.text is None or not self.bridges:
            return []
        catalog = self.folder.catalog
        table, ids = catalog.table(), catalog.scope(query).ids
        places = np.unique(table.video[np.searchsorted(table.ids, ids)])
        searched = [table.videos[place].id for place in places.tolist()]
        notes = []
        for name, bridge in sorted(self.bridges.items()):
            if seen := len(bridge.projection.seen.intersection(searched)):
                notes.append(
                    f"{name}: projection {bridge.projection.name!r} was trained on {seen} of these "
                    f"{len(searched)} videos; how well it finds text in them says nothing of others"
                )
        return notes

    def embed(self, query: Query) -> QueryVectors:
        """The query in every space that takes a medium of it.

        Raises:
            ConfigError: an empty text, or a scene that is not known before ``until``.
            SpaceError: no encoder of the index takes a medium of the query.
        """
        if query.text is not None and not plain(query.text):
            raise ConfigError("the query text is empty; say what to look for")
        vectors: dict[tuple[str, str], QueryVector] = {}
        for medium in query.media:
            if medium == "like":
                continue
            takers = [n for n, e in self.encoders.items() if e.space and medium in e.space.queries]
            others = medium == "text" and (self.bridges or BM25 not in self.without)
            if not takers and not others:
                raise SpaceError(self._no_taker(medium))
            for name in takers:
                vectors[name, medium] = _embed(self.encoders[name], query, medium)
        for name, bridge in self.bridges.items() if query.text is not None else ():
            text = vectors.get((bridge.text, "text"))
            text = text or _embed(self._texts[bridge.text], query, "text")
            projected = bridge.projection.apply(text.values, text.space)
            vectors[name, "text"] = QueryVector(projected, bridge.projection.target)
        if query.like is not None:
            stored = self._stored(query)
            if not stored:
                held = ", ".join(sorted(self.without)) or "none"
                raise SpaceError(
                    f"no encoder of this index has a vector of the scene (without: {held}); index "
                    "its video with one that makes vectors of scenes (python -m egorag.doctor)"
                )
            vectors |= {(name, "like"): vector for name, vector in stored.items()}
        return vectors

    def _stored(self, query: Query) -> dict[str, QueryVector]:
        """The vectors of ``query.like``, by the encoders that have one."""
        found: dict[str, QueryVector] = {}
        if query.like is None:
            return found
        catalog = self.folder.catalog
        with catalog.snapshot():
            catalog.scope(query)  # refuses, before anything is read, what may not be seen
            for row in catalog.scene_encoders():
                if row.name not in self.without and row.space is not None:
                    (values,) = self.folder.vectors.rows(row.name, np.array([query.like.id]))
                    if np.isfinite(values).all():
                        found[row.name] = QueryVector(values, row.space)
        return found

    def _queries(self) -> dict[str, list[str]]:
        """The media that reach each space of the index, by encoder."""
        rows = sorted(self.folder.catalog.encoders().items())
        return {
            n: sorted(row.space.queries | ({"text"} if n in self.bridges else set()))
            for n, row in rows
            if row.space is not None
        }

    def _fine(self) -> dict[str, Fine]:
        """The encoders of moments, which rank a scene by its best one."""
        catalog = self.folder.catalog
        coarse = catalog.memo("coarse", lambda: {row.name for row in catalog.scene_encoders()})
        return {
            name: Fine(name, getattr(encoder, "reach", 0))
            for name, encoder in self.encoders.items()
            if name not in coarse
        }

    def _no_taker(self, medium: str) -> str:
        takes = [f"{n} ({', '.join(media) or 'none'})" for n, media in self._queries().items()]
        listed = ", ".join([*takes, f"{BM25} (text)"])
        held = ", ".join(sorted(self.without))
        return (
            f"no encoder of this index takes a query by {medium}; its spaces and the queries they "
            f"take: {listed}{f' (without: {held})' if held else ''}. Index again with an encoder "
            f"that takes {medium} (python -m egorag.doctor lists them)"
            f"{f'; {REMEDY}' if medium == 'text' else ''}"
        )

    def _rankings(
        self, query: Query, vectors: QueryVectors, depth: int, scope: Scope
    ) -> dict[str, Ranking]:
        """Rankings by name: the encoder's, with the medium where it takes several of the query."""
        catalog, index = self.folder.catalog, self.folder.vectors
        names = [name for name, _ in vectors]
        called = {
            name if names.count(name) == 1 else f"{name}:{medium}": (name, vector)
            for (name, medium), vector in vectors.items()
        }
        found: dict[str, Sequence[tuple[int, float]]] = {}
        begun: dict[str, Callable[[], Sequence[tuple[int, float]]]] = {}
        holds: dict[str, Callable[[Int64s], npt.NDArray[np.bool_]]] = {}
        if isinstance(self.fuser, EarlyFusion) and called:
            every, scores = joint(self.fuser, self.folder, query, called)
            seen = scope.holds(every)
            found[JOINT] = catalog.table().rank(every[seen], scores[seen], depth)
            holds[JOINT] = functools.partial(among, ascending=every)
            called = {}
        fine = self._fine()
        for ranking, (name, vector) in called.items():
            if name in fine:
                every, scores = best_moments(self.folder, query, scope, fine[name], vector)
                found[ranking] = catalog.table().rank(every, scores, depth)
                holds[ranking] = functools.partial(among, ascending=every)
                continue
            begun[ranking] = index.start(name, vector.values, vector.space, scope, depth)
            holds[ranking] = functools.partial(index.holds, name)
        words = None
        if query.text is not None and BM25 not in self.without:
            words = search_text(catalog, query.text, scope, depth)  # while vectors are searched
            holds[BM25] = functools.partial(has_text, catalog)
        found |= {name: wait() for name, wait in begun.items()}
        if words is not None:
            found[BM25] = words
        # Only scenes of the scope are asked about, so nothing beyond it can show.
        ids = np.array(sorted({i for pairs in found.values() for i, _ in pairs}), dtype=np.int64)
        known = {name: frozenset(ids[held(ids)].tolist()) for name, held in holds.items()}
        # Text with none of the words scores 0 by BM25, unless the list was cut off before it.
        floors = {
            name: 0.0 if not pairs or (name == BM25 and len(pairs) < depth) else pairs[-1][1]
            for name, pairs in found.items()
        }
        return {name: Covered(pairs, known[name], floors[name]) for name, pairs in found.items()}


def _embed(encoder: Encoder, query: Query, medium: str) -> QueryVector:
    assert isinstance(encoder, QueryEncoder) and encoder.space is not None
    made = np.asarray(encoder.embed_query(query, medium), np.float32)
    if made.shape != (encoder.space.dim,) or not np.isfinite(made).all():
        raise SpaceError(
            f"{type(encoder).__name__}.embed_query gave {list(made.shape)} {made!r:.80}, but a "
            f"query in the space of {encoder.space.model} is {encoder.space.dim} finite numbers"
        )
    return QueryVector(made, encoder.space)
