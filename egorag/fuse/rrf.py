"""Reciprocal rank fusion."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from egorag.fuse.base import Covered, Fused, Ranking, check_names, check_weights, ranks
from egorag.types import Part

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

    def fuse(self, rankings: Mapping[str, Ranking]) -> list[Fused]:
        weights = {n: self.weights.get(n, 1) for n in sorted(rankings) if len(rankings[n])}
        weights = {name: weight for name, weight in weights.items() if weight > 0}
        parts: dict[int, dict[str, Part]] = defaultdict(dict)
        shares: dict[int, list[float]] = defaultdict(list)
        for name, weight in weights.items():
            ranking = rankings[name]
            for (scene, score), rank in zip(ranking, ranks(ranking), strict=True):
                parts[scene][name] = Part(rank, score)
                shares[scene].append(weight / (self.k + rank))
        # fsum is exact, so a score cannot depend on the order of the rankings.
        every = math.fsum(weights.values())
        fused = []
        for scene, of_scene in shares.items():
            told = [w for n, w in weights.items() if not self.fair or _knows(rankings[n], scene)]
            score = math.fsum(of_scene) * (every / math.fsum(told))
            fused.append(Fused(scene, round(score, _DIGITS), parts[scene]))
        return sorted(fused, key=lambda f: (-f.score, f.best_rank, f.id))


def _knows(ranking: Ranking, scene: int) -> bool:
    return not isinstance(ranking, Covered) or scene in ranking.known
