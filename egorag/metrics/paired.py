"""Whether one run is better than another on the same questions, and whether that is chance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.metrics.intervals import draws


@dataclass(frozen=True)
class Difference:
    """How much better the first run is.

    Attributes:
        value: mean of a - b over all questions.
        low, high: 95 % interval; None with fewer than two clusters, where nothing can be said.
        p: two-sided, that there is no difference; 1 where nothing can be said.
        rows, clusters: how many questions and videos it was measured on.
    """

    value: float
    low: float | None
    high: float | None
    p: float
    rows: int
    clusters: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))

    def __str__(self) -> str:
        between = f" [{self.low:+.3f}, {self.high:+.3f}]" if self.low is not None else ""
        return f"{self.value:+.3f}{between}, p = {self.p:.3g}"


def paired_bootstrap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    clusters: Sequence[Hashable],
    seed: int = 0,
    rounds: int = 10_000,
    level: float = 0.95,
) -> Difference:
    """The mean of a - b with its interval and p value, whole clusters drawn with replacement.

    The interval holds percentiles of the draws. The p value is of draws centred on no difference,
    as often at least as far from 0 as what was seen (Efron and Tibshirani, "An Introduction to the
    Bootstrap", 1993, section 16.4), one draw added so that it is never 0.

    Args:
        a, b: a score of each question, float [n], in the same order.
        clusters: the video of each question; a question without one is its own cluster.

    Raises:
        ValueError: shapes disagree, no questions, a score that is not finite, or rounds below 1.

    >>> found = paired_bootstrap([1, 1, 0, 1], [0, 1, 0, 0], clusters=range(4))
    >>> found.value, found.low
    (0.5, 0.0)
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.ndim != 1 or first.shape != second.shape or len(first) != len(clusters):
        raise ValueError(
            f"a, b and clusters must be of the same questions, got {first.shape}, {second.shape} "
            f"and {len(clusters)}"
        )
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, got {rounds}")
    difference = first - second
    if not np.isfinite(difference).all():
        raise ValueError("a and b must be finite; leave out questions without a score in both")
    drawn, names = draws(difference, clusters, seed, rounds)
    value = float(difference.mean())
    if names < 2:
        return Difference(value, None, None, 1.0, len(first), names)
    low, high = (float(q) for q in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    # A draw as far as what was seen counts, also where rounding puts it a hair nearer.
    near = 1e-12 * max(1.0, abs(value))
    beyond = int((np.abs(drawn - value) >= abs(value) - near).sum())
    return Difference(value, low, high, (1 + beyond) / (1 + rounds), len(first), names)


def mcnemar(a_right: npt.ArrayLike, b_right: npt.ArrayLike) -> float:
    """Two-sided p value that two answerers are right equally often; McNemar's exact test.

    McNemar (Psychometrika 12, 1947), with the binomial distribution in place of chi squared: only
    questions that one alone has right tell anything. It takes questions as independent; where a
    video has many, ``paired_bootstrap`` over videos is the safer.

    Args:
        a_right, b_right: bool [n], the same questions in the same order.

    Raises:
        ValueError: shapes disagree, or values other than 0 and 1.

    >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
    0.0625
    """
    first, second = np.asarray(a_right), np.asarray(b_right)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"expected two lists of equal length, got {first.shape}, {second.shape}")
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        raise ValueError("a_right and b_right must be true or false for each question")
    alone = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    total = sum(alone)
    # Whole numbers: exact also where 2 ** total is beyond a float.
    ways = tail = 1
    for count in range(min(alone)):
        ways = ways * (total - count) // (count + 1)
        tail += ways
    return min(1.0, float(2 * tail / 2**total))


def holm(ps: Sequence[float]) -> list[float]:
    """p values corrected for how many there are, in the order given.

    Holm, "A simple sequentially rejective multiple test procedure" (Scand. J. Statist. 6, 1979):
    the chance of one false claim or more among all is at most the level, whatever their dependence.

    Raises:
        ValueError: a value outside 0..1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if any(not 0 <= p <= 1 for p in ps):
        raise ValueError(f"p values must lie in 0..1, got {list(ps)}")
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for place, number in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - place) * ps[number]))
        adjusted[number] = highest
    return adjusted
