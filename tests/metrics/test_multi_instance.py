"""Multi-instance retrieval: the reference numbers of EPIC-KITCHENS-100, ties, and refusals."""

from __future__ import annotations

import ast
import csv
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics import multi_instance
from egorag.metrics.multi_instance import relevancy, score

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def official(shared_data: Path) -> Floats:
    """Relevancy of the official clips and sentences."""
    folder = shared_data / "ek100"
    with (folder / "EPIC_100_validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    place = {row["narration_id"]: i for i, row in enumerate(rows)}
    with (folder / "EPIC_100_retrieval_test_sentence.csv").open(newline="") as file:
        said = [place[row["narration_id"]] for row in csv.DictReader(file)]
    verbs = np.array([int(row["verb_class"]) for row in rows])
    nouns = [set(ast.literal_eval(row["all_noun_classes"])) for row in rows]
    return relevancy(verbs, nouns, verbs[said], [nouns[i] for i in said])


def test_relevancy_is_the_official_one(official: Floats) -> None:
    assert official.shape == (9668, 3842)
    assert int((official == 1).sum()) == 62_535
    assert int((official > 0).sum()) == 4_224_956
    assert official.sum() == pytest.approx(2_040_309.2333, abs=1e-4)


@pytest.mark.slow
def test_random_similarity_reaches_the_reference_numbers(official: Floats) -> None:
    dice = np.random.default_rng(0)
    found = []
    for _ in range(5):
        similarity = dice.standard_normal(official.shape)
        there, back = score(similarity, official), score(similarity.T, official.T)
        found.append(
            [100 * way.average_precision.mean() for way in (there, back)]
            + [100 * way.ndcg.mean() for way in (there, back)]
        )
    expected = [5.6836, 5.5701, 10.8065, 10.9503]
    assert np.mean(found, axis=0) == pytest.approx(expected, abs=5e-5)


def by_definition(order: list[int], grades: list[float]) -> tuple[float, float]:
    """Average precision and nDCG of one order, in plain words."""
    ranked = [grades[i] for i in order]
    precisions = [sum(ranked[: k + 1]) / (k + 1) for k, g in enumerate(ranked) if g == 1]
    cut = sum(g > 0 for g in grades)
    gain = sum(g / np.log2(k + 2) for k, g in enumerate(ranked[:cut]))
    best = sum(g / np.log2(k + 2) for k, g in enumerate(sorted(grades, reverse=True)[:cut]))
    return sum(precisions) / len(precisions), gain / best


@given(st.data())
def test_each_query_scores_the_mean_over_the_orders_of_equals(data):
    size = data.draw(st.integers(1, 6))
    row = st.lists(st.sampled_from([0, 0, 0.25, 0.5, 1]), min_size=size, max_size=size)
    grades = data.draw(st.lists(row.filter(lambda g: 1 in g), min_size=1, max_size=3))
    likeness = st.lists(st.integers(0, 2), min_size=size, max_size=size)
    scores = data.draw(st.lists(likeness, min_size=len(grades), max_size=len(grades)))
    found = score(np.array(scores, float), np.array(grades, float))
    for number, (of_row, graded) in enumerate(zip(scores, grades, strict=True)):
        orders = {
            tuple(sorted(range(size), key=lambda i, s=of_row, lot=lot: (-s[i], lot[i])))
            for lot in itertools.permutations(range(size))
        }
        expected = np.mean([by_definition(list(order), graded) for order in orders], axis=0)
        got = found.average_precision[number], found.ndcg[number]
        assert got == pytest.approx(tuple(expected))
        assert max(got) <= 1 + 1e-12


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(0)
    grades = np.round(dice.random((50, 30)) * 4) / 4
    grades[:, 0] = 1
    similarity = np.round(dice.random((50, 30)) * 9).astype(np.float32)
    whole = score(similarity, grades)
    monkeypatch.setattr(multi_instance, "_CELLS", 64)
    parts = score(similarity, grades)
    assert whole.average_precision.tolist() == parts.average_precision.tolist()
    assert whole.ndcg.tolist() == parts.ndcg.tolist()


def test_the_best_similarity_scores_one_and_no_queries_score_nothing() -> None:
    grades = np.array([[1.0, 0.5, 0], [0, 1, 0.25]])
    best = score(grades, grades)
    assert best.ndcg.tolist() == [1, 1] and best.average_precision.tolist() == [1, 1]
    assert score(np.zeros((0, 3)), np.zeros((0, 3))).ndcg.shape == (0,)


@pytest.mark.parametrize(
    ("similarity", "grades", "match"),
    [
        (np.zeros((2, 3)), np.ones((3, 2)), r"got \(2, 3\) and \(3, 2\)"),
        (np.zeros(3), np.ones(3), "queries, candidates"),
        (np.full((1, 2), np.nan), np.ones((1, 2)), "NaN"),
        (np.zeros((1, 2)), np.array([[1.5, 1]]), r"0\.\.1"),
        (np.zeros((1, 2)), np.array([[np.nan, 1]]), r"0\.\.1"),
        (np.zeros((1, 2)), np.array([[0.5, 0]]), "nothing of relevancy 1"),
    ],
)
def test_what_has_no_score_is_refused(similarity, grades, match):
    with pytest.raises(ValueError, match=match):
        score(similarity, grades)


def test_relevancy_needs_nouns_on_both_sides() -> None:
    with pytest.raises(ValueError, match="entry 1 has no nouns"):
        relevancy(np.array([0, 0]), [{1}, set()], np.array([0]), [{1}])
    with pytest.raises(ValueError, match="as many verbs"):
        relevancy(np.array([0, 0]), [{1}], np.array([0]), [{1}])
