"""Answering only when sure: binomial bounds against scipy, curves by hand, the promise by trial."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics.binomial import at_most, upper_bound
from egorag.metrics.selective import area_under_risk_coverage, risk_coverage, threshold_for

ANSWERS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=6)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.001, 0.999))
def test_the_distribution_is_scipys(count, trials, chance):
    stats = pytest.importorskip("scipy.stats")
    assert at_most(count, trials, chance) == pytest.approx(
        stats.binom.cdf(count, trials, chance), rel=1e-7, abs=1e-300
    )


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.001, 0.5))
def test_the_bound_is_clopper_and_pearsons(count, more, delta):
    stats = pytest.importorskip("scipy.stats")
    trials = count + more
    expected = stats.beta.ppf(1 - delta, count + 1, trials - count) if more else 1.0
    assert upper_bound(count, trials, delta) == pytest.approx(expected, abs=1e-9)


def test_the_curve_takes_answers_of_one_confidence_together():
    curve = risk_coverage([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0])
    assert curve.threshold.tolist() == [0.9, 0.5, 0.1]
    assert curve.coverage.tolist() == [0.25, 0.75, 1]
    assert curve.risk.tolist() == pytest.approx([0, 1 / 3, 1 / 2])


@given(ANSWERS)
def test_the_area_is_the_mean_over_the_orders_of_equals(answers):
    sure, right = zip(*answers, strict=True)
    areas = []
    for lot in itertools.permutations(range(len(sure))):
        order = sorted(range(len(sure)), key=lambda i, lot=lot: (-sure[i], lot[i]))
        wrong = np.cumsum([not right[i] for i in order])
        areas.append((wrong / np.arange(1, len(sure) + 1)).mean())
    found = area_under_risk_coverage(np.array(sure) / 4, right)
    assert found == pytest.approx(np.mean(areas))


def answered(dice: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidence, and answers that are right with the chance of its square root."""
    sure = dice.random(count)
    return sure, dice.random(count) < np.sqrt(sure)


def test_the_promise_is_broken_no_more_often_than_said():
    """The true risk above a threshold t is 1 - the mean of sqrt over [t, 1]."""
    broken = found = 0
    for trial in range(300):
        sure, right = answered(np.random.default_rng(trial), 400)
        threshold = threshold_for(sure, right, target=0.2, delta=0.2)
        if threshold is not None:
            found += 1
            t = threshold.value
            risk = 1 - 2 / 3 * (1 - t**1.5) / (1 - t)
            broken += risk > 0.2
    assert found > 290
    assert broken / 300 <= 0.2


def test_more_questions_allow_more_answers():
    """Down towards where the true risk is the target: 0.2 is met at t = 0.314."""
    few = [answered(np.random.default_rng(trial), 900) for trial in range(10)]
    high = np.mean([threshold_for(*each, target=0.2).value for each in few])
    many = answered(np.random.default_rng(1), 30_000)
    low = threshold_for(*many, target=0.2)
    assert 0.31 < low.value < 0.36 < high
    assert low.coverage == pytest.approx(1 - low.value, abs=0.02)
    assert low.risk < low.bound <= 0.2 + 1e-9
    assert (low.given, low.wrong) == (
        int((many[0] >= low.value).sum()),
        int(((many[0] >= low.value) & ~many[1]).sum()),
    )
    assert low.to_json()["delta"] == 0.05


def test_nothing_is_promised_on_little_or_wrong():
    assert threshold_for([0.9] * 5, [1] * 5, target=0.1) is None
    assert threshold_for([0.9] * 500, [0, 1] * 250, target=0.1) is None
    assert threshold_for([0.9] * 500, [1] * 500, target=0.1).value == 0


def test_refusals():
    for target, delta in ((0, 0.05), (1, 0.05), (0.1, 0), (0.1, 1), (float("nan"), 0.05)):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            threshold_for([0.5], [1], target, delta)
    with pytest.raises(ValueError, match="one answer at least"):
        threshold_for([], [], 0.1)
    for count, trials, delta in ((2, 1, 0.1), (-1, 1, 0.1), (0, 1, 0.0), (0, 1, 1.0)):
        with pytest.raises(ValueError, match="expected 0 <= count <= trials"):
            upper_bound(count, trials, delta)
