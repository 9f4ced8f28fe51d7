"""Ranks and recall against their definition, chance against dice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics.recall import rank, reciprocal, report


@st.composite
def tables(draw):
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    cells = st.lists(st.sampled_from([0.0, 0.25, 0.5, np.nan]), min_size=36, max_size=36)
    scores = np.array(draw(cells), np.float32)[: rows * columns].reshape(rows, columns)
    places = st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1))
    pairs = draw(st.lists(places, min_size=1, max_size=8, unique=True))
    return scores, np.array(pairs, np.intp)


@given(tables())
def test_ranks_are_as_defined(table):
    scores, pairs = table
    found = rank(scores, pairs)
    together = {tuple(pair) for pair in pairs.tolist()}
    for (row, column), place, candidates in zip(
        pairs.tolist(), found.ranks, found.candidates, strict=True
    ):
        others = [c for c in range(scores.shape[1]) if (row, c) not in together]
        ahead = [c for c in others if not scores[row, c] < scores[row, column]]
        assert place == 1 + len(ahead)
        assert candidates == 1 + len(others)
    for k in (1, 5):
        assert 0 <= found.recall(k) <= 1 and 0 < found.chance(k) <= 1
    assert found.recall(6) == found.chance(6) == 1


def test_chance_is_what_dice_reach():
    dice = np.random.default_rng(0)
    pairs = np.array([(i % 5, i) for i in range(20)])  # five texts, each of four clips
    found = [rank(dice.random((5, 20), np.float32), pairs) for _ in range(2000)]
    for k in (1, 5, 10):
        assert abs(np.mean([f.recall(k) for f in found]) - found[0].chance(k)) < 0.01


def test_nothing_learned_scores_nothing():
    pairs = np.array([(i, i) for i in range(20)])
    for useless in (np.ones((20, 20), np.float32), np.full((20, 20), np.nan, np.float32)):
        assert rank(useless, pairs).recall(10) == 0
    assert reciprocal(np.eye(20, dtype=np.float32), pairs) == 1


def test_the_report_has_both_directions_with_intervals_and_chance():
    pairs = np.array([(i, i) for i in range(20)])
    scores = np.eye(20, dtype=np.float32)
    scores[:, :10] = 0  # the first half is not found
    found = report(scores, pairs, [f"v{i // 5}" for i in range(20)], seed=0)
    one = found["text_to_clip"]["recall@1"]
    assert one["value"] == 0.5 and one["low"] == 0 and one["high"] == 1
    assert one["chance"] == pytest.approx(0.05) and one["clusters"] == 4 and one["rows"] == 20
    assert set(found["clip_to_text"]) == {"recall@1", "recall@5", "recall@10"}
    alone = report(scores, pairs, ["v"] * 20, seed=0)["text_to_clip"]["recall@1"]
    assert alone["low"] is None and alone["high"] is None
