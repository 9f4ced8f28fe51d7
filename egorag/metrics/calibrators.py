"""From an answerer's confidence to the chance that it is right, fitted on questions with answers.

Both curves rise or stay level, so that calibration never changes which of two answers is surer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from egorag.metrics.calibration import Floats, checked

_NEAREST = 1e-6
"""Confidences of 0 and 1 count as this near to them, so that their log-odds are finite."""
_STEPS = 100


class Calibrator(Protocol):
    """Anything that maps confidences to probabilities and can be kept as JSON."""

    def __call__(self, confidence: npt.ArrayLike) -> Floats:
        """Probabilities, float [n] in 0..1, of confidences [n]."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which ``from_json`` makes it again."""


@dataclass(frozen=True)
class Platt:
    """1 / (1 + exp(-(slope * logit + intercept))) of the confidence's log-odds.

    Platt, "Probabilistic outputs for support vector machines" (1999); with an intercept of 0 it
    is temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017).
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.slope, self.intercept]).all() and self.slope >= 0):
            raise ValueError(
                f"slope must be 0 or more and both finite, got {self.slope}, {self.intercept}"
            )

    @classmethod
    def fit(cls, confidence: npt.ArrayLike, right: npt.ArrayLike) -> Platt:
        """Of the highest likelihood, with Platt's targets: nearly 1 and 0, the further from them
        the fewer answers there are. Where confidence says nothing or the opposite of the truth,
        the slope is 0 and every answer gets the share that was right."""
        sure, good = checked(confidence, right)
        yes, no = int(good.sum()), int((~good).sum())
        target = np.where(good, (yes + 1) / (yes + 2), 1 / (no + 2))
        score = _logit(sure)
        level = float(_logit(np.array([target.mean()]))[0])
        if np.ptp(score) == 0:
            return cls(0.0, level)
        middle, width = float(score.mean()), float(score.std())
        slope, intercept = _newton((score - middle) / width, target, level)
        if slope <= 0:
            return cls(0.0, level)
        return cls(slope / width, intercept - slope * middle / width)

    def __call__(self, confidence: npt.ArrayLike) -> Floats:
        score = _logit(np.asarray(confidence, np.float64))
        return _sigmoid(self.slope * score + self.intercept)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "platt", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Isotonic:
    """The rising steps nearest to the outcomes, straight between them.

    Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
    estimates" (KDD 2002). It bends as it must, so it needs more questions than ``Platt``, better
    hundreds; its ends may say 0 or 1.

    Attributes:
        at: confidences, rising.
        values: the probability at each.
    """

    at: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        steps = np.asarray([*self.values], np.float64)
        if not self.at or len(self.at) != len(self.values):
            raise ValueError("at and values must be of equal length, one or more")
        rising = (np.diff(self.at) > 0).all() and (np.diff(steps) >= 0).all()
        if not rising or not ((steps >= 0) & (steps <= 1)).all():
            raise ValueError("at must rise, and values rise or stay level within 0..1")

    @classmethod
    def fit(cls, confidence: npt.ArrayLike, right: npt.ArrayLike) -> Isotonic:
        """Least squares, by pooling adjacent violators."""
        sure, good = checked(confidence, right)
        at, place = np.unique(sure, return_inverse=True)
        weights = np.bincount(place).astype(np.float64)
        means = np.bincount(place, weights=good) / weights
        pools: list[tuple[float, float, int]] = []
        for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
            pools.append((mean, weight, 1))
            while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
                (m, w, n), (other, heavy, more) = pools.pop(), pools.pop()
                pools.append(((m * w + other * heavy) / (w + heavy), w + heavy, n + more))
        values = np.repeat([m for m, _, _ in pools], [n for _, _, n in pools])
        # Of a level stretch the two ends say all.
        kept = np.ones(len(at), bool)
        kept[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
        return cls(tuple(at[kept].tolist()), tuple(values[kept].tolist()))

    def __call__(self, confidence: npt.ArrayLike) -> Floats:
        return np.asarray(np.interp(np.asarray(confidence, np.float64), self.at, self.values))

    def to_json(self) -> dict[str, Any]:
        return {"kind": "isotonic", "at": list(self.at), "values": list(self.values)}


FITS: dict[str, Callable[[npt.ArrayLike, npt.ArrayLike], Calibrator]] = {
    "platt": Platt.fit,
    "isotonic": Isotonic.fit,
}
"""How each kind is fitted, by name."""


def from_json(told: Mapping[str, Any]) -> Calibrator:
    """The calibrator that ``to_json`` told of.

    Raises:
        ValueError: not one.
    """
    try:
        if told["kind"] == "platt":
            return Platt(float(told["slope"]), float(told["intercept"]))
        if told["kind"] == "isotonic":
            return Isotonic(tuple(map(float, told["at"])), tuple(map(float, told["values"])))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a calibrator: {error!r}") from error
    raise ValueError(f"no calibrator of kind {told['kind']!r}; there are {', '.join(FITS)}")


def cross_fitted(
    kind: str,
    confidence: npt.ArrayLike,
    right: npt.ArrayLike,
    groups: Sequence[Hashable],
    folds: int = 5,
    seed: int = 0,
) -> Floats:
    """The calibrated confidence of each answer, by a calibrator that was fitted without its group.

    Args:
        kind: of ``FITS``.
        groups: the video (or question) of each answer; a group is never split over folds.

    Raises:
        ValueError: what ``calibration.checked`` refuses, or fewer than two groups or folds.
    """
    sure, good = checked(confidence, right)
    names = sorted(set(groups), key=str)
    if len(groups) != len(sure) or min(len(names), folds) < 2:
        raise ValueError(
            f"expected a group for each of {len(sure)} answers, two groups and two folds at least, "
            f"got {len(groups)}, {len(names)} and {folds}"
        )
    dealt = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    of = dict(zip(names, dealt.tolist(), strict=True))
    fold = np.array([of[group] for group in groups])
    found = np.empty(len(sure))
    for number in np.unique(fold):
        rest = fold != number
        found[~rest] = FITS[kind](sure[rest], good[rest])(sure[~rest])
    return found


def _logit(confidence: Floats) -> Floats:
    inside = np.clip(confidence, _NEAREST, 1 - _NEAREST)
    return np.asarray(np.log(inside / (1 - inside)))


def _sigmoid(score: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(score / 2)))


def _newton(score: Floats, target: Floats, level: float) -> tuple[float, float]:
    """Slope and intercept of the logistic curve nearest to ``target`` in likelihood."""
    design = np.column_stack([score, np.ones_like(score)])
    weights = np.array([0.0, level])

    def loss(at: Floats) -> float:
        line = design @ at
        return float((np.logaddexp(0, line) - target * line).sum())

    for _ in range(_STEPS):
        chance = _sigmoid(design @ weights)
        gradient = design.T @ (chance - target)
        curvature = design.T @ (design * (chance * (1 - chance))[:, None])
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        share = 1.0
        while share > 1e-8 and loss(weights - share * step) > loss(weights):
            share /= 2
        weights = weights - share * step
        if np.abs(share * step).max() < 1e-10:
            break
    return float(weights[0]), float(weights[1])
