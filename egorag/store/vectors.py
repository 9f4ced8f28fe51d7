"""Searching vectors: one flat FAISS index per encoder over the scenes of all levels.

The files in ``vectors/`` are copies made for speed. Whoever finds one missing, damaged or older
than the catalog makes it anew in memory from the artifacts; only the writer saves it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, did_you_mean
from egorag.spaces import EmbeddingSpace
from egorag.store.artifacts import Artifacts
from egorag.store.catalog import Catalog
from egorag.store.faiss_index import Block, VectorIndex, is_saved, pick_device, saved_digest
from egorag.store.ids import digest
from egorag.store.means import all_levels
from egorag.store.records import EncoderRow
from egorag.store.scope import Int64s, Scope, among


@dataclass
class Vectors:
    """The vectors of an index.

    Attributes:
        folder: where the FAISS files are kept.
        device: ``cpu``, ``cuda`` (needs faiss-gpu), or ``auto``: cuda where it can be had.
            With the causal cut-off, which makes every query its own scope, the CPU searches.
    """

    folder: Path
    catalog: Catalog
    artifacts: Artifacts
    device: str = "auto"

    def __post_init__(self) -> None:
        # By encoder: the catalog's generation it is known to agree with, and the index.
        self._loaded: dict[str, tuple[int, VectorIndex]] = {}

    def search(
        self,
        encoder: str,
        query: npt.NDArray[np.float32],
        space: EmbeddingSpace,
        scope: Scope,
        k: int,
    ) -> list[tuple[int, float]]:
        """The best ``k`` scenes of the scope as (id, score), best first; exact, not approximate.

        Args:
            query: float32 [d], in ``space``.

        Returns:
            Scores are inner products in a normalised space (cosine), else minus the Euclidean
            distance. Equal scores come in order of (video, start, level).

        Raises:
            ConfigError: no such encoder, or it makes no vectors.
            SpaceError: ``space`` is not the encoder's.
            StoreError: the index must be made anew and an artifact is missing or damaged.
        """
        with self.catalog.snapshot():
            row = self._row(encoder)
            assert row.space is not None
            row.space.check_same(space)
            if query.shape != (space.dim,) or not np.isfinite(query).all():
                raise ValueError(
                    f"expected a finite query of shape [{space.dim}], got {list(query.shape)}"
                )
            index = self._current(row)
            ids, scores = index.search(query, scope, k, pick_device(self.device))
            return self.catalog.table().rank(ids, scores, k)

    def holds(self, encoder: str, ids: Int64s) -> npt.NDArray[np.bool_]:
        """bool [m]: which scenes of ``ids`` (int64 [m]) have a vector of the encoder.

        Raises:
            ConfigError, StoreError: as ``search``.
        """
        with self.catalog.snapshot():
            index = self._current(self._row(encoder))
            return among(ids, self.catalog.memo(("held", encoder), lambda: np.sort(index.ids)))

    def refresh(self) -> None:
        """Bring the files up to date with the catalog. Only for the index's one writer.

        Raises:
            StoreError: an artifact is missing or damaged, or a file cannot be written.
        """
        with self.catalog.snapshot():
            rows = self.catalog.scene_encoders()
            for row in rows:
                path = self._path(row.name)
                index = self._current(row)
                if not is_saved(path, index.digest):
                    index.save(path)
            wanted = {self._path(row.name).stem for row in rows}
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.name.split(".")[0] not in wanted:
                    path.unlink()  # of an encoder that is no longer here

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
        sources = self.catalog.vector_sources(row)
        wanted = digest([row.space.to_json(), sources])
        path = self._path(row.name)
        if index is None or (index.digest != wanted and saved_digest(path) == wanted):
            index = VectorIndex.load(path, row.space) or index
        if index is None or index.digest != wanted:
            index = self._build(row.space, sources, wanted, index)
        self._loaded[row.name] = generation, index
        return index

    def _build(
        self,
        space: EmbeddingSpace,
        sources: list[tuple[str, str, str, str]],
        wanted: str,
        old: VectorIndex | None,
    ) -> VectorIndex:
        """From the artifacts; of videos that have not changed, from the index before."""
        kept = {} if old is None else {block.name: block for block in old.blocks()}
        blocks: list[Block] = []
        for video, key, sha, scenes_digest in sources:
            name = digest([space.to_json(), video, sha, scenes_digest])
            if name in kept:
                blocks.append(kept[name])
                continue
            vectors, spans = self.artifacts.read_vectors(key, sha)
            ids, rows = all_levels(self.catalog.scenes(video), spans, vectors, space.normalised)
            blocks.append(Block(name, np.array(ids, dtype=np.int64), rows))
        return VectorIndex.build(space, wanted, blocks)

    def _path(self, encoder: str) -> Path:
        """Encoder names come from configs; any name gives a file inside the folder."""
        if not re.fullmatch(r"[a-z0-9_-]{1,80}", encoder):
            tag = sha256(encoder.encode("utf-8", "surrogatepass")).hexdigest()[:12]
            encoder = re.sub(r"[^a-z0-9_-]", "_", encoder.lower())[:60] + "-" + tag
        return self.folder / f"{encoder}.faiss"
