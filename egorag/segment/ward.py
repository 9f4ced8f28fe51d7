"""Ward clustering in time order: a binary tree over a video's frames, where only neighbours merge.

Ward (1963) merges the two clusters whose union adds least to the summed squared distance to the
means; here a cluster's only candidates are the cluster before and the one after it, so every node
is a stretch of time. The merges, their order and the order of ties are those of scikit-learn's
``AgglomerativeClustering(linkage="ward")`` with chain connectivity, which scans all nodes at every
merge; a heap of the n - 1 neighbouring pairs needs O(n log n) steps and one copy of the vectors.

Ward with neighbours only is not monotone: a merge can cost less than one made before it, because
merging brings two clusters together that were not allowed to meet. A cut by distance is therefore
made at a node's *height*, the largest distance anywhere in its subtree. Heights never fall from
child to parent, so every cut is a partition, and a larger distance always gives a coarser one.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.segment.ward_merges import Merges, compiled

Floats = npt.NDArray[np.floating]
Int64s = npt.NDArray[np.int64]

COMPILED_FROM = 20_000  # moments; NumPy takes about as long as loading the compiled code
_CHUNK = 1024  # rows differenced at once: bounds what the first costs take


@dataclass(frozen=True, eq=False)
class WardTree:
    """The merges of ``n`` leaves. Nodes 0..n-1 are the leaves, node n + k is merge k.

    Attributes:
        children: int64 [n - 1, 2]; the nodes merged, in scikit-learn's order.
        distances: float64 [n - 1]; Ward's distance of each merge, ``sqrt(2 * inertia gained)``:
            for two single vectors their Euclidean distance.
    """

    children: Int64s
    distances: npt.NDArray[np.float64]

    @property
    def leaves(self) -> int:
        """How many vectors were clustered."""
        return len(self.children) + 1

    @cached_property
    def extent(self) -> Int64s:
        """int64 [2n - 1, 2]: the leaves of each node, first and one past the last."""
        found = np.empty((2 * self.leaves - 1, 2), np.int64)
        found[: self.leaves, 0] = np.arange(self.leaves)
        found[: self.leaves, 1] = np.arange(1, self.leaves + 1)
        for node, (a, b) in enumerate(self.children.tolist(), self.leaves):
            found[node] = min(found[a, 0], found[b, 0]), max(found[a, 1], found[b, 1])
        return found

    @cached_property
    def heights(self) -> npt.NDArray[np.float64]:
        """float64 [2n - 1]: the largest distance in each node's subtree; 0 for a leaf."""
        return np.concatenate([np.zeros(self.leaves), self.rising(self.distances)])

    @cached_property
    def gaps(self) -> npt.NDArray[np.float64]:
        """float64 [n - 1]: how far apart the means of the two nodes of each merge lie, whatever
        their sizes: ``distances`` without ``sqrt(2ab / (a + b))`` for nodes of a and b leaves."""
        sizes = self.extent[:, 1] - self.extent[:, 0]
        a, b = sizes[self.children].T
        gaps: npt.NDArray[np.float64] = self.distances / np.sqrt(2.0 * a * b / (a + b))
        return gaps

    @cached_property
    def meetings(self) -> Int64s:
        """int64 [n - 1]: the leaf at which the later of the two nodes of each merge begins. Every
        leaf but the first is one merge's."""
        met: Int64s = self.extent[self.children, 0].max(axis=1)
        return met

    def rising(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """float64 [n - 1]: the largest of ``values`` (one a merge, 0 or more) in the subtree of
        each merge, so that they never fall from child to parent."""
        found = [0.0] * self.leaves
        for value, (a, b) in zip(values.tolist(), self.children.tolist(), strict=True):
            found.append(max(value, found[a], found[b]))
        return np.array(found[self.leaves :])

    @cached_property
    def parents(self) -> Int64s:
        """int64 [2n - 1]: the node above each; -1 for the root."""
        found = np.full(2 * self.leaves - 1, -1, np.int64)
        found[self.children] = np.arange(self.leaves, 2 * self.leaves - 1)[:, None]
        return found

    def cut(self, distance: float) -> list[int]:
        """The largest nodes whose height is at most ``distance``, in time order; they tile the
        leaves.

        Raises:
            ConfigError: a distance that is negative or not a number.
        """
        if not distance >= 0:
            raise ConfigError(f"a cut needs a distance of 0 or more, got {distance}")
        low = self.heights <= distance
        above = np.append(low, False)[self.parents]  # index -1: the root has nothing above it
        return self._in_order(np.flatnonzero(low & ~above))

    def cut_into(self, count: int) -> list[int]:
        """``count`` nodes in time order that tile the leaves: the highest merges undone.

        Of nodes of equal height the one merged last is undone first. More than there are leaves
        gives the leaves.

        Raises:
            ConfigError: a count below 1.
        """
        if count < 1:
            raise ConfigError(f"a cut needs a count of 1 or more, got {count}")
        # Heights rise towards the root and later merges are nearer to it, so this order never
        # undoes a node before the one above it.
        merges = np.arange(self.leaves, 2 * self.leaves - 1)
        order = merges[np.lexsort((merges, self.heights[merges]))][::-1]
        undone = np.zeros(2 * self.leaves - 1, bool)
        undone[order[: count - 1]] = True
        above = np.append(undone, True)[self.parents]
        return self._in_order(np.flatnonzero(~undone & above))

    def _in_order(self, nodes: Int64s) -> list[int]:
        return sorted(nodes.tolist(), key=lambda node: int(self.extent[node, 0]))


def ward_tree(vectors: Floats) -> WardTree:
    """Cluster ``vectors`` [n, d], row i being the i-th moment in time.

    Takes O(n log n + n d) steps. ``COMPILED_FROM`` moments or more are clustered by compiled code
    where numba is installed, with float64 sums of the larger clusters alone; else NumPy does it,
    with one float64 copy of the vectors. Both make the same tree to the last bit.

    Raises:
        ValueError: not a table of at least one row, or a value that is not finite.
    """
    if vectors.ndim != 2 or not vectors.size:
        raise ValueError(f"expected vectors [n, d] with n, d >= 1, got {list(vectors.shape)}")
    parts = (vectors[i : i + _CHUNK] for i in range(0, len(vectors), _CHUNK))
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError("vectors hold NaN or infinity")
    fast = compiled() if len(vectors) >= COMPILED_FROM else None
    if fast is None:
        children, costs = _merges(vectors)
    else:
        single = vectors.dtype in (np.float32, np.float64)
        children, costs = fast(vectors if single else vectors.astype(np.float64))
    return WardTree(children, np.sqrt(2.0 * costs))


def _merges(vectors: Floats) -> Merges:
    """The nodes of each merge and the inertia it gained, by NumPy."""
    sums = np.array(vectors, np.float64, order="C")  # of each cluster's members, in its first row
    n, dim = sums.shape
    # By node. A heap entry is (cost, newer node, older node), as scikit-learn breaks ties.
    size, row = [1.0] * n, list(range(n))
    before, after = list(range(-1, n - 1)), [*range(1, n), -1]
    heap = [(cost, i + 1, i) for i, cost in enumerate(_first_costs(sums))]
    heapq.heapify(heap)
    merged: list[tuple[int, int]] = []
    costs: list[float] = []
    alive = bytearray(b"\1") * n
    mean, gap = np.empty(dim), np.empty(dim)
    while heap:
        cost, i, j = heapq.heappop(heap)
        if not (alive[i] and alive[j]):
            continue
        node = len(alive)
        alive[i] = alive[j] = 0
        merged.append((j, i))
        costs.append(cost)
        first, second = (i, j) if after[i] == j else (j, i)
        total = sums[row[first]]
        np.add(sums[row[i]], sums[row[j]], out=total)
        alive.append(1)
        size.append(size[i] + size[j])
        row.append(row[first])
        before.append(before[first])
        after.append(after[second])
        np.divide(total, size[node], out=mean)
        for other, back in ((before[node], after), (after[node], before)):
            if other < 0:
                continue
            back[other] = node
            np.divide(sums[row[other]], size[other], out=gap)
            np.subtract(mean, gap, out=gap)
            weight = size[node] * size[other] / (size[node] + size[other])
            np.multiply(gap, gap, out=gap)
            # From the first to the last, as scikit-learn adds: ties are ties to the last bit.
            np.add.accumulate(gap, out=gap)
            heapq.heappush(heap, (float(gap[-1]) * weight, node, other))
    return np.array(merged, np.int64).reshape(-1, 2), np.array(costs)


def _first_costs(sums: npt.NDArray[np.float64]) -> list[float]:
    """The inertia each neighbouring pair of single vectors would gain."""
    costs: list[float] = []
    for start in range(0, len(sums) - 1, _CHUNK):
        gaps = np.diff(sums[start : start + _CHUNK + 1], axis=0)
        np.multiply(gaps, gaps, out=gaps)
        np.add.accumulate(gaps, axis=1, out=gaps)
        costs += (gaps[:, -1] * 0.5).tolist()
    return costs
