"""Maximal marginal relevance: what is relevant and not yet said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.rerank.fold import Folding
from egorag.rerank.likeness import cosines, mean_cosine
from egorag.store.folder import IndexFolder
from egorag.types import Hit, Query

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MMR(Folding):
    """Takes one after another the hit that is most relevant and least like those taken.

    Carbonell and Goldstein 1998, "The Use of MMR, Diversity-Based Reranking". A hit's relevance is
    the share of the other candidates that it is ranked above, which needs no scale of scores: 1 for
    the first, 0 for the last. Its likeness is the mean cosine over ``encoders``.

    Attributes:
        relevance: the paper's lambda, 0..1: 1 keeps the order, 0 looks at likeness alone.
        encoders: whose vectors are compared; all of the index where empty.
    """

    relevance: float = 0.7
    encoders: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.relevance <= 1:
            raise ValueError(f"relevance must lie in 0..1, got {self.relevance}")

    @property
    def depth(self) -> int:
        return self.candidates

    def select(self, query: Query, hits: Sequence[Hit], folder: IndexFolder, k: int) -> list[Hit]:
        pool = self.pool(query, hits, folder, k)
        if len(pool) < 2:
            return pool[:k]
        likeness = mean_cosine(cosines(pool, folder, self.encoders), len(pool))
        relevance = np.linspace(1, 0, len(pool))
        return [pool[i] for i in most_marginal(relevance, likeness, self.relevance, k)]


def most_marginal(relevance: Floats, likeness: Floats, weight: float, k: int) -> list[int]:
    """Numbers of at most ``k`` items in the order taken; of equals the earlier.

    Args:
        relevance: float64 [n].
        likeness: float64 [n, n].
        weight: the paper's lambda.
    """
    worth = weight * relevance
    nearest = np.full(len(relevance), -np.inf)  # likeness to the most alike of those taken
    taken: list[int] = []
    left = np.ones(len(relevance), bool)
    while len(taken) < min(k, len(relevance)):
        gain = worth - (1 - weight) * nearest if taken else relevance
        best = int(np.argmax(np.where(left, np.round(gain, 12), -np.inf)))
        taken.append(best)
        left[best] = False
        nearest = np.maximum(nearest, likeness[best])
    return taken
