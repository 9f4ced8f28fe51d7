"""Reciprocal rank fusion."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from egorag.fuse.base import Fused, Ranking, check_names, check_weights, ranks
from egorag.types import Part


@dataclass(frozen=True)
class ReciprocalRank:
    """Score = sum over rankings of ``weight / (k + rank)`` (Cormack, Clarke and Buettcher, 2009).

    Only ranks count, so inner products and BM25 scores need no common scale. Scenes a ranking ties
    share its better rank. Scenes tied in the fused score are ordered by their best single rank,
    then by id: ids are hashes, so no video is favoured and every run agrees.

    Attributes:
        k: damping, > 0; the larger, the less the first places weigh. 60 is the paper's.
        weights: factor by ranking name (an encoder's name, or ``bm25``), >= 0; 1 where not given,
            0 leaves the ranking out.
    """

    k: float = 60
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.k < math.inf:
            raise ValueError(f"k must be a positive number, got {self.k}")
        check_weights(self.weights)

    def check(self, names: Collection[str]) -> None:
        check_names(self.weights, names)

    def fuse(self, rankings: Mapping[str, Ranking]) -> list[Fused]:
        parts: dict[int, dict[str, Part]] = defaultdict(dict)
        shares: dict[int, list[float]] = defaultdict(list)
        for name in sorted(rankings):
            weight, ranking = self.weights.get(name, 1), rankings[name]
            if weight > 0:
                for (scene, score), rank in zip(ranking, ranks(ranking), strict=True):
                    parts[scene][name] = Part(rank, score)
                    shares[scene].append(weight / (self.k + rank))
        # fsum is exact, so a score cannot depend on the order of the rankings.
        fused = [Fused(scene, math.fsum(shares[scene]), parts[scene]) for scene in parts]
        return sorted(fused, key=lambda f: (-f.score, f.best_rank, f.id))
