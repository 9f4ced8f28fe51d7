"""The binomial distribution, and the exact bound of a chance from successes counted."""

from __future__ import annotations

import math

import numpy as np

_STEPS = 60  # halvings of 0..1: below the resolution of a float


def at_most(count: int, trials: int, chance: float) -> float:
    """The probability of ``count`` successes or fewer.

    >>> round(at_most(0, 3, 0.5), 6)
    0.125
    """
    if count >= trials or chance <= 0:
        return 1.0
    if count < 0 or chance >= 1:
        return 0.0
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    k = np.arange(count + 1)
    ways = logs[trials] - logs[k] - logs[trials - k]
    terms = ways + k * math.log(chance) + (trials - k) * math.log1p(-chance)
    most = float(terms.max())
    return min(1.0, math.exp(most) * float(np.exp(terms - most).sum()))


def upper_bound(count: int, trials: int, delta: float) -> float:
    """The chance is at most this, but for a probability of ``delta`` of being wrong.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial" (Biometrika 26, 1934), one-sided.

    Args:
        count: successes seen in ``trials``.

    Raises:
        ValueError: count outside 0..trials, or delta outside (0, 1).

    >>> round(upper_bound(0, 29, 0.05), 4)
    0.0981
    """
    if not 0 <= count <= trials or not 0 < delta < 1:
        raise ValueError(
            f"expected 0 <= count <= trials and 0 < delta < 1, got {count}, {trials}, {delta}"
        )
    low, high = 0.0, 1.0
    if count == trials:
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if at_most(count, trials, middle) > delta:
            low = middle
        else:
            high = middle
    return high
