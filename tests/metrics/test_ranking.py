"""Measures of a ranking: against scikit-learn, their definitions, and every order of the equal."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics import ranking, ties

GRADES = st.lists(st.integers(0, 4), min_size=2, max_size=20).filter(any)


@given(GRADES, st.integers(1, 25))
def test_ndcg_is_that_of_scikit_learn(grades, k):
    metrics = pytest.importorskip("sklearn.metrics")
    order = np.arange(len(grades))
    oracle = metrics.ndcg_score([grades], [-order], k=k)
    held = {i: float(grade) for i, grade in enumerate(grades) if grade}
    assert ranking.ndcg(order.tolist(), held, k) == pytest.approx(oracle)
    assert ranking.ndcg(order.tolist(), held) == pytest.approx(
        metrics.ndcg_score([grades], [-order])
    )


@given(GRADES)
def test_average_precision_is_that_of_scikit_learn(grades):
    metrics = pytest.importorskip("sklearn.metrics")
    order = np.arange(len(grades))
    oracle = metrics.average_precision_score(np.array(grades) > 0, -order)
    assert ranking.average_precision(order.tolist(), dict(enumerate(grades))) == pytest.approx(
        oracle
    )


@given(GRADES, st.integers(0, 20), st.integers(1, 25))
def test_the_rest_are_as_defined_and_lie_in_0_to_1(grades, missed, k):
    """Some of the relevant are not ranked."""
    grades = dict(enumerate(grades))
    ids = [id for id in grades if id != missed]
    right = [id for id, grade in grades.items() if grade]
    among = [id for id in ids[:k] if id in right]
    assert ranking.recall_at(ids, grades, k) == pytest.approx(len(among) / len(right))
    assert ranking.precision_at(ids, grades, k) == pytest.approx(len(among) / k)
    first = min((ids.index(id) + 1 for id in among), default=np.inf)
    assert ranking.reciprocal_rank(ids, grades, k) == pytest.approx(1 / first)
    for measure in (ranking.ndcg, ranking.average_precision, ranking.recall_at):
        assert 0 <= measure(ids, grades, k) <= 1 + 1e-12


def test_the_best_order_scores_one_and_the_worst_less():
    grades = {"a": 3, "b": 1, "c": 0}
    assert ranking.ndcg(["a", "b", "c"], grades) == pytest.approx(1)
    assert ranking.ndcg(["c", "b", "a"], grades) < ranking.ndcg(["b", "a", "c"], grades) < 1
    assert ranking.ndcg([], grades) == ranking.average_precision([], grades) == 0
    assert ranking.reciprocal_rank([], grades) == ranking.recall_at([], grades, 5) == 0


PAIRS = [
    (lambda ids, grades: ranking.ndcg(ids, grades, 3), lambda s, g: ties.ndcg(s, g, 3)),
    (ranking.ndcg, ties.ndcg),
    (lambda ids, grades: ranking.recall_at(ids, grades, 2), lambda s, g: ties.recall_at(s, g, 2)),
    (
        lambda ids, grades: ranking.precision_at(ids, grades, 4),
        lambda s, g: ties.precision_at(s, g, 4),
    ),
    (ranking.average_precision, ties.average_precision),
    (ranking.reciprocal_rank, ties.reciprocal_rank),
]


@given(st.data())
def test_a_tie_is_worth_the_mean_over_its_orders_and_the_worst_is_the_least(data):
    size = data.draw(st.integers(1, 6))
    scores = dict(enumerate(data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))))
    grades = dict(
        enumerate(data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=7).filter(any)))
    )
    orders = [
        sorted(scores, key=lambda id, lot=lot: (-scores[id], lot[id]))
        for lot in itertools.permutations(range(size))
    ]
    for of_order, of_ties in PAIRS:
        every = [of_order(order, grades) for order in orders]
        assert of_ties(scores, grades) == pytest.approx(np.mean(every))
        assert of_order(ties.worst(scores, grades), grades) == pytest.approx(min(every))


def test_a_system_that_scores_all_alike_is_as_good_as_chance():
    scores = dict.fromkeys(range(100), 0.5)
    grades = dict.fromkeys(range(90, 100), 1)
    assert ties.recall_at(scores, grades, 10) == pytest.approx(0.1)
    assert ranking.recall_at(ties.worst(scores, grades), grades, 10) == 0


@pytest.mark.parametrize("measure", [ranking.ndcg, ranking.recall_at, ranking.precision_at])
@pytest.mark.parametrize(
    ("ids", "grades", "k", "match"),
    [
        (["a", "b", "a"], {"a": 1}, 2, "'a' is ranked twice"),
        (["a"], {}, 2, "nothing is relevant"),
        (["a"], {"a": 0}, 2, "nothing is relevant"),
        (["a"], {"a": -1, "b": 1}, 2, "grades must be 0 or more"),
        (["a"], {"a": float("nan"), "b": 1}, 2, "grades must be 0 or more"),
        (["a"], {"a": 1}, 0, "k must be 1 or more"),
    ],
)
def test_what_has_no_score_is_refused(measure, ids, grades, k, match):
    with pytest.raises(ValueError, match=match):
        measure(ids, grades, k)


def test_scores_that_cannot_rank_are_refused():
    for measure in (ties.ndcg, ties.average_precision, ties.reciprocal_rank):
        with pytest.raises(ValueError, match="NaN"):
            measure({"a": float("nan"), "b": 1.0}, {"a": 1})
        with pytest.raises(ValueError, match="nothing is relevant"):
            measure({"a": 1.0}, {"b": 0})
