"""The vectors of one encoder, searchable: their file, and the three ways to search them.

On disk it is ``NAME.DIGEST.safetensors``: scene ids, rows, what they were made from, and
codes where there are so many rows that scoring each would be slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.spaces import EmbeddingSpace
from egorag.store import codes
from egorag.store.codes import Tuned
from egorag.store.columns import Columns, DamagedError, writing
from egorag.store.half_rows import HalfRows
from egorag.store.ids import canonical_json
from egorag.store.scope import Int64s, Scope
from egorag.store.vector_rows import Floats, VectorRows, load_faiss, one_thread, row_sums

EXACT_UP_TO = 200_000
"""Scopes of more scenes than this are searched by codes first. Of 768-d vectors exact search takes
8 ms of one core over 100,000 scenes, codes take 13 over 1,000,000 (``benchmarks/search.py``)."""

_FEW = 10_000  # rows that are scored one by one in less time than copies take to pay off
_MOST_ON_GPU = 2048  # neighbours that FAISS can select on a GPU


@dataclass(frozen=True, eq=False)
class Block:
    """The rows of one video: ``name`` (a SHA-256) tells what they were made from."""

    name: str
    ids: Int64s
    vectors: Floats


class VectorIndex:
    """Vectors of one encoder in the order of their blocks.

    Attributes:
        digest: hash of everything the rows were made from.
        ids: int64 [n], the scene of each row.
        tuned: what the codes were measured to need; None where there are none.
    """

    def __init__(
        self,
        digest: str,
        ids: Int64s,
        rows: VectorRows,
        contents: list[tuple[str, int]],
        tuned: Tuned | None = None,
        coded: Any = None,
    ) -> None:
        self.digest = digest
        self.ids = ids
        self.tuned = tuned
        self._rows = rows
        starts = np.cumsum([0, *(count for _, count in contents)]).tolist()
        self._starts = {
            name: (start, count) for start, (name, count) in zip(starts, contents, strict=False)
        }
        self._codes = coded
        self._halves: HalfRows | None = None
        self._searched = False
        self._on_gpu: tuple[Scope, Int64s, Any, Any] | None = None

    @classmethod
    def build(cls, space: EmbeddingSpace, digest: str, blocks: Iterable[Block]) -> VectorIndex:
        """An index of these rows in memory, searched exactly."""
        kept = list(blocks)
        ids = [block.ids for block in kept]
        vectors = np.concatenate([*(b.vectors for b in kept), np.empty((0, space.dim), np.float32)])
        rows = VectorRows(vectors, None, space.normalised)
        contents = [(block.name, len(block.ids)) for block in kept]
        return cls(digest, np.concatenate([*ids, np.empty(0, np.int64)]), rows, contents)

    @classmethod
    def write(
        cls,
        path: Path,
        space: EmbeddingSpace,
        digest: str,
        blocks: Iterable[Block],
        exact_up_to: int,
        leaves: Callable[[Int64s], codes.Mask],
    ) -> None:
        """Write the file, whole or not at all, block by block; StoreError if that fails.

        Args:
            leaves: which scenes of these ids are of level 0.
        """
        kept: list[tuple[str, Int64s, npt.NDArray[np.uint32]]] = []

        def parts() -> Iterator[Floats]:
            for block in blocks:
                kept.append((block.name, block.ids, row_sums(block.vectors)))
                yield block.vectors

        with writing(path) as file:
            file.meta = {"digest": digest, "space": canonical_json(space.to_json()).decode()}
            count = file.add("rows", parts(), "F32", (space.dim,))
            sums = [sums for _, _, sums in kept]
            file.add("ids", [ids for _, ids, _ in kept], "I64")
            file.add("counts", [np.array([len(ids) for _, ids, _ in kept])], "I64")
            file.add("sums", sums, "U32")
            names = np.frombuffer(bytes.fromhex("".join(name for name, _, _ in kept)), np.uint8)
            file.add("blocks", [names.reshape(-1, 32)], "U8", (32,))
            if count > max(exact_up_to, codes.LEAST_ROWS - 1):
                rows = VectorRows(file.mapped("rows"), np.concatenate(sums), space.normalised)
                ids = np.concatenate([ids for _, ids, _ in kept])
                with one_thread():
                    coded = codes.encode(rows)
                    tuned = codes.tune(coded, rows, leaves(ids), exact_up_to)
                file.meta["tuned"] = tuned.to_json()
                if tuned.wanted is not None:
                    faiss = load_faiss()
                    file.add("codes", [faiss.serialize_index(coded)], "U8")

    @classmethod
    def load(cls, path: Path, space: EmbeddingSpace, whole: bool = False) -> VectorIndex | None:
        """The saved index, or None if there is none that is whole and of this space.

        Args:
            whole: whether to check all rows now, not each one when it is used.
        """
        try:
            columns = Columns(path)
            if whole:
                for name in columns:
                    columns[name]
            return cls._from(columns, space)
        except (DamagedError, KeyError, ValueError, TypeError, RuntimeError):
            return None  # RuntimeError: of a FAISS that cannot read the codes of another

    @classmethod
    def _from(cls, columns: Columns, space: EmbeddingSpace) -> VectorIndex:
        meta, vectors = columns.meta, columns.unchecked("rows")
        ids, counts, names, sums = (columns[n] for n in ("ids", "counts", "blocks", "sums"))
        if meta["space"] != canonical_json(space.to_json()).decode():
            raise DamagedError("made for another space")
        if vectors.shape != (counts.sum(), space.dim) or not len(ids) == len(sums) == len(vectors):
            raise DamagedError("columns of different lengths")
        contents = [
            (name.tobytes().hex(), count)
            for name, count in zip(names, counts.tolist(), strict=True)
        ]
        tuned = Tuned.from_json(meta["tuned"]) if "tuned" in meta else None
        coded = None
        if "codes" in columns:
            coded = _read(columns["codes"])
        rows = VectorRows(vectors, sums, space.normalised)
        return cls(meta["digest"], ids, rows, contents, tuned, coded)

    def __len__(self) -> int:
        return len(self.ids)

    def made_with(self, exact_up_to: int) -> bool:
        """Whether it has the codes that this setting calls for."""
        above = exact_up_to if len(self) > max(exact_up_to, codes.LEAST_ROWS - 1) else None
        return above == (self.tuned and self.tuned.above)

    def block(self, name: str) -> Block | None:
        """One of the blocks it was built from, if it has it and the rows have not changed."""
        if name not in self._starts:
            return None
        start, count = self._starts[name]
        try:
            vectors = self._rows.part(start, start + count)
        except DamagedError:
            return None
        return Block(name, self.ids[start : start + count], vectors)

    def take(self, places: Int64s) -> Floats:
        """The rows at ``places`` (int64 [m]), float32 [m, d].

        Raises:
            DamagedError: a row has changed since it was written.
        """
        return self._rows.take(places)

    def search(
        self,
        query: Floats,
        scope: Scope,
        seen: npt.NDArray[np.bool_],
        k: int,
        device: str = "cpu",
        exact_up_to: int | None = None,
    ) -> tuple[Int64s, Floats]:
        """Ids and exact scores of the best ``k`` rows of the scope, and others, in any order.

        Args:
            seen: bool [n], which rows the scope allows.
            exact_up_to: scopes of so many rows are searched exactly, and so is every causal one:
                codes were learned from all rows, late ones too. As tuned if None.

        Raises:
            DamagedError: a row has changed since it was written.
        """
        total = int(np.count_nonzero(seen))
        k = min(k, total)
        if not k:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if device == "cuda" and not scope.causal and k <= _MOST_ON_GPU:
            places = self._on_cuda(query, scope, seen, k)
        elif self._codes is not None and not scope.causal and total > self._above(exact_up_to):
            assert self.tuned is not None
            places = codes.candidates(self._codes, query, seen, self.tuned.candidates(k))
        else:
            found = self._by_halves(query, seen, total, k)
            if found is not None:
                return self.ids[found[0]], found[1]
            places = np.flatnonzero(seen)
        return self.ids[places], self._rows.scores(query, places)

    def _above(self, exact_up_to: int | None) -> int:
        assert self.tuned is not None
        return self.tuned.above if exact_up_to is None else exact_up_to

    def _by_halves(
        self, query: Floats, seen: npt.NDArray[np.bool_], total: int, k: int
    ) -> tuple[Int64s, Floats] | None:
        """See ``HalfRows.search``. The copies are made at the second search: to answer but one,
        as a command does, it is quicker to read the rows."""
        if total <= _FEW or self._codes is not None:
            return None
        if self._halves is None and self._searched:
            self._halves = HalfRows(self._rows)
        self._searched = True
        return self._halves.search(query, seen, k) if self._halves is not None else None

    def _on_cuda(self, query: Floats, scope: Scope, seen: npt.NDArray[np.bool_], k: int) -> Int64s:
        """The best ``k`` rows, found on a GPU among those of the scope alone: FAISS cannot pass
        rows over there. They are kept on it for the last scope."""
        faiss = load_faiss()
        if self._on_gpu is None or self._on_gpu[0] is not scope:
            places = np.flatnonzero(seen)
            dim = self._rows.vectors.shape[1]
            flat = faiss.IndexFlatIP(dim) if self._rows.normalised else faiss.IndexFlatL2(dim)
            flat.add(self._rows.vectors[places])
            # The resources must live as long as the index that uses them.
            resources = faiss.StandardGpuResources()
            self._on_gpu = scope, places, resources, faiss.index_cpu_to_gpu(resources, 0, flat)
        _, places, _, gpu = self._on_gpu
        best: Int64s = places[gpu.search(np.ascontiguousarray(query[None]), k)[1][0]]
        return best


def _read(saved: npt.NDArray[np.uint8]) -> Any:
    """The FAISS index that was written into an array, without a copy of it all in between."""
    faiss = load_faiss()
    file, at = saved.data, 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return bytes(file[at - size : at])

    return faiss.read_index(faiss.PyCallbackIOReader(take))


def pick_device(wanted: str) -> str:
    """``cpu`` or ``cuda`` for ``cpu``, ``cuda`` or ``auto``.

    Raises:
        ConfigError: cuda is wanted but the installed FAISS or the machine has none.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {wanted!r}")
    if wanted == "cpu":
        return "cpu"
    faiss = load_faiss()
    if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0:
        return "cuda"
    if wanted == "cuda":
        raise ConfigError(
            "device=cuda: the installed FAISS finds no GPU; install faiss-gpu instead of "
            "faiss-cpu on a machine with one, or use device=cpu"
        )
    return "cpu"
