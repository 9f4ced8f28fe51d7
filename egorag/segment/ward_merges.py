"""The merges of a Ward tree as plain loops, for numba to compile: hours of video in a second.

The same sums in the same order as ``ward.ward_tree``'s NumPy path, the same order of ties, and so
the same merges to the last bit. The cheapest of the n - 1 boundaries between clusters is the winner
of a tournament over all of them: where NumPy's heap keeps what is out of date, a merge replays the
matches of three boundaries. A cluster of several moments keeps its float64 sum in a slot that is
free again once it is merged away; a single moment is read from the input where it lies. That is
far less memory than one float64 row a moment.
"""

from __future__ import annotations

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


BLOCK = 64
"""Components handled together: while one block is summed, the next is on its way from memory."""


def merges(vectors: npt.NDArray[Any]) -> Merges:
    """The nodes of each merge (int64 [n - 1, 2]) and the inertia it gained (float64 [n - 1]).

    Clusters go by their first moment, boundaries by the first moment after them.

    Args:
        vectors: float32 or float64 [n, d], finite.
    """
    n, dim = vectors.shape
    last = n - 1
    children = np.empty((last, 2), np.int64)
    gained = np.empty(last)

    # The tournament: boundary b is leaf width + b, and best[1] is the winner.
    width = 1
    while width < n:
        width *= 2
    cost = np.full(width, np.inf)
    newer, older = np.arange(width), np.arange(-1, width - 1)  # nodes on the two sides of each
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
            cost[i + k + 1] = found[k] * 0.5
    best = np.arange(-width, width)
    for at in range(width - 1, 0, -1):
        x, y = best[2 * at], best[2 * at + 1]
        best[at] = y if cost[y] < cost[x] else x

    name = np.arange(n)  # of each cluster: its node in the tree
    size = np.ones(n, np.int64)
    end, begin = np.arange(1, n + 1), np.arange(-1, n)  # of a cluster; of the one that ends there
    # Never are there more clusters of two moments or more; rows not written take no memory.
    sums = np.empty((n // 2 + 1, dim))
    slot = np.full(n, -1)  # a single moment has none
    free = np.empty(n // 2 + 1, np.int64)
    freed = used = 0
    mean, squares = np.empty(BLOCK), np.zeros((2, BLOCK))
    for step in range(last):
        middle = best[1]
        children[step, 0] = older[middle]
        children[step, 1] = newer[middle]
        gained[step] = cost[middle]
        left, right = begin[middle], end[middle]
        before = begin[left] if left > 0 else -1
        a, b = slot[left], slot[middle]
        if a >= 0 and b >= 0:
            into = a
            free[freed] = b
            freed += 1
        elif a >= 0 or b >= 0:
            into = max(a, b)
        elif freed:
            freed -= 1
            into = free[freed]
        else:
            into = used
            used += 1
        total = size[left] + size[middle]
        a0 = a1 = 0.0
        for start in range(0, dim, BLOCK):
            stop = min(start + BLOCK, dim)
            to = sums[into, start:stop]
            if a >= 0 and b >= 0:
                row = sums[b, start:stop]
                for c in range(len(to)):
                    to[c] += row[c]
            elif a >= 0 or b >= 0:
                one = vectors[middle if a >= 0 else left, start:stop]
                for c in range(len(to)):
                    to[c] += one[c]
            else:
                one, two = vectors[left, start:stop], vectors[middle, start:stop]
                for c in range(len(to)):
                    to[c] = np.float64(one[c]) + np.float64(two[c])
            # By a power of two, dividing is multiplying to the last bit, and faster.
            if total & (total - 1):
                for c in range(len(to)):
                    mean[c] = to[c] / total
            else:
                part = 1.0 / total
                for c in range(len(to)):
                    mean[c] = to[c] * part
            for side in range(2):
                other = before if side == 0 else right
                if other < 0 or other == n:
                    continue
                many = size[other]
                if many == 1:
                    one = vectors[other, start:stop]
                    for c in range(len(to)):
                        gap = mean[c] - np.float64(one[c])
                        squares[side, c] = gap * gap
                elif many & (many - 1):
                    row = sums[slot[other], start:stop]
                    for c in range(len(to)):
                        gap = mean[c] - row[c] / many
                        squares[side, c] = gap * gap
                else:
                    row = sums[slot[other], start:stop]
                    part = 1.0 / many
                    for c in range(len(to)):
                        gap = mean[c] - row[c] * part
                        squares[side, c] = gap * gap
            for c in range(len(to)):
                a0 += squares[0, c]
                a1 += squares[1, c]
        slot[left], size[left], name[left] = into, total, n + step
        end[left], begin[right] = right, left
        cost[middle] = np.inf
        ours = float(total)
        for side in range(3):
            at = middle if side == 2 else left if side == 0 else right
            if at == 0 or at == n:
                continue
            if side < 2:
                other = before if side == 0 else right
                theirs = float(size[other])
                cost[at] = (a0 if side == 0 else a1) * (ours * theirs / (ours + theirs))
                newer[at], older[at] = n + step, name[other]
            at = (width + at) >> 1
            while at > 0:
                x, y = best[2 * at], best[2 * at + 1]
                if cost[y] < cost[x] or (
                    cost[y] == cost[x] and (newer[y], older[y]) < (newer[x], older[x])
                ):
                    x = y
                best[at] = x
                at >>= 1
    return children, gained
