"""Measures of one ranking: ids, best first, against the grades of what is right.

They agree with trec_eval (``trec.py`` has the rest of its measures). A ranking is an order: where
equal scores stand in it, use ``ties.py``. A query with nothing relevant has no recall and no gain
to compare with; it is refused, so that it is left out and counted, not scored as 0 or 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Id = TypeVar("Id", bound=Hashable)
Floats = npt.NDArray[np.float64]


def ndcg(ids: Sequence[Id], grades: Mapping[Id, float], k: int | None = None) -> float:
    """Normalised discounted cumulative gain of the first ``k``; the gain is the grade.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002), with the
    discount 1 / log2(rank + 1).

    Args:
        ids: best first, each once.
        grades: 0 or more; what is not in it has 0. At least one above 0.
        k: None for all.

    Raises:
        ValueError: an id listed twice, k below 1, a negative grade, or nothing relevant.

    >>> round(ndcg([3, 1, 2], {1: 1.0}, k=10), 4)
    0.6309
    """
    gains = _gains(ids, grades, k)[:k]
    best = np.array(sorted(grades.values(), reverse=True)[:k], np.float64)
    return float(gains @ discounts(len(gains)) / (best @ discounts(len(best))))


def recall_at(ids: Sequence[Id], grades: Mapping[Id, float], k: int) -> float:
    """Share of the relevant (grade above 0) that is among the first ``k``.

    >>> recall_at(["a", "b", "c"], {"b": 1, "z": 1}, k=2)
    0.5
    """
    relevant = _gains(ids, grades, k) > 0
    return float(relevant[:k].sum()) / _relevant(grades)


def precision_at(ids: Sequence[Id], grades: Mapping[Id, float], k: int) -> float:
    """Relevant among the first ``k``, over ``k`` however many were ranked.

    >>> precision_at(["a", "b"], {"b": 1}, k=4)
    0.25
    """
    return float((_gains(ids, grades, k) > 0)[:k].sum()) / k


def average_precision(ids: Sequence[Id], grades: Mapping[Id, float], k: int | None = None) -> float:
    """The precision at each relevant one among the first ``k``, summed, over all the relevant.

    >>> average_precision(["a", "x", "b"], {"a": 1, "b": 1, "c": 1})
    0.5555555555555555
    """
    relevant = _gains(ids, grades, k)[:k] > 0
    ranks = np.flatnonzero(relevant) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).sum()) / _relevant(grades)


def reciprocal_rank(ids: Sequence[Id], grades: Mapping[Id, float], k: int | None = None) -> float:
    """1 over the rank of the first relevant one; 0 if none is among the first ``k``.

    >>> reciprocal_rank(["x", "a"], {"a": 1})
    0.5
    """
    ranks = np.flatnonzero(_gains(ids, grades, k)[:k] > 0)
    return 1 / (int(ranks[0]) + 1) if len(ranks) else 0.0


def discounts(count: int) -> Floats:
    """What a gain is worth by rank, float [count]: 1 / log2(rank + 1), rank from 1."""
    return np.asarray(1 / np.log2(np.arange(2, count + 2)))


def check_grades(grades: Mapping[Id, float], k: int | None = None) -> None:
    """Raise ValueError unless something is relevant, no grade is negative, and k is 1 or more."""
    if k is not None and k < 1:
        raise ValueError(f"k must be 1 or more, or None for all, got {k}")
    if any(not grade >= 0 for grade in grades.values()):
        raise ValueError("grades must be 0 or more, without NaN")
    if not _relevant(grades):
        raise ValueError("nothing is relevant to this query; leave it out, and count it")


def _gains(ids: Sequence[Id], grades: Mapping[Id, float], k: int | None) -> Floats:
    """Grades in the order of the ranking, float [ids], after the checks."""
    check_grades(grades, k)
    if len(set(ids)) != len(ids):
        twice = next(id for place, id in enumerate(ids) if id in ids[:place])
        raise ValueError(f"{twice!r} is ranked twice; it would be counted twice")
    return np.array([grades.get(id, 0.0) for id in ids], np.float64)


def _relevant(grades: Mapping[Id, float]) -> int:
    return sum(grade > 0 for grade in grades.values())
