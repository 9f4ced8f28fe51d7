"""Hits of different kinds first: the best of each cluster, then the second of each, and so on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from egorag.chat.settings import check_whole
from egorag.rerank.fold import Folding
from egorag.rerank.likeness import cosines, mean_cosine
from egorag.store.folder import IndexFolder
from egorag.types import Hit, Query


@dataclass(frozen=True, kw_only=True)
class Clusters(Folding):
    """Groups the candidates by likeness and takes from the groups in turn.

    Groups are made by average linkage (UPGMA) over the mean cosine of ``encoders``, without a draw:
    the same candidates give the same groups. They take turns in the order of their best hits.

    Attributes:
        clusters: how many groups; None makes as many as hits are asked for.
        encoders: whose vectors are compared; all of the index where empty.
    """

    clusters: int | None = None
    encoders: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clusters is not None:
            check_whole(self, clusters=1)

    @property
    def depth(self) -> int:
        return self.candidates

    def select(self, query: Query, hits: Sequence[Hit], folder: IndexFolder, k: int) -> list[Hit]:
        pool = self.pool(query, hits, folder, k)
        if len(pool) < 2:
            return pool[:k]
        likeness = mean_cosine(cosines(pool, folder, self.encoders), len(pool))
        groups = average_linkage(likeness, self.clusters or k)
        turns = zip_longest(*groups)
        return [pool[i] for turn in turns for i in turn if i is not None][:k]


def average_linkage(likeness: npt.NDArray[np.float64], count: int) -> list[list[int]]:
    """``count`` groups of items (fewer where there are fewer), each ascending, by their first.

    From single items on, the two groups are joined whose members are most alike on average; of
    equals those with the earliest items.

    Args:
        likeness: float64 [n, n], symmetric.
    """
    groups = [[i] for i in range(len(likeness))]
    between = np.array(likeness, np.float64)
    np.fill_diagonal(between, -np.inf)
    while len(groups) > max(1, count):
        size = len(groups)
        a, b = divmod(int(np.argmax(np.round(between, 12))), size)  # a < b: the first of equals
        weights = len(groups[a]), len(groups[b])
        joined = np.average(between[[a, b]], axis=0, weights=weights)
        between[a], between[:, a] = joined, joined
        between[a, a] = -np.inf
        between = np.delete(np.delete(between, b, axis=0), b, axis=1)
        groups[a] = sorted(groups[a] + groups[b])
        del groups[b]
    return groups
