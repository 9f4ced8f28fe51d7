"""One FAISS index in memory and on disk: exact search over rows that carry scene ids.

On disk it is ``NAME.faiss``, an ordinary IndexIDMap over IndexFlatIP or IndexFlatL2, with
``NAME.json`` beside it, which says from what the rows were made and what the file hashes to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.spaces import EmbeddingSpace
from egorag.store.files import replacing, write_whole
from egorag.store.ids import canonical_json
from egorag.store.scope import Int64s, Scope

_MOST_ON_GPU = 2048  # neighbours that FAISS can select on a GPU

Floats = npt.NDArray[np.float32]


def _faiss() -> Any:
    """FAISS, imported when first needed (0.4 s); its stubs lack what its Python layer adds."""
    import faiss

    return faiss


def _flat(space: EmbeddingSpace) -> Any:
    """An empty exact index: cosine in a normalised space, else Euclidean distance."""
    faiss = _faiss()
    return faiss.IndexFlatIP(space.dim) if space.normalised else faiss.IndexFlatL2(space.dim)


@dataclass(frozen=True, eq=False)
class Block:
    """The rows of one video: ``name`` hashes what they were made from."""

    name: str
    ids: Int64s
    vectors: Floats


@dataclass(eq=False)
class VectorIndex:
    """Vectors of one encoder, searchable.

    Attributes:
        digest: hash of everything the rows were made from.
        contents: (block name, number of rows), in row order.
        index: faiss.IndexIDMap over a flat index.
    """

    space: EmbeddingSpace
    digest: str
    contents: list[tuple[str, int]]
    index: Any

    def __post_init__(self) -> None:
        faiss = _faiss()
        self.ids: Int64s = faiss.vector_to_array(self.index.id_map)
        self._flat = faiss.downcast_index(self.index.index)
        self._on_gpu: tuple[Scope, Int64s, Any, Any] | None = None

    @classmethod
    def build(cls, space: EmbeddingSpace, digest: str, blocks: Sequence[Block]) -> VectorIndex:
        """An index of these rows, in this order."""
        faiss = _faiss()
        index = faiss.IndexIDMap(_flat(space))
        for block in blocks:
            index.add_with_ids(np.ascontiguousarray(block.vectors), block.ids)
        return cls(space, digest, [(block.name, len(block.ids)) for block in blocks], index)

    def blocks(self) -> Iterator[Block]:
        """The rows it was built from; valid while the index lives."""
        vectors = self._vectors()
        start = 0
        for name, count in self.contents:
            yield Block(name, self.ids[start : start + count], vectors[start : start + count])
            start += count

    def search(self, query: Floats, scope: Scope, k: int, device: str) -> tuple[Int64s, Floats]:
        """Ids and scores of the best ``k`` rows of the scope, best first.

        Rows outside the scope are passed over inside FAISS. Each score is computed from its own
        row alone, so that it does not depend on what else the index holds.
        """
        faiss = _faiss()
        seen = scope.holds(self.ids)
        k = min(k, int(seen.sum()))
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        queries = np.ascontiguousarray(query[None], dtype=np.float32)
        if device == "cuda" and not scope.causal and k <= _MOST_ON_GPU:
            chosen_rows, gpu = self._gpu(scope, seen)
            distances, places = gpu.search(queries, k)
            rows = chosen_rows[places]
        else:
            bits = np.packbits(seen, bitorder="little")
            chosen = faiss.IDSelectorBitmap(len(seen), faiss.swig_ptr(bits))
            distances, rows = self._flat.search(
                queries, k, params=faiss.SearchParameters(sel=chosen)
            )
        scores = distances[0] if self.space.normalised else -np.sqrt(distances[0].clip(min=0))
        return self.ids[rows[0]], scores

    def _gpu(self, scope: Scope, seen: npt.NDArray[np.bool_]) -> tuple[Int64s, Any]:
        """Row numbers of the scope and a GPU index of just these rows, kept for the last scope.

        FAISS cannot pass rows over on a GPU.
        """
        faiss = _faiss()
        if self._on_gpu is None or self._on_gpu[0] is not scope:
            rows = np.flatnonzero(seen)
            part = _flat(self.space)
            part.add(self._vectors()[rows])
            # The resources must live as long as the index that uses them.
            resources = faiss.StandardGpuResources()
            gpu = faiss.index_cpu_to_gpu(resources, 0, part)
            self._on_gpu = scope, rows, resources, gpu
        return self._on_gpu[1], self._on_gpu[3]

    def _vectors(self) -> Floats:
        """All rows, float32 [n, d]: a view that is valid while the index lives."""
        size = self._flat.ntotal * self.space.dim
        view: Floats = _faiss().rev_swig_ptr(self._flat.get_xb(), size)
        return view.reshape(-1, self.space.dim)

    def save(self, path: Path) -> None:
        """Write both files, each whole or not at all; StoreError if that fails.

        A reader between the two finds that they do not belong together and builds its own.
        """
        faiss = _faiss()
        hasher = hashlib.sha256()
        with replacing(path) as file:

            def write(data: bytes) -> int:
                hasher.update(data)
                return file.write(data)

            faiss.write_index(self.index, faiss.PyCallbackIOWriter(write))
        header = {
            "digest": self.digest,
            "sha256": hasher.hexdigest(),
            "space": self.space.to_json(),
            "blocks": self.contents,
        }
        write_whole(_header_path(path), canonical_json(header))

    @classmethod
    def load(cls, path: Path, space: EmbeddingSpace) -> VectorIndex | None:
        """The saved index, or None if there is none that is whole and of this space."""
        faiss = _faiss()
        header = _read_header(path)
        if header is None or header["space"] != space.to_json() or not _intact(path, header):
            return None
        with path.open("rb") as file:
            index = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        contents = [(str(name), int(count)) for name, count in header["blocks"]]
        whole = sum(count for _, count in contents) == index.ntotal and index.d == space.dim
        return cls(space, header["digest"], contents, index) if whole else None


def saved_digest(path: Path) -> str | None:
    """The digest of the index saved at ``path``, as its header claims; None if there is none."""
    header = _read_header(path)
    return header["digest"] if header else None


def is_saved(path: Path, digest: str) -> bool:
    """Whether the index with this digest lies whole at ``path``."""
    header = _read_header(path)
    return header is not None and header["digest"] == digest and _intact(path, header)


def _header_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _read_header(path: Path) -> dict[str, Any] | None:
    try:
        header = json.loads(_header_path(path).read_bytes())
    except (OSError, ValueError):  # missing or damaged: both mean "make it anew"
        return None
    known = {"digest", "sha256", "space", "blocks"}
    return header if isinstance(header, dict) and known <= header.keys() else None


def _intact(path: Path, header: dict[str, Any]) -> bool:
    try:
        with path.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == header["sha256"])
    except OSError:
        return False


def pick_device(wanted: str) -> str:
    """``cpu`` or ``cuda`` for ``cpu``, ``cuda`` or ``auto``.

    Raises:
        ConfigError: cuda is wanted but the installed FAISS or the machine has none.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {wanted!r}")
    if wanted == "cpu":
        return "cpu"
    faiss = _faiss()
    if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0:
        return "cuda"
    if wanted == "cuda":
        raise ConfigError(
            "device=cuda: the installed FAISS finds no GPU; install faiss-gpu instead of "
            "faiss-cpu on a machine with one, or use device=cpu"
        )
    return "cpu"
