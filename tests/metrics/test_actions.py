"""Actions: EPIC-KITCHENS-100's reference numbers, its parts, and the official way written out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from egorag.metrics import actions
from egorag.metrics.actions import action_classes, action_hits, by_part, parts
from egorag.metrics.classmean import class_mean, hits

Ints = npt.NDArray[np.intp]


def column(file: Path, name: str) -> list[str]:
    with file.open(newline="") as opened:
        return [row[name] for row in csv.DictReader(opened)]


@pytest.fixture(scope="module")
def official(shared_data: Path) -> tuple[Ints, Ints, dict]:
    """Verb and noun classes of the official validation annotations, and the parts."""
    folder = shared_data / "ek100"
    clips = folder / "EPIC_100_validation.csv"
    verbs, nouns = (
        np.array([int(value) for value in column(clips, name)], np.intp)
        for name in ("verb_class", "noun_class")
    )
    new = column(folder / "EPIC_100_unseen_participant_ids_validation.csv", "participant_id")
    unseen = np.isin(column(clips, "participant_id"), new)
    tails = (
        [int(value) for value in column(folder / f"EPIC_100_tail_{name}s.csv", name)]
        for name in ("verb", "noun")
    )
    return verbs, nouns, parts(verbs, nouns, unseen, *tails)


def test_random_scores_reach_the_reference_numbers(official: tuple[Ints, Ints, dict]) -> None:
    """Class-mean top-5 recall of uniform random scores, as the official code gives it."""
    verbs, nouns, _ = official
    dice = np.random.default_rng(0)
    by_verb, by_noun = dice.random((9668, 97)), dice.random((9668, 300))
    assert 100 * class_mean(hits(by_verb, verbs, 5), verbs) == pytest.approx(5.057124, abs=1e-6)
    assert 100 * class_mean(hits(by_noun, nouns, 5), nouns) == pytest.approx(1.702336, abs=1e-6)
    found = action_hits(by_verb, by_noun, verbs, nouns, 5)
    recall = class_mean(found, action_classes(verbs, nouns))
    assert 100 * recall == pytest.approx(0.016642, abs=1e-6)


def test_parts_are_the_published_ones(official: tuple[Ints, Ints, dict]) -> None:
    """Clips and classes of each part, counted here in plain words."""
    verbs, nouns, rows = official
    classes = {"verb": verbs, "noun": nouns, "action": action_classes(verbs, nouns)}
    perfect = {task: np.ones(len(verbs)) for task in actions.TASKS}
    found = by_part(perfect, classes, rows)
    assert set(found) == set(actions.PARTS)
    for tasks in found.values():
        for scores in tasks.values():
            assert scores == {"accuracy": 1.0, "class_mean_recall": 1.0}
    assert rows["overall"]["verb"].sum() == 9668
    assert rows["unseen"]["noun"].sum() == 1065
    tail = rows["tail"]
    assert (tail["action"] == (tail["verb"] | tail["noun"])).all()
    assert 0 < tail["verb"].sum() < tail["action"].sum() < 9668


def written_out(verb, noun, true_verb, true_noun, k, best):
    """The official combination for one clip, without ties: rank the products, look among k."""
    tops = []
    for scores in (verb, noun):
        order = np.argsort(scores)[::-1][:best]
        raised = np.exp(scores[order] - scores[order].max())
        tops.append(dict(zip(order.tolist(), raised / raised.sum(), strict=True)))
    products = {(v, n): p * q for v, p in tops[0].items() for n, q in tops[1].items()}
    return (true_verb, true_noun) in sorted(products, key=lambda pair: -products[pair])[:k]


@pytest.mark.parametrize(("k", "best"), [(1, 3), (5, 3), (5, 100), (9, 3)])
def test_action_hits_are_the_official_combination(k: int, best: int) -> None:
    dice = np.random.default_rng(k)
    verb, noun = dice.normal(0, 2, (150, 6)), dice.normal(0, 2, (150, 9))
    true_verb, true_noun = dice.integers(0, 6, 150), dice.integers(0, 9, 150)
    found = action_hits(verb, noun, true_verb, true_noun, k, best)
    expected = [
        written_out(*each, k, best)
        for each in zip(verb, noun, true_verb.tolist(), true_noun.tolist(), strict=True)
    ]
    assert found.tolist() == [float(hit) for hit in expected]


def test_a_model_that_says_the_same_of_all_is_as_good_as_chance() -> None:
    truth = np.arange(40)
    found = action_hits(np.zeros((40, 4)), np.zeros((40, 10)), truth // 10, truth % 10, 5)
    assert found.tolist() == pytest.approx([5 / 40] * 40)


def test_a_part_without_clips_has_no_score() -> None:
    verbs = nouns = np.array([0, 1])
    rows = parts(verbs, nouns, np.zeros(2, bool), [1], [])
    hit = {task: np.array([1.0, 0.0]) for task in actions.TASKS}
    found = by_part(hit, dict.fromkeys(actions.TASKS, verbs), rows)
    assert found["unseen"]["verb"] == {"accuracy": None, "class_mean_recall": None}
    assert found["tail"]["noun"]["accuracy"] is None
    assert found["tail"]["verb"]["accuracy"] == found["tail"]["action"]["accuracy"] == 0
    assert found["overall"]["verb"]["accuracy"] == 0.5


def test_what_cannot_be_ranked_is_refused() -> None:
    one = np.zeros(1, np.intp)
    with pytest.raises(ValueError, match="same clips"):
        action_hits(np.zeros((2, 3)), np.zeros((1, 3)), one, one, 5)
    with pytest.raises(ValueError, match="got k=0"):
        action_hits(np.zeros((1, 3)), np.zeros((1, 3)), one, one, 0)
    with pytest.raises(ValueError, match="NaN"):
        action_hits(np.full((1, 3), np.nan), np.zeros((1, 3)), one, one, 5)
