"""Measures of scored ids where equal scores stand: in no order, so what lots would give.

McSherry and Najork, "Computing information retrieval performance measures efficiently in the
presence of tied scores" (ECIR 2008): the mean over all orders of the equal, without drawing any.
``worst`` gives the order that counts each tie against the system, for a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate, groupby

import numpy as np

from egorag.metrics.ranking import Floats, Id, check_grades, discounts

Group = tuple[int, int, int]


def worst(scores: Mapping[Id, float], grades: Mapping[Id, float]) -> list[Id]:
    """Ids by falling score; of equal scores the lower grade first.

    Raises:
        ValueError: a score is NaN.

    >>> worst({"a": 1.0, "b": 1.0, "c": 2.0}, {"a": 1})
    ['c', 'b', 'a']
    """
    if any(math.isnan(score) for score in scores.values()):
        raise ValueError("scores hold NaN; nothing can be ranked by them")
    return sorted(scores, key=lambda id: (-scores[id], grades.get(id, 0.0)))


def ndcg(scores: Mapping[Id, float], grades: Mapping[Id, float], k: int | None = None) -> float:
    """The mean of ``ranking.ndcg`` over all orders of equal scores.

    >>> ndcg({"a": 1.0, "b": 1.0}, {"a": 1}, k=1)
    0.5
    """
    check_grades(grades, k)
    gains = _shared(scores, grades)[:k]
    best = np.array(sorted(grades.values(), reverse=True)[:k], np.float64)
    return float(gains @ discounts(len(gains)) / (best @ discounts(len(best))))


def recall_at(scores: Mapping[Id, float], grades: Mapping[Id, float], k: int) -> float:
    """The mean of ``ranking.recall_at`` over all orders of equal scores."""
    check_grades(grades, k)
    relevant = {id: float(grade > 0) for id, grade in grades.items()}
    return float(_shared(scores, relevant)[:k].sum()) / sum(relevant.values())


def precision_at(scores: Mapping[Id, float], grades: Mapping[Id, float], k: int) -> float:
    """The mean of ``ranking.precision_at`` over all orders of equal scores."""
    check_grades(grades, k)
    relevant = {id: float(grade > 0) for id, grade in grades.items()}
    return float(_shared(scores, relevant)[:k].sum()) / k


def average_precision(scores: Mapping[Id, float], grades: Mapping[Id, float]) -> float:
    """The mean of ``ranking.average_precision`` over all orders of equal scores."""
    check_grades(grades)
    total = found = 0.0
    for before, size, right in _groups(scores, grades):
        place = np.arange(size)
        # Given that a place of the group is right, each before it is so with this chance.
        others = place * (right - 1) / max(size - 1, 1)
        total += float((right / size * (found + 1 + others) / (before + place + 1)).sum())
        found += right
    return total / sum(grade > 0 for grade in grades.values())


def reciprocal_rank(scores: Mapping[Id, float], grades: Mapping[Id, float]) -> float:
    """The mean of ``ranking.reciprocal_rank`` over all orders of equal scores."""
    check_grades(grades)
    for before, size, right in _groups(scores, grades):
        if right:
            ways = math.comb(size, right)
            return sum(
                math.comb(size - 1 - place, right - 1) / ways / (before + place + 1)
                for place in range(size - right + 1)
            )
    return 0.0


def _shared(scores: Mapping[Id, float], grades: Mapping[Id, float]) -> Floats:
    """The mean grade of those that share a score, at each rank: float [scores]."""
    order = worst(scores, grades)
    groups = [
        [grades.get(id, 0.0) for id in equal] for _, equal in groupby(order, lambda id: scores[id])
    ]
    return np.repeat([np.mean(g) for g in groups], [len(g) for g in groups])


def _groups(scores: Mapping[Id, float], grades: Mapping[Id, float]) -> list[Group]:
    """Of each run of equal scores, best first: how many stand before it, its size, how many of it
    are relevant."""
    order = worst(scores, grades)
    runs = [list(equal) for _, equal in groupby(order, lambda id: scores[id])]
    before = accumulate((len(run) for run in runs), initial=0)
    return [
        (start, len(run), sum(grades.get(id, 0.0) > 0 for id in run))
        for start, run in zip(before, runs, strict=False)
    ]
