"""What several rankings say of each of their scenes, on one scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.fuse.base import Ranking
from egorag.fuse.places import Places

Floats = npt.NDArray[np.float64]

_DIGITS = 12
"""Of a fused score. What is equal on paper then ties, whatever the last bit of a mean says."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The scenes that any of the rankings names.

    Attributes:
        places: which these are, and where each ranking has them.
        values: float64 [rankings, scenes], on the scale of the normalisation. NaN where a ranking
            has no say: of scenes it could not know, and of all where it tells no two apart.
        neutral: the score of a scene of which no ranking has a say.
    """

    places: Places
    values: Floats
    neutral: float

    @classmethod
    def of(cls, rankings: Mapping[str, Ranking], normalise: str) -> Pool:
        """The pool of these rankings; ``normalise`` is one of ``SCALES``."""
        places = Places.of(rankings)
        scale, neutral = SCALES[normalise]
        values = np.full(places.scores.shape, np.nan)
        for row, raw in zip(values, places.scores, strict=True):
            known = ~np.isnan(raw)
            if known.any() and raw[known].min() < raw[known].max():
                row[known] = scale(raw[known])
        return cls(places, values, neutral)

    def blend(self, weights: Floats) -> Floats:
        """float64 [scenes]: the mean, by weights float64 [rankings], of what has a say of each."""
        has = ~np.isnan(self.values)
        # Added up in order of size, so that it does not matter which ranking a value is of.
        total = np.sort(np.where(has, self.values * weights[:, None], 0.0), axis=0).sum(axis=0)
        weight = np.sort(np.where(has, weights[:, None], 0.0), axis=0).sum(axis=0)
        mean = np.divide(total, weight, out=np.full(len(total), self.neutral), where=weight > 0)
        return np.asarray(np.round(mean, _DIGITS) + 0.0)  # no minus zero


def z_score(scores: Floats) -> Floats:
    """How many standard deviations above the mean."""
    away = scores - scores.mean()
    away /= np.abs(away).max()  # else the square of a tiny or huge spread leaves the numbers
    return np.asarray(away / np.sqrt((away * away).mean()))


def min_max(scores: Floats) -> Floats:
    """The lowest 0, the highest 1."""
    above = scores - scores.min()
    return np.asarray(above / above.max())


def borda(scores: Floats) -> Floats:
    """The share of the other scenes that each one beats; a tie counts half."""
    ordered = np.sort(scores)
    beaten = np.searchsorted(ordered, scores, side="left")
    not_behind = np.searchsorted(ordered, scores, side="right") - 1
    return np.asarray((beaten + not_behind) / (2 * (len(scores) - 1)))


SCALES: Mapping[str, tuple[Callable[[Floats], Floats], float]] = {
    "z": (z_score, 0.0),
    "minmax": (min_max, 0.5),
    "rank": (borda, 0.5),
}
"""Scale and its middle by name. A scale is given scores of which at least two differ."""
