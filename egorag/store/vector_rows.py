"""The exact vectors of an index: float32 rows, mapped from a file and checked as they are used.

A file of a million rows is gigabytes; to hash it whole before the first search would take seconds.
So each row has its own sum, and a row is checked when it is first scored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.store.columns import DamagedError
from egorag.store.scope import Int64s

Floats = npt.NDArray[np.float32]
Sums = npt.NDArray[np.uint32]


def load_faiss() -> Any:
    """FAISS, imported when first needed (0.4 s); its stubs lack what its Python layer adds."""
    import faiss

    return faiss


_STEP = 1024  # rows checked at a time: their copies stay in the cache


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep FAISS to the calling thread: it has nothing to share out of one query, and would still
    wait for its other threads, which on a busy machine takes longer than the search."""
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class VectorRows:
    """Rows of one space.

    Args:
        vectors: float32 [n, d].
        sums: ``row_sums`` of what was written; None for rows that never left memory.
        normalised: whether scores are inner products, else minus the Euclidean distance.
    """

    def __init__(self, vectors: Floats, sums: Sums | None, normalised: bool) -> None:
        self.vectors = vectors
        self.normalised = normalised
        self._sums = sums
        self._checked = np.full(len(vectors), sums is None)

    def __len__(self) -> int:
        return len(self.vectors)

    def scores(self, query: Floats, places: Int64s) -> Floats:
        """Scores of the rows at ``places`` (int64 [m]): float32 [m].

        Each is computed from its own row alone and always by the same steps, so that it depends
        neither on what else the index holds nor on how the row was found.

        Raises:
            DamagedError: a row has changed since it was written.
        """
        faiss = load_faiss()
        self._check(places)
        found = np.empty(len(places), np.float32)
        query, places = np.ascontiguousarray(query), np.ascontiguousarray(places)
        score = faiss.fvec_inner_products_by_idx if self.normalised else faiss.fvec_L2sqr_by_idx
        pointers: list[Any] = [faiss.swig_ptr(x) for x in (found, query, self.vectors, places)]
        score(*pointers, self.vectors.shape[1], 1, len(places))
        return found if self.normalised else -np.sqrt(found)

    def part(self, start: int, stop: int) -> Floats:
        """Rows ``start`` to ``stop``, float32 [m, d]: a view. DamagedError as ``scores``."""
        self._check(np.arange(start, stop))
        return self.vectors[start:stop]

    def take(self, places: Int64s) -> Floats:
        """The rows at ``places`` (int64 [m]), float32 [m, d]. DamagedError as ``scores``."""
        self._check(places)
        return self.vectors[places]

    def _check(self, places: Int64s) -> None:
        new = places[~self._checked[places]]
        for start in range(0, len(new), _STEP):
            some = new[start : start + _STEP]
            assert self._sums is not None
            if (row_sums(self.vectors[some]) != self._sums[some]).any():
                raise DamagedError("a row has changed since it was written")
            self._checked[some] = True


def row_sums(vectors: Floats) -> Sums:
    """uint32 [n]: a sum over the bits of each row of float32 [n, d].

    Every change within one number changes it (the weights are odd), any other change but one in
    four billion. It finds damage, not forgery.
    """
    bits = np.ascontiguousarray(vectors, "<f4").view("<u4")
    weights = np.arange(1, bits.shape[1] + 1, dtype=np.uint32) * np.uint32(2_654_435_761) | 1
    sums: Sums = np.einsum("ij,j->i", bits, weights)  # modulo 2**32
    return sums
