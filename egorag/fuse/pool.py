"""What several rankings say of each of their scenes, on one scale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.fuse.base import Covered, Ranking, ranks
from egorag.types import Part

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DIGITS = 12
"""Of a fused score. What is equal on paper then ties, whatever the last bit of a mean says."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The scenes that any of the rankings names.

    Attributes:
        ids: int64 [scenes], ascending.
        names: of the rankings, ascending.
        values: float64 [rankings, scenes], on the scale of the normalisation. NaN where a ranking
            has no say: of scenes it could not know, and of all where it tells no two apart.
        neutral: the score of a scene of which no ranking has a say.
        best: int64 [scenes]: the best place any ranking gave it.
        parts: place and score by ranking, of each scene.
    """

    ids: Ints
    names: tuple[str, ...]
    values: Floats
    neutral: float
    best: Ints
    parts: tuple[Mapping[str, Part], ...]

    @classmethod
    def of(cls, rankings: Mapping[str, Ranking], normalise: str) -> Pool:
        """The pool of these rankings; ``normalise`` is one of ``SCALES``."""
        names = tuple(sorted(rankings))
        places = {name: ranks(rankings[name]) for name in names}
        ids = np.array(sorted({i for name in names for i, _ in rankings[name]}), dtype=np.int64)
        at = {scene: column for column, scene in enumerate(ids.tolist())}
        parts: list[dict[str, Part]] = [{} for _ in at]
        for name in names:
            for (scene, score), rank in zip(rankings[name], places[name], strict=True):
                parts[at[scene]][name] = Part(rank, score)
        scale, neutral = SCALES[normalise]
        values = np.full((len(names), len(ids)), np.nan)
        for row, name in zip(values, names, strict=True):
            raw = _raw(rankings[name], at)
            known = ~np.isnan(raw)
            if known.any() and raw[known].min() < raw[known].max():
                row[known] = scale(raw[known])
        best = np.array([min(p.rank for p in of.values()) for of in parts], dtype=np.int64)
        return cls(ids, names, values, neutral, best, tuple(parts))

    def blend(self, weights: Floats) -> Floats:
        """float64 [scenes]: the mean, by weights float64 [rankings], of what has a say of each."""
        has = ~np.isnan(self.values)
        # Added up in order of size, so that it does not matter which ranking a value is of.
        total = np.sort(np.where(has, self.values * weights[:, None], 0.0), axis=0).sum(axis=0)
        weight = np.sort(np.where(has, weights[:, None], 0.0), axis=0).sum(axis=0)
        mean = np.divide(total, weight, out=np.full(len(total), self.neutral), where=weight > 0)
        return np.asarray(np.round(mean, _DIGITS) + 0.0)  # no minus zero

    def order(self, scores: Floats) -> npt.NDArray[np.intp]:
        """Columns, best first; ties by the best single place, then by id."""
        return np.lexsort((self.ids, self.best, -scores))


def _raw(ranking: Ranking, at: Mapping[int, int]) -> Floats:
    """float64 [scenes] of scores: the floor where the ranking knows a scene but does not name it,
    NaN where it does not know it."""
    scores = dict(ranking)
    if isinstance(ranking, Covered):
        known: Collection[int] = ranking.known
        floor = ranking.floor
    else:
        known, floor = at, min(scores.values(), default=0.0)
    return np.array([scores.get(i, floor if i in known else np.nan) for i in at], dtype=np.float64)


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
