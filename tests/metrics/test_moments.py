"""Average precision of spans and of clips: worked examples, properties, scikit-learn, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.metrics import highlights as clips
from egorag.metrics.moments import MOST, average_precision, moments

TRUE = [[0, 10], [20, 30]]


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([[0, 10, 0.9], [20, 30, 0.8]], 1.0),
        ([[0, 10, 0.9], [0, 10, 0.8], [20, 30, 0.7]], 0.5 + 0.5 * 2 / 3),  # a repeat is wrong
        ([[50, 60, 0.9], [0, 10, 0.8]], 0.25),
        ([[50, 60, 0.9], [0, 10, 0.8], [20, 30, 0.7]], 2 / 3),  # interpolated: not 1/4 + 1/3
        ([[20, 30, 0.1], [50, 60, 0.9], [0, 10, 0.8]], 2 / 3),  # in order of score
        ([[0, 5, 1.0]], 0.5),  # an IoU of exactly the threshold
        ([[0, 4, 1.0]], 0.0),
        ([], 0.0),
    ],
)
def test_worked_examples(predicted, expected):
    assert average_precision(predicted, TRUE, [0.5])[0] == pytest.approx(expected)


def test_a_span_takes_the_nearest_that_is_free():
    """The second overlaps both, but the nearer one is taken: it takes the other."""
    true = [[0, 10], [4, 14]]
    found = average_precision([[0, 10, 0.9], [1, 11, 0.8]], true, [0.5])
    assert found[0] == 0.5 + 0.5
    assert average_precision([[0, 10, 0.9], [1, 11, 0.8]], true, [0.6])[0] == 0.5


def test_only_the_first_ten_spans_of_a_query_count():
    wrong = [[50, 60, 0.5]] * MOST
    assert moments([[*wrong, [0, 10, 0.9]]], [[[0, 10]]]).average_precision.max() == 0
    assert moments([[*wrong[1:], [0, 10, 0.9]]], [[[0, 10]]]).average_precision.min() == 1


@given(st.data())
def test_it_lies_in_0_to_1_and_falls_with_the_threshold(data):
    span = st.tuples(st.integers(0, 9), st.integers(1, 9)).map(lambda t: (t[0], t[0] + t[1]))
    true = data.draw(st.lists(span, min_size=1, max_size=4))
    spans = data.draw(st.lists(span, max_size=6))
    scores = data.draw(st.permutations(range(len(spans))))
    predicted = [[*s, score] for s, score in zip(spans, scores, strict=True)]
    found = average_precision(predicted, true)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    exact = [[*s, 1.0] for s in true]
    assert average_precision(exact, true) == pytest.approx(1)
    if len(true) == 1:  # with one true span there is no choice of which to take
        assert (np.diff(found) <= 1e-12).all()


def test_refusals_of_spans():
    with pytest.raises(ValueError, match="no true span"):
        moments([[[0, 1, 1]]], [[]])
    with pytest.raises(ValueError, match=r"must be \[n, 3\]"):
        moments([[[0, 1]]], [TRUE])
    with pytest.raises(ValueError, match="without NaN"):
        moments([[[0, 1, np.nan]]], [TRUE])
    with pytest.raises(ValueError, match="one prediction a query"):
        moments([], [TRUE])
    with pytest.raises(ValueError, match="none may end before"):
        moments([[[1, 0, 1]]], [TRUE])
    assert moments([], []).average_precision.shape == (0, 10)


# -- clips --


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20))
def test_precision_of_clips_is_that_of_scikit_learns_curve(pairs):
    """Its precision-recall curve, made monotone and averaged over the recalls reached."""
    metrics = pytest.importorskip("sklearn.metrics")
    scores = np.array([float(score) for score, _ in pairs])
    right = np.array([r for _, r in pairs])
    found = clips.average_precision(scores, right)
    if not right.any():
        assert found == 0
        return
    precision, recall, _ = metrics.precision_recall_curve(right, scores)
    monotone = np.maximum.accumulate(precision)
    assert found == pytest.approx(monotone[:-1][np.diff(recall) != 0].mean())


def test_clips_beyond_the_end_are_not_read_and_missing_ones_count_as_0():
    ratings = [[[4, 0, 0], [0, 0, 0], [4, 4, 4]]]
    short = clips.highlights([[1.0]], ratings, 4)
    padded = clips.highlights([[1.0, 0, 0]], ratings, 4)
    assert short.average_precision == padded.average_precision
    beyond = clips.highlights([[0.3, 0.2, 0.1, 9.0]], ratings, 4)
    assert beyond.hit[0] == 0  # what it scores highest is no clip of the video
    assert beyond.average_precision == clips.highlights([[3, 2, 1]], ratings, 4).average_precision


def test_of_clips_scored_alike_each_counts_alike_but_officially_the_first():
    found = clips.highlights([[0.5, 0.5, 0.1, 0.5]], [[[4], [0], [0], [0]]], 4)
    assert found.fair_hit[0] == pytest.approx(1 / 3)
    assert found.hit[0] == 1  # as officially: the first


def test_refusals_of_clips():
    for wrong in ([], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="must be finite, one for each clip"):
            clips.highlights([wrong], [[[4]]], 4)
    with pytest.raises(ValueError, match="one prediction a query"):
        clips.highlights([], [[[4]]], 4)
