"""The merges of a Ward tree as plain loops, for numba to compile: hours of video in a second.

The same heap, the same sums in the same order as ``ward.ward_tree``'s NumPy path, and so the same
merges to the last bit. A cluster of several moments keeps its float64 sum in a slot that is free
again once it is merged away; a single moment is read from the input where it lies. That is far
less memory than one float64 row a moment.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Merges = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


@cache
def compiled() -> Callable[[Floats], Merges] | None:
    """What finds the merges of float32 or float64 [n, d] by compiled code; None where numba (the
    extra ``fast``) is not installed."""
    try:
        import numba
    except ImportError:
        return None
    try:
        made: Any = numba.njit(cache=True)(merges)
    except RuntimeError:  # no folder to keep machine code in: compiled in every process
        made = numba.njit(merges)

    def run(vectors: Floats) -> Merges:
        found: Merges = made(np.ascontiguousarray(vectors))
        return found

    return run


def merges(vectors: npt.NDArray[Any]) -> Merges:
    """The nodes of each merge (int64 [n - 1, 2]) and the inertia it gained (float64 [n - 1]).

    Args:
        vectors: float32 or float64 [n, d], finite.
    """
    n, dim = vectors.shape
    nodes, last = 2 * n - 1, n - 1
    children = np.empty((last, 2), np.int64)
    costs = np.empty(last)
    for i in range(0, last, 4):  # four at once: no addition waits for the one before it
        r1, r2, r3, r4 = i + 1, min(i + 2, last), min(i + 3, last), min(i + 4, last)
        a0 = a1 = a2 = a3 = 0.0
        for c in range(dim):
            x0 = np.float64(vectors[i, c])
            x1 = np.float64(vectors[r1, c])
            x2 = np.float64(vectors[r2, c])
            x3 = np.float64(vectors[r3, c])
            x4 = np.float64(vectors[r4, c])
            a0 += (x1 - x0) * (x1 - x0)
            a1 += (x2 - x1) * (x2 - x1)
            a2 += (x3 - x2) * (x3 - x2)
            a3 += (x4 - x3) * (x4 - x3)
        found = (a0, a1, a2, a3)
        for k in range(min(4, last - i)):
            costs[i + k] = found[k] * 0.5
    heap = [(costs[i], i + 1, i) for i in range(last)]
    heapq.heapify(heap)

    size = np.ones(nodes, np.int64)
    slot = np.full(nodes, -1)  # a single moment has none
    before = np.arange(-1, nodes - 1)
    after = np.arange(1, nodes + 1)
    after[last] = -1
    alive = np.zeros(nodes, np.bool_)
    alive[:n] = True
    # Never are there more clusters of two moments or more; rows not written take no memory.
    sums = np.empty((n // 2 + 1, dim))
    free = np.empty(n // 2 + 1, np.int64)
    freed = used = 0
    mean, squares = np.empty(dim), np.zeros((2, dim))
    node = n
    while node < nodes:
        cost, i, j = heapq.heappop(heap)
        if not (alive[i] and alive[j]):
            continue
        alive[i] = alive[j] = False
        alive[node] = True
        children[node - n, 0] = j
        children[node - n, 1] = i
        costs[node - n] = cost
        a, b = slot[i], slot[j]
        if a >= 0 and b >= 0:
            into = a
            for c in range(dim):
                sums[into, c] += sums[b, c]
            free[freed] = b
            freed += 1
        elif a >= 0 or b >= 0:
            into, single = (a, j) if a >= 0 else (b, i)
            for c in range(dim):
                sums[into, c] += vectors[single, c]
        else:
            if freed:
                freed -= 1
                into = free[freed]
            else:
                into = used
                used += 1
            for c in range(dim):
                sums[into, c] = np.float64(vectors[i, c]) + np.float64(vectors[j, c])
        slot[node] = into
        total = size[i] + size[j]
        size[node] = total
        first, second = (i, j) if after[i] == j else (j, i)
        left, right = before[first], after[second]
        before[node], after[node] = left, right
        # By a power of two, dividing is multiplying to the last bit, and several times faster.
        part = 1.0 / total
        if total & (total - 1):
            for c in range(dim):
                mean[c] = sums[into, c] / total
        else:
            for c in range(dim):
                mean[c] = sums[into, c] * part
        for side in range(2):
            other = left if side == 0 else right
            if other < 0:
                continue
            row, many = slot[other], size[other]
            part = 1.0 / many
            if row < 0:
                for c in range(dim):
                    gap = mean[c] - np.float64(vectors[other, c])
                    squares[side, c] = gap * gap
            elif many & (many - 1):
                for c in range(dim):
                    gap = mean[c] - sums[row, c] / many
                    squares[side, c] = gap * gap
            else:
                for c in range(dim):
                    gap = mean[c] - sums[row, c] * part
                    squares[side, c] = gap * gap
        a0 = a1 = 0.0
        for c in range(dim):
            a0 += squares[0, c]
            a1 += squares[1, c]
        ours = float(total)
        if left >= 0:
            after[left] = node
            theirs = float(size[left])
            heapq.heappush(heap, (a0 * (ours * theirs / (ours + theirs)), node, left))
        if right >= 0:
            before[right] = node
            theirs = float(size[right])
            heapq.heappush(heap, (a1 * (ours * theirs / (ours + theirs)), node, right))
        node += 1
    return children, costs
