"""How sure a score is: a bootstrap over videos, since clips of one video are no new evidence."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]

_AT_ONCE = 256
"""Draws made together: bounds the memory of many rows."""


@dataclass(frozen=True)
class Interval:
    """A score with its confidence interval.

    Attributes:
        value: on all rows.
        low, high: percentiles of the bootstrap; None with fewer than two videos, where nothing
            can be said.
        level: the confidence, e.g. 0.95.
        rows, clusters: how many rows and videos it was measured on.
    """

    value: float
    low: float | None
    high: float | None
    level: float
    rows: int
    clusters: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))

    def __str__(self) -> str:
        between = f" [{self.low:.3f}, {self.high:.3f}]" if self.low is not None else ""
        return f"{self.value:.3f}{between}"


def clustered(
    statistic: Callable[[Rows], float],
    clusters: Sequence[Hashable],
    *,
    seed: int = 0,
    rounds: int = 1000,
    level: float = 0.95,
) -> Interval:
    """``statistic`` on all rows, and between which bounds it lies when videos are drawn anew.

    Percentile bootstrap, whole clusters drawn with replacement (Davison and Hinkley, "Bootstrap
    Methods and their Application", 1997, section 3.8).

    Args:
        statistic: of row numbers int [n], with repeats, to a finite score.
        clusters: the video of each row.

    Raises:
        ValueError: no rows.

    >>> right = np.array([1, 1, 1, 0, 1, 1])
    >>> str(clustered(lambda rows: right[rows].mean(), ["a", "a", "b", "b", "c", "c"]))
    '0.833 [0.500, 1.000]'
    """
    of = _numbered(clusters)
    count = int(of.max()) + 1
    members = np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of))[:-1])
    value = float(statistic(np.arange(len(of))))
    low = high = None
    if count > 1:
        dice = np.random.default_rng(seed)
        drawn = [
            float(statistic(np.concatenate([members[i] for i in picked])))
            for picked in dice.integers(0, count, (rounds, count))
        ]
        low, high = (float(q) for q in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(value, low, high, level, len(of), count)


def clustered_mean(
    values: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    seed: int = 0,
    rounds: int = 1000,
    level: float = 0.95,
) -> Interval:
    """``clustered`` of the mean of ``values``, float [rows], from sums by cluster: far quicker.

    >>> str(clustered_mean([1, 1, 1, 0, 1, 1], ["a", "a", "b", "b", "c", "c"]))
    '0.833 [0.500, 1.000]'
    """
    each = np.asarray(values, np.float64)
    drawn, count = draws(each, clusters, seed, rounds)
    low = high = None
    if count > 1:
        low, high = (float(q) for q in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(float(each.mean()), low, high, level, len(each), count)


def draws(
    values: npt.NDArray[np.float64], clusters: Sequence[Hashable], seed: int, rounds: int
) -> tuple[npt.NDArray[np.float64], int]:
    """The mean of ``values`` in each draw of whole clusters, float [rounds]; how many clusters.

    The draws are those of ``clustered`` with the same seed; sums by cluster make them fast.

    Raises:
        ValueError: no rows.
    """
    of = _numbered(clusters)
    sizes, sums = np.bincount(of), np.bincount(of, weights=values)
    dice = np.random.default_rng(seed)
    drawn = np.empty(rounds)
    for first in range(0, rounds, _AT_ONCE):
        picked = dice.integers(0, len(sizes), (min(_AT_ONCE, rounds - first), len(sizes)))
        drawn[first : first + len(picked)] = sums[picked].sum(1) / sizes[picked].sum(1)
    return drawn, len(sizes)


def _numbered(clusters: Sequence[Hashable]) -> npt.NDArray[np.intp]:
    """The number of each row's cluster, in an order that does not depend on that of the rows."""
    if not len(clusters):
        raise ValueError("no rows to measure a score on")
    number = {name: i for i, name in enumerate(sorted(set(clusters), key=str))}
    return np.array([number[name] for name in clusters], np.intp)
