"""Answering only when sure: how wrong the answers given are, by how many are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.metrics.binomial import at_most, upper_bound
from egorag.metrics.calibration import checked

Floats = npt.NDArray[np.float64]

GRID = 100
"""Thresholds looked at are multiples of 1 over this, fixed before any answer is seen."""
STARTS = 10
"""From how many of them the search starts; each has its share of ``delta``."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Risk by coverage, one point for each confidence that occurs, highest first.

    Attributes:
        threshold: answers of this confidence or more are given, float [points].
        coverage: share of the questions answered, float [points].
        risk: share of the given answers that are wrong, float [points].
    """

    threshold: Floats
    coverage: Floats
    risk: Floats


def risk_coverage(confidence: npt.ArrayLike, right: npt.ArrayLike) -> Curve:
    """El-Yaniv and Wiener, "On the foundations of noise-free selective classification" (JMLR 2010).

    Raises:
        ValueError: what ``calibration.checked`` refuses.
    """
    sure, good = checked(confidence, right)
    order = np.argsort(-sure, kind="stable")
    last = np.append(np.diff(sure[order]) != 0, True)
    given = np.flatnonzero(last) + 1
    wrong = np.cumsum(~good[order])[last]
    return Curve(sure[order][last], given / len(sure), wrong / given)


def area_under_risk_coverage(confidence: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The mean risk over all coverages 1/n, 2/n, ..., 1: 0 is perfect (AURC).

    Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers"
    (ICLR 2019). Answers of equal confidence are in no order: the mean over their orders counts.

    >>> area_under_risk_coverage([0.9, 0.1], [1, 0])
    0.25
    """
    sure, good = checked(confidence, right)
    curve = risk_coverage(sure, good)
    given = np.rint(curve.coverage * len(sure))
    wrong = np.concatenate([[0.0], curve.risk * given])
    given = np.concatenate([[0.0], given])
    count = np.arange(1, len(sure) + 1)
    # Within a run of equals the wrong ones come evenly, on average.
    return float((np.interp(count, given, wrong) / count).mean())


@dataclass(frozen=True)
class Threshold:
    """Answer from this confidence on, and the risk stays at most the target.

    Attributes:
        value: answers of this confidence or more are given.
        target: the risk allowed.
        delta: the probability that the promise is broken, over draws of the questions it was
            found on.
        given, wrong: answers given at it, of the questions it was found on, and wrong ones of
            these.
        coverage: share of the questions answered.
        risk: share of the given answers that was wrong.
        bound: what the risk is at most, at the level of this test.
    """

    value: float
    target: float
    delta: float
    given: int
    wrong: int
    coverage: float
    risk: float
    bound: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))


def threshold_for(
    confidence: npt.ArrayLike, right: npt.ArrayLike, target: float, delta: float = 0.05
) -> Threshold | None:
    """The lowest threshold whose risk is at most ``target`` with probability 1 - ``delta``.

    Learn then Test (Angelopoulos et al., "Learn then test: calibrating predictive algorithms to
    achieve risk control", 2021) with exact binomial tests of the risk among the answers given:
    fixed-sequence testing down a fixed grid of thresholds, from ``STARTS`` starts. It holds for
    new questions drawn like these, each independently; questions of few videos are not.

    Args:
        confidence: float [n] in 0..1, not fitted on these questions. A monotone calibration does
            not change which answers are given, so the answerer's own confidence will do.
        right: bool [n].

    Returns:
        None where no threshold can be promised: too few questions, or too many wrong.

    Raises:
        ValueError: what ``calibration.checked`` refuses, or target or delta outside (0, 1).

    >>> threshold_for([0.9] * 60 + [0.2] * 40, [1] * 60 + [0] * 40, target=0.1).value
    0.21
    """
    sure, good = checked(confidence, right)
    for name, value in (("target", target), ("delta", delta)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1, got {value}")
    level = delta / STARTS
    order = np.sort(sure)
    errors = np.concatenate([[0], np.cumsum(~good[np.argsort(sure, kind="stable")])])

    def counts(step: int) -> tuple[int, int]:
        below = int(np.searchsorted(order, step / GRID, "left"))
        return len(sure) - below, int(errors[-1] - errors[below])

    def holds(step: int) -> bool:
        given, wrong = counts(step)
        return given > 0 and at_most(wrong, given, target) <= level

    found = []
    for start in range(GRID // STARTS, GRID + 1, GRID // STARTS):
        step = start
        while step >= 0 and holds(step):
            found.append(step)
            step -= 1
    if not found:
        return None
    given, wrong = counts(min(found))
    return Threshold(
        min(found) / GRID,
        target,
        delta,
        given,
        wrong,
        given / len(sure),
        wrong / given,
        upper_bound(wrong, given, level),
    )
