"""Whether confidence is the chance of being right: calibration error, Brier score, reliability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Equal = Literal["width", "mass"]


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence.

    Attributes:
        low, high: bounds of the confidence; the lower one is not in it, but for the first bin.
        count: answers in it.
        confidence, accuracy: means over them.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))


def reliability(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10, equal: Equal = "width"
) -> list[Bin]:
    """Answers by confidence, lowest first; bins without any are left out.

    Args:
        confidence: float [n] in 0..1.
        right: bool [n].
        bins: how many at most.
        equal: ``width`` cuts 0..1 evenly; ``mass`` puts about as many answers in each, though
            answers of one confidence are never parted.

    Raises:
        ValueError: what ``checked`` refuses, bins below 1, or another ``equal``.
    """
    sure, good = checked(confidence, right)
    if bins < 1 or equal not in ("width", "mass"):
        raise ValueError(f"bins must be 1 or more and equal width or mass, got {bins}, {equal!r}")
    edges = np.linspace(0, 1, bins + 1)
    if equal == "mass":
        # In whole numbers, so that rounding moves no answer: each edge is a confidence that occurs.
        ends = -(-len(sure) * np.arange(bins + 1) // bins) - 1
        edges = np.sort(sure)[np.maximum(ends, 0)]
    place = np.searchsorted(edges[1:-1], sure)
    return [
        Bin(
            float(edges[number]),
            float(edges[number + 1]),
            int(inside.sum()),
            float(sure[inside].mean()),
            float(good[inside].mean()),
        )
        for number in range(bins)
        if (inside := place == number).any()
    ]


def calibration_error(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10, equal: Equal = "width"
) -> float:
    """Expected calibration error, 0..1: how far accuracy is from confidence, over the bins.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning"
    (AAAI 2015). Few answers a bin make it too high: a perfect model has an error above 0.

    >>> round(calibration_error([0.9, 0.9, 0.9, 0.9], [1, 1, 1, 0]), 3)
    0.15
    """
    found = reliability(confidence, right, bins, equal)
    total = sum(bin.count for bin in found)
    return sum(bin.count * abs(bin.accuracy - bin.confidence) for bin in found) / total


def brier(confidence: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Mean squared distance of confidence and outcome, 0..1; Brier (1950).

    >>> brier([1.0, 0.5], [1, 0])
    0.125
    """
    sure, good = checked(confidence, right)
    return float(((sure - good) ** 2).mean())


def auroc(confidence: npt.ArrayLike, right: npt.ArrayLike) -> float | None:
    """The chance that a right answer is surer than a wrong one, a tie counting half; None where
    all are right or all wrong.

    >>> auroc([0.9, 0.5, 0.5], [1, 1, 0])
    0.75
    """
    sure, good = checked(confidence, right)
    yes, no = np.sort(sure[good]), np.sort(sure[~good])
    if not len(yes) or not len(no):
        return None
    below = np.searchsorted(no, yes, "left").sum()
    upto = np.searchsorted(no, yes, "right").sum()
    return float(below + upto) / 2 / (len(yes) * len(no))


def checked(confidence: npt.ArrayLike, right: npt.ArrayLike) -> tuple[Floats, Bools]:
    """Both as arrays of equal length.

    Raises:
        ValueError: lengths disagree, no answers, a confidence outside 0..1, or right other than
            true and false.
    """
    sure, good = np.asarray(confidence, np.float64), np.asarray(right)
    if sure.ndim != 1 or sure.shape != good.shape or not len(sure):
        raise ValueError(
            f"expected a confidence and an outcome for each answer, one answer at least, got "
            f"{sure.shape} and {good.shape}"
        )
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError("confidence must lie in 0..1")
    if not np.isin(good, (0, 1)).all():
        raise ValueError("right must be true or false for each answer")
    return sure, good.astype(bool)
