"""Calibrators: against scikit-learn, never turning an order, kept as JSON, honest by folds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.metrics.calibration import calibration_error
from egorag.metrics.calibrators import FITS, Isotonic, Platt, cross_fitted, from_json

SURE = st.integers(0, 1000).map(lambda n: n / 1000)
ANSWERS = st.lists(st.tuples(SURE, st.booleans()), min_size=1, max_size=40)


def overconfident(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds twice too large."""
    dice = np.random.default_rng(seed)
    score = dice.normal(0.5, 1, count)
    return 1 / (1 + np.exp(-2 * score)), dice.random(count) < 1 / (1 + np.exp(-score))


@pytest.mark.parametrize("count", [12, 60, 400])
def test_platt_is_the_logistic_regression_of_scikit_learn(count):
    """On log-odds, each answer once with each outcome, weighted by Platt's targets."""
    linear = pytest.importorskip("sklearn.linear_model")
    sure, right = overconfident(count)
    yes, no = right.sum(), (~right).sum()
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    score = np.log(sure / (1 - sure))[:, None]
    oracle = linear.LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(
        np.concatenate([score, score]),
        np.repeat([1, 0], count),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    found = Platt.fit(sure, right)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)
    assert found(sure) == pytest.approx(oracle.predict_proba(score)[:, 1], abs=1e-5)


@settings(max_examples=60)
@given(ANSWERS)
def test_isotonic_is_that_of_scikit_learn(answers):
    isotonic = pytest.importorskip("sklearn.isotonic")
    sure, right = (np.array(column) for column in zip(*answers, strict=True))
    oracle = isotonic.IsotonicRegression(out_of_bounds="clip").fit(sure, right)
    at = np.linspace(0, 1, 50)
    assert Isotonic.fit(sure, right)(at) == pytest.approx(oracle.predict(at), abs=1e-9)


@given(ANSWERS, st.sampled_from(sorted(FITS)))
def test_every_calibrator_rises_stays_in_0_to_1_and_survives_json(answers, kind):
    sure, right = (np.array(column) for column in zip(*answers, strict=True))
    fitted = FITS[kind](sure, right)
    values = fitted(np.linspace(0, 1, 30))
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) >= 0).all()
    assert from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


@pytest.mark.parametrize("kind", sorted(FITS))
def test_overconfidence_is_mended_on_answers_not_fitted_on(kind):
    sure, right = overconfident(4000)
    fitted = FITS[kind](sure, right)
    fresh, truth = overconfident(4000, seed=1)
    assert calibration_error(fresh, truth) > 0.08
    assert calibration_error(fitted(fresh), truth) < 0.04


def test_platt_of_separable_level_or_misleading_confidence():
    perfect = Platt.fit([0.1] * 5 + [0.9] * 5, [0] * 5 + [1] * 5)
    assert 0.7 < perfect([0.9])[0] < 1  # not 1: ten answers prove nothing
    level = Platt.fit([0.5] * 10, [1] * 7 + [0] * 3)
    assert level.slope == 0 and 0.6 < level([0.123])[0] < 0.7
    misleading = Platt.fit([0.1] * 5 + [0.9] * 5, [1] * 5 + [0] * 5)
    assert misleading.slope == 0 and misleading([0.1])[0] == pytest.approx(0.5)
    extreme = Platt.fit([0.0] * 20 + [1.0] * 20, [0] * 19 + [1] + [1] * 19 + [0])
    assert np.isfinite([extreme.slope, extreme.intercept]).all()
    assert extreme([0.0])[0] < 0.15 and extreme([1.0])[0] > 0.85


def test_folds_are_those_of_the_fit_without_them():
    sure, right = overconfident(50)
    groups = [f"v{i // 5}" for i in range(50)]
    found = cross_fitted("platt", sure, right, groups, folds=10, seed=3)
    for group in set(groups):
        own = np.array([g == group for g in groups])
        assert found[own] == pytest.approx(Platt.fit(sure[~own], right[~own])(sure[own]))
    assert found.tolist() == cross_fitted("platt", sure, right, groups, 10, 3).tolist()


def test_refusals():
    for told in ({}, {"kind": "platt"}, {"kind": "platt", "slope": "x", "intercept": 0}):
        with pytest.raises(ValueError, match=r"not a calibrator|could not convert"):
            from_json(told)
    with pytest.raises(ValueError, match="no calibrator of kind 'beta'"):
        from_json({"kind": "beta"})
    for slope, intercept in ((-1, 0), (float("nan"), 0), (1, float("inf"))):
        with pytest.raises(ValueError, match="slope must be 0 or more"):
            Platt(slope, intercept)
    for at, values in (((), ()), ((0.1,), (0.1, 0.2))):
        with pytest.raises(ValueError, match="of equal length"):
            Isotonic(at, values)
    for at, values in (((0.2, 0.1), (0, 1)), ((0.1, 0.2), (1, 0)), ((0.1, 0.2), (0, 2))):
        with pytest.raises(ValueError, match="at must rise"):
            Isotonic(at, values)
    with pytest.raises(ValueError, match="two groups and two folds"):
        cross_fitted("platt", [0.5, 0.6], [1, 0], ["a", "a"])
    with pytest.raises(ValueError, match="two groups and two folds"):
        cross_fitted("platt", [0.5, 0.6], [1, 0], ["a", "b"], folds=1)
