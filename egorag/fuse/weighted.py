"""Weighted mean of normalised scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from egorag.errors import did_you_mean
from egorag.fuse.base import Ranking, check_names, check_weights
from egorag.fuse.places import FusedList
from egorag.fuse.pool import SCALES, Pool


@dataclass(frozen=True)
class WeightedScores:
    """Score = weighted mean of a scene's normalised scores, over the rankings that know it.

    Each ranking is normalised over the pool: the scenes that any ranking names and this one knows.
    One it knows but ranked too low to name has the ranking's floor. One it cannot know (no sound,
    no text) is left out of its statistics, and it out of that scene's mean: lacking a modality is
    neither good nor bad. A ranking in which nothing differs has no say.

    Scenes of equal score are ordered by their best single rank, then by id. Normalisations as in
    Renda and Straccia, "Web metasearch: rank vs. score based rank aggregation methods" (2003).

    Attributes:
        normalise: ``minmax`` (lowest 0, highest 1), ``z`` (standard deviations above the mean), or
            ``rank`` (share of the others it beats; only the order counts, as in Borda's count).
        weights: factor by ranking name (an encoder's name, or ``bm25``), >= 0; 1 where not given,
            0 leaves the ranking out.
    """

    normalise: str = "minmax"
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.normalise not in SCALES:
            raise ValueError(f"no normalise={self.normalise}{did_you_mean(self.normalise, SCALES)}")
        check_weights(self.weights)

    def check(self, names: Collection[str]) -> None:
        check_names(self.weights, names)

    def fuse(self, rankings: Mapping[str, Ranking]) -> FusedList:
        counted = {n: r for n, r in rankings.items() if self.weights.get(n, 1) > 0}
        pool = Pool.of(counted, self.normalise)
        weights = [self.weights.get(name, 1) for name in pool.places.names]
        return FusedList(pool.places, pool.blend(np.array(weights, np.float64)))
