"""Class-mean recall at k: EPIC-KITCHENS-100's reference numbers, and ties by drawing lots."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics.classmean import class_mean, hits, numbered


@pytest.fixture(scope="module")
def official(shared_data: Path) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Verb and noun classes of the official validation annotations."""
    with (shared_data / "ek100" / "EPIC_100_validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    verbs, nouns = (
        np.array([int(row[name]) for row in rows], np.intp) for name in ("verb_class", "noun_class")
    )
    return verbs, nouns


def test_random_scores_reach_the_reference_numbers(
    official: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
) -> None:
    """Class-mean top-5 recall of uniform random scores, as the official code gives it."""
    verbs, nouns = official
    dice = np.random.default_rng(0)
    by_verb, by_noun = dice.random((9668, 97)), dice.random((9668, 300))
    assert 100 * class_mean(hits(by_verb, verbs, 5), verbs) == pytest.approx(5.057124, abs=1e-6)
    assert 100 * class_mean(hits(by_noun, nouns, 5), nouns) == pytest.approx(1.702336, abs=1e-6)
    # Actions as the official code combines them: products of the 100 best verbs and nouns.
    actions = np.unique(verbs * 300 + nouns, return_inverse=True)[1]
    best_verbs, best_nouns = (np.argsort(-s, 1)[:, :100] for s in (by_verb, by_noun))
    products = (
        _softmax(np.take_along_axis(by_verb, best_verbs, 1))[:, :, None]
        * _softmax(np.take_along_axis(by_noun, best_nouns, 1))[:, None, :]
    ).reshape(len(verbs), -1)
    verb, noun = best_verbs == verbs[:, None], best_nouns == nouns[:, None]
    there = verb.any(1) & noun.any(1)
    truth = np.where(there, verb.argmax(1) * noun.shape[1] + noun.argmax(1), -1)
    assert 100 * class_mean(hits(products, truth, 5), actions) == pytest.approx(0.016642, abs=1e-6)


def _softmax(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    raised = np.exp(rows - rows.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


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
