"""Class-mean recall at k: ties by drawing lots, classes alike. Reference numbers: test_actions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics.classmean import class_mean, hits, numbered


@given(st.lists(st.integers(0, 3), min_size=2, max_size=7), st.data(), st.integers(1, 8))
def test_a_tie_is_worth_what_lots_would_give(
    scores: list[int], data: st.DataObject, k: int
) -> None:
    """The share of orders of equal scores in which the label is among the k best."""
    from itertools import permutations

    truth = data.draw(st.integers(0, len(scores) - 1))
    found = hits(np.array([scores], float), np.array([truth]), k)[0]
    orders = list(permutations(range(len(scores))))
    among = sum(
        truth in sorted(range(len(scores)), key=lambda i: (-scores[i], order[i]))[:k]
        for order in orders
    )
    assert found == pytest.approx(among / len(orders))


def test_a_model_that_says_the_same_of_all_is_as_good_as_chance() -> None:
    dice = np.random.default_rng(1)
    truth = dice.integers(0, 20, 500)
    found = hits(np.zeros((500, 20)), truth, 5)
    assert class_mean(found, truth) == pytest.approx(5 / 20)


def test_each_class_counts_alike_and_a_label_never_learned_is_a_miss() -> None:
    truth, classes = numbered(["a", "a", "a", "b", "new"], ["a", "b"])
    assert truth.tolist() == [0, 0, 0, 1, -1]
    scores = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 2)
    found = hits(scores, truth, 1)
    assert found.tolist() == [1, 1, 1, 1, 0]
    assert class_mean(found, classes) == pytest.approx(2 / 3)
    assert hits(scores, truth, 9).tolist() == [1, 1, 1, 1, 0]  # never above 1


@pytest.mark.parametrize(
    ("scores", "truth", "k"),
    [
        (np.zeros((2, 3)), np.array([0]), 1),
        (np.zeros(3), np.array([0]), 1),
        (np.zeros((1, 3)), np.array([0]), 0),
        (np.array([[np.nan, 1.0]]), np.array([1]), 1),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    scores: npt.NDArray[np.float64], truth: npt.NDArray[np.intp], k: int
) -> None:
    with pytest.raises(ValueError, match=r"k|NaN"):
        hits(scores, truth, k)
