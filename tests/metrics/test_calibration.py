"""Measures of confidence: against scikit-learn, by hand, and on confidence that is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.metrics.calibration import auroc, brier, calibration_error, reliability

ANSWERS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.31, 0.7, 0.99, 1.0]), st.booleans()),
    min_size=1,
    max_size=40,
)


def split(answers):
    return np.array([c for c, _ in answers]), np.array([r for _, r in answers])


@settings(max_examples=60)
@given(ANSWERS, st.integers(1, 12))
def test_bins_of_equal_width_are_those_of_scikit_learn(answers, bins):
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    sure, right = split(answers)
    found = reliability(sure, right, bins)
    accuracy, confidence = curve(right, sure, n_bins=bins)
    assert [b.accuracy for b in found] == pytest.approx(accuracy.tolist())
    assert [b.confidence for b in found] == pytest.approx(confidence.tolist())


@given(ANSWERS, st.integers(1, 12))
def test_bins_of_equal_mass_part_no_equals_and_are_as_even_as_can_be(answers, bins):
    sure, right = split(answers)
    found = reliability(sure, right, bins, "mass")
    assert sum(b.count for b in found) == len(sure)
    for bin in found[1:]:
        held = (sure > bin.low) & (sure <= bin.high)
        assert (bin.count, bin.accuracy) == (held.sum(), pytest.approx(right[held].mean()))
    distinct = reliability(np.linspace(0, 1, len(sure)), right, bins, "mass")
    counts = [b.count for b in distinct]
    assert len(counts) == min(bins, len(sure)) and max(counts) - min(counts) <= 1


@settings(max_examples=60)
@given(ANSWERS)
def test_brier_and_auroc_are_those_of_scikit_learn(answers):
    metrics = pytest.importorskip("sklearn.metrics")
    sure, right = split(answers)
    expected = metrics.brier_score_loss(right, sure) if len(set(right)) == 2 else None
    if expected is None:
        assert auroc(sure, right) is None
    else:
        assert brier(sure, right) == pytest.approx(expected)
        assert auroc(sure, right) == pytest.approx(metrics.roc_auc_score(right, sure))


@given(ANSWERS, st.integers(1, 12), st.sampled_from(["width", "mass"]))
def test_the_error_is_weighted_over_bins_and_lies_in_0_to_1(answers, bins, equal):
    sure, right = split(answers)
    error = calibration_error(sure, right, bins, equal)
    assert 0 <= error <= 1
    one = calibration_error(sure, right, 1, equal)
    assert one == pytest.approx(abs(sure.mean() - right.mean()))
    assert error >= one - 1e-12  # finer bins cannot hide what the whole shows


def test_confidence_that_is_the_chance_has_hardly_any_error():
    dice = np.random.default_rng(0)
    sure = dice.random(50_000)
    right = dice.random(50_000) < sure
    for equal in ("width", "mass"):
        assert calibration_error(sure, right, 10, equal) < 0.01
        assert calibration_error(np.sqrt(sure), right, 10, equal) > 0.15
    assert brier(sure, right) == pytest.approx(1 / 6, abs=0.005)
    masses = [b.count for b in reliability(sure, right, 10, "mass")]
    assert len(masses) == 10 and max(masses) - min(masses) <= 1


def test_answers_of_one_confidence_are_one_bin():
    for equal in ("width", "mass"):
        (bin,) = reliability([0.5] * 7, [1, 0, 1, 0, 1, 0, 1], 5, equal)
        assert (bin.count, bin.confidence, bin.accuracy) == (7, 0.5, pytest.approx(4 / 7))
        assert bin.to_json()["count"] == 7


@pytest.mark.parametrize(
    ("confidence", "right", "match"),
    [
        ([], [], "one answer at least"),
        ([0.5], [1, 0], "a confidence and an outcome"),
        ([1.5], [1], r"0\.\.1"),
        ([float("nan")], [1], r"0\.\.1"),
        ([0.5], [0.5], "true or false"),
    ],
)
def test_what_cannot_be_measured_is_refused(confidence, right, match):
    for measure in (calibration_error, brier, auroc):
        with pytest.raises(ValueError, match=match):
            measure(confidence, right)


def test_bins_are_checked():
    with pytest.raises(ValueError, match="bins must be 1 or more"):
        reliability([0.5], [1], 0)
    with pytest.raises(ValueError, match="'mas'"):
        reliability([0.5], [1], 3, "mas")
