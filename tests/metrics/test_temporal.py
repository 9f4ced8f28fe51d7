"""Overlap of spans: its definition, exact on whole numbers, and symmetric."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics.temporal import best_iou, checked, iou, mean_iou, recall_at
from egorag.spans import Span

SPANS = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda t: (min(t), max(t)))


@given(SPANS, SPANS)
def test_iou_is_shared_time_over_time_of_either(first, second):
    one, other = Span(*first), Span(*second)
    shared = one.overlap(other)
    either = one.duration + other.duration - shared
    expected = float(Fraction(shared, either)) if shared else 0.0
    assert iou([first], [second])[0, 0] == expected == iou([second], [first])[0, 0]


@given(SPANS, SPANS)
def test_iou_is_that_of_sets_of_moments(first, second):
    one, other = set(range(*first)), set(range(*second))
    expected = len(one & other) / len(one | other) if one | other else 0.0
    assert iou([first], [second])[0, 0] == pytest.approx(expected)


def test_spans_that_touch_and_empty_ones_share_nothing():
    assert iou([[0, 5]], [[5, 9]])[0, 0] == 0
    assert iou([[3, 3]], [[3, 3], [0, 9]]).tolist() == [[0, 0]]
    assert iou([], [[0, 1]]).shape == (0, 1) and iou([[0, 1]], []).shape == (1, 0)


def test_counts_over_queries():
    predicted = [[[0, 10], [40, 50]], [[0, 1]], []]
    truth = [[[40, 50]], [[0, 1], [5, 6]], [[0, 1]]]
    assert recall_at(predicted, truth, 1, 0.5) == pytest.approx(1 / 3)
    assert recall_at(predicted, truth, 2, 0.5) == pytest.approx(2 / 3)
    assert mean_iou(predicted, truth) == pytest.approx(1 / 3)
    assert recall_at([[[0, 10]]], [[[0, 5]]], 1, 0.5) == 1  # at least, not more than
    assert best_iou([[0, 1]], []) == 0


def test_refusals():
    for wrong in ([[1, 0]], [[0, np.inf]], [[np.nan, 1]]):
        with pytest.raises(ValueError, match="finite, and none may end before"):
            checked(wrong)
    with pytest.raises(ValueError, match=r"got shape \(1, 3\)"):
        iou([[0, 1, 2]], [[0, 1]])
    with pytest.raises(ValueError, match="k must be 1"):
        best_iou([[0, 1]], [[0, 1]], k=0)
    for threshold in (0, 1.5):
        with pytest.raises(ValueError, match="threshold must lie"):
            recall_at([[]], [[]], 1, threshold)
    for predicted, truth in (([[]], []), ([], [])):
        with pytest.raises(ValueError, match="same queries"):
            mean_iou(predicted, truth)
