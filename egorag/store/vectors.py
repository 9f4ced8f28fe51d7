"""Searching vectors: one index per encoder over the scenes of all levels.

The files in ``vectors/`` are copies made for speed. Whoever finds one missing, damaged or older
than the catalog makes it anew in memory from the artifacts; only the writer saves it. A file is
named after its content, so that readers of the one before it are not disturbed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, did_you_mean
from egorag.spaces import EmbeddingSpace
from egorag.store import tables
from egorag.store.artifacts import Artifacts
from egorag.store.catalog import Catalog
from egorag.store.columns import ENDING, DamagedError
from egorag.store.faiss_index import EXACT_UP_TO, Block, VectorIndex, pick_device
from egorag.store.ids import digest
from egorag.store.means import all_levels
from egorag.store.records import EncoderRow
from egorag.store.scope import Int64s, Scope
from egorag.store.vector_rows import one_thread

_ALONE = 50_000  # rows that are searched in less time (3 ms) than a thread may wait for its turn

Ranked = list[tuple[int, float]]
"""Scenes as (id, score), best first."""


@dataclass
class Vectors:
    """The vectors of an index.

    Attributes:
        folder: where the files are kept.
        device: ``cpu``, ``cuda`` (needs faiss-gpu), or ``auto``: cuda where it can be had.
            With the causal cut-off, which makes every query its own scope, the CPU searches.
        exact_up_to: scopes of up to so many scenes are searched exactly, larger ones by codes that
            propose candidates; the writer decides whether there are codes. Default: as the index
            was made, ``EXACT_UP_TO`` for a new one.
    """

    folder: Path
    catalog: Catalog
    artifacts: Artifacts
    device: str = "auto"
    exact_up_to: int | None = None

    def __post_init__(self) -> None:
        limit = self.exact_up_to
        if limit is not None and (type(limit) is not int or limit < 0):
            raise ConfigError(f"exact_up_to must be a whole number, 0 or more, got {limit!r}")
        # By encoder: the catalog's generation it is known to agree with, and the index.
        self._loaded: dict[str, tuple[int, VectorIndex]] = {}

    def search(
        self,
        encoder: str,
        query: npt.NDArray[np.float32],
        space: EmbeddingSpace,
        scope: Scope,
        k: int,
    ) -> Ranked:
        """The best ``k`` scenes of the scope as (id, score), best first.

        Exact up to ``exact_up_to`` scenes and with the causal cut-off. Above, candidates are
        proposed by codes, as many as were measured to hold the best (see ``Tuned``).

        Args:
            query: float32 [d], in ``space``.

        Returns:
            Scores are inner products in a normalised space (cosine), else minus the Euclidean
            distance; always of the exact vectors. Equal scores come in order of (video, start,
            level).

        Raises:
            ConfigError: no such encoder, or it makes no vectors.
            SpaceError: ``space`` is not the encoder's.
            StoreError: the index must be made anew and an artifact is missing or damaged.
        """
        with self.catalog.snapshot():
            return self.start(encoder, query, space, scope, k)()

    def start(
        self,
        encoder: str,
        query: npt.NDArray[np.float32],
        space: EmbeddingSpace,
        scope: Scope,
        k: int,
    ) -> Callable[[], Ranked]:
        """Begin a ``search`` in a thread of its own; call what is returned for its result.

        Several encoders are then searched at once. Both calls belong into one snapshot.
        """
        row = self._row(encoder)
        assert row.space is not None
        row.space.check_same(space)
        if query.shape != (space.dim,) or not np.isfinite(query).all():
            raise ValueError(
                f"expected a finite query of shape [{space.dim}], got {list(query.shape)}"
            )
        device = pick_device(self.device)

        def begin() -> Callable[[], tuple[Int64s, npt.NDArray[np.float32]]]:
            index = self._current(row)
            seen = scope.remember(index, lambda: self._seen(row, index, scope))

            def look() -> tuple[Int64s, npt.NDArray[np.float32]]:
                with one_thread():
                    return index.search(query, scope, seen, k, device, self.exact_up_to)

            return _pool(os.getpid()).submit(look).result if len(index) > _ALONE else look

        begun = begin()

        def finish() -> Ranked:
            try:
                ids, scores = begun()
            except DamagedError:
                self._renew(row)
                ids, scores = begin()()
            return self.catalog.table().rank(ids, scores, k)

        return finish

    def holds(self, encoder: str, ids: Int64s) -> npt.NDArray[np.bool_]:
        """bool [m]: which scenes of ``ids`` (int64 [m]) have a vector of the encoder.

        Raises:
            ConfigError, StoreError: as ``search``.
        """
        with self.catalog.snapshot():
            index = self._current(self._row(encoder))
            return self._places(encoder, index, ids)[1]

    def rows(self, encoder: str, ids: Int64s) -> npt.NDArray[np.float32]:
        """float32 [m, d]: the vectors of scenes ``ids`` (int64 [m]), NaN where there is none.

        Raises:
            ConfigError, StoreError: as ``search``.
        """
        with self.catalog.snapshot():
            row = self._row(encoder)
            try:
                return self._taken(self._current(row), row, ids)
            except DamagedError:
                self._renew(row)
                return self._taken(self._current(row), row, ids)

    def _taken(self, index: VectorIndex, row: EncoderRow, ids: Int64s) -> npt.NDArray[np.float32]:
        assert row.space is not None
        found = np.full((len(ids), row.space.dim), np.nan, np.float32)
        places, there = self._places(row.name, index, ids)
        found[there] = index.take(places[there])
        return found

    def _places(
        self, encoder: str, index: VectorIndex, ids: Int64s
    ) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        """Row of each scene of ``ids`` in the index, and whether it has one."""
        if not len(index):
            return np.zeros(len(ids), np.int64), np.zeros(len(ids), bool)
        order = self._order(encoder, index)
        at = np.searchsorted(index.ids, ids, sorter=order).clip(max=len(index) - 1)
        return order[at], index.ids[order[at]] == ids

    def _order(self, encoder: str, index: VectorIndex) -> Int64s:
        """Rows of the index in ascending order of scene id."""
        return self.catalog.memo(("by id", encoder), lambda: np.argsort(index.ids))

    def refresh(self) -> None:
        """Bring these files and ``tables/`` up to date with the catalog; for the one writer only.

        Raises:
            StoreError: an artifact is missing or damaged, or a file cannot be written.
        """
        catalog = self.catalog
        with catalog.snapshot():
            read = catalog.read_table, catalog.text_lengths, catalog.text_terms
            tables.save(catalog.tables, catalog.generation(), *read)
            wanted = {self._refreshed(row) for row in self.catalog.scene_encoders()}
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path not in wanted:
                    with contextlib.suppress(PermissionError):  # Windows: a reader has it open
                        path.unlink()

    def _refreshed(self, row: EncoderRow) -> Path:
        """The encoder's file, whole and as the settings say; written where it was not."""
        assert row.space is not None
        limit = EXACT_UP_TO if self.exact_up_to is None else self.exact_up_to
        sources, wanted = self._wanted(row)
        path = self._path(row.name, wanted)
        index = VectorIndex.load(path, row.space, whole=True)
        if index is None or index.digest != wanted or not index.made_with(limit):
            blocks = self._blocks(row.space, sources, index or self._older(row))
            table = self.catalog.table()
            VectorIndex.write(
                path,
                row.space,
                wanted,
                blocks,
                limit,
                lambda ids: table.level[table.places(ids)] == 0,
            )
            index = VectorIndex.load(path, row.space)
        if index is not None:
            self._loaded[row.name] = self.catalog.generation(), index
        return path

    def _row(self, encoder: str) -> EncoderRow:
        rows = self.catalog.memo("encoders", self.catalog.encoders)
        with_space = [name for name, row in rows.items() if row.space is not None]
        if encoder not in with_space:
            raise ConfigError(
                f"this index has no vectors of encoder {encoder!r}"
                f"{did_you_mean(encoder, with_space)}"
            )
        return rows[encoder]

    def _current(self, row: EncoderRow) -> VectorIndex:
        """The encoder's index as of the catalog's present content."""
        generation = self.catalog.generation()
        known, index = self._loaded.get(row.name, (None, None))
        if index is not None and known == generation:
            return index
        assert row.space is not None
        sources, wanted = self._wanted(row)
        if index is None or index.digest != wanted:
            index = VectorIndex.load(self._path(row.name, wanted), row.space) or index
        if index is None or index.digest != wanted:
            blocks = self._blocks(row.space, sources, index or self._older(row))
            index = VectorIndex.build(row.space, wanted, blocks)
        self._loaded[row.name] = generation, index
        return index

    def _renew(self, row: EncoderRow) -> None:
        """Make the encoder's index in memory, from the artifacts where its rows are damaged."""
        assert row.space is not None
        sources, wanted = self._wanted(row)
        blocks = self._blocks(row.space, sources, self._loaded[row.name][1])
        index = VectorIndex.build(row.space, wanted, blocks)
        self._loaded[row.name] = self.catalog.generation(), index

    def _wanted(self, row: EncoderRow) -> tuple[list[tuple[str, str, str, str]], str]:
        """What the encoder's index is to be made from, and the hash of it all."""
        assert row.space is not None
        sources = self.catalog.vector_sources(row)
        return sources, digest([row.space.to_json(), sources])

    def _older(self, row: EncoderRow) -> VectorIndex | None:
        """A saved index of the encoder, as of another content of the catalog."""
        assert row.space is not None
        paths = sorted(self.folder.glob(f"{_file_name(row.name)}.*{ENDING}"))
        found = (VectorIndex.load(path, row.space) for path in paths)
        return next((index for index in found if index is not None), None)

    def _blocks(
        self,
        space: EmbeddingSpace,
        sources: list[tuple[str, str, str, str]],
        old: VectorIndex | None,
    ) -> Iterator[Block]:
        """From the artifacts; of videos that have not changed, from the index before."""
        for video, key, sha, scenes_digest in sources:
            name = digest([space.to_json(), video, sha, scenes_digest])
            block = old.block(name) if old is not None else None
            if block is None:
                vectors, spans = self.artifacts.read_vectors(key, sha)
                scenes = self.catalog.scenes(video)
                ids, rows = all_levels(scenes, spans, vectors, space.normalised)
                block = Block(name, np.array(ids, dtype=np.int64), rows)
            yield block

    def _seen(self, row: EncoderRow, index: VectorIndex, scope: Scope) -> npt.NDArray[np.bool_]:
        """bool [n]: which rows of the index the scope allows."""
        table = self.catalog.table()
        if scope.table is not table:  # of a moment before the last write
            return scope.holds(index.ids)

        def places() -> Int64s:  # looked up in order, neighbours share a line of the cache
            order = self._order(row.name, index)
            found = np.empty(len(index), np.int64)
            found[order] = table.places(index.ids[order])
            return found

        return scope.allows[self.catalog.memo(("places", row.name), places)]

    def _path(self, encoder: str, digest: str) -> Path:
        return self.folder / f"{_file_name(encoder)}.{digest[:16]}{ENDING}"


def _file_name(encoder: str) -> str:
    """Encoder names come from configs; any name gives a file inside the folder."""
    if re.fullmatch(r"[a-z0-9_-]{1,80}", encoder):
        return encoder
    tag = sha256(encoder.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return re.sub(r"[^a-z0-9_-]", "_", encoder.lower())[:60] + "-" + tag


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads that search, shared by all indexes of this process; a forked one has its own."""
    return ThreadPoolExecutor(os.cpu_count(), "egorag-search")
