"""Reciprocal rank fusion."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from egorag.fuse.base import Ranking, check_names, check_weights
from egorag.fuse.places import FusedList, Places

_DIGITS = 15
"""Of a fused score. What is equal on paper then ties, whatever the last bit of a product says."""


@dataclass(frozen=True)
class ReciprocalRank:
    """Score = sum over rankings of ``weight / (k + rank)`` (Cormack, Clarke and Buettcher, 2009),
    scaled up where a ranking does not know the scene: as if it placed it like the others do.

    Without that, a scene that lacks a modality gets no share of its ranking and falls behind. A
    ranking that names nothing has no say. Only ranks count, so inner products and BM25 scores need
    no common scale. Scenes a ranking ties share its better rank. Scenes tied in the fused score
    are ordered by their best single rank, then by id: ids are hashes, so no video is favoured and
    every run agrees.

    Attributes:
        k: damping, > 0; the larger, the less the first places weigh. 60 is the paper's.
        weights: factor by ranking name (an encoder's name, or ``bm25``), >= 0; 1 where not given,
            0 leaves the ranking out.
        fair: False for the plain sum, as in the paper.
    """

    k: float = 60
    weights: Mapping[str, float] = field(default_factory=dict)
    fair: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.k < math.inf:
            raise ValueError(f"k must be a positive number, got {self.k}")
        check_weights(self.weights)

    def check(self, names: Collection[str]) -> None:
        check_names(self.weights, names)

    def fuse(self, rankings: Mapping[str, Ranking]) -> FusedList:
        counted = {n: r for n, r in rankings.items() if len(r) and self.weights.get(n, 1) > 0}
        places = Places.of(counted)
        weights = np.array([self.weights.get(n, 1) for n in places.names], np.float64)[:, None]
        told = np.where(np.isnan(places.scores) & self.fair, 0.0, weights)
        shares = np.where(places.ranks > 0, weights / (self.k + places.ranks), 0.0)
        # fsum is exact, so a score cannot depend on the order of the rankings.
        every = math.fsum(weights[:, 0])
        columns = zip(shares.T.tolist(), told.T.tolist(), strict=True)
        scores = [round(math.fsum(s) * (every / math.fsum(t)), _DIGITS) for s, t in columns]
        return FusedList(places, np.array(scores, np.float64))
