"""Paired tests: against scipy, by how often they err, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics.intervals import clustered, draws
from egorag.metrics.paired import holm, mcnemar, paired_bootstrap

BOOLS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(BOOLS)
def test_mcnemar_is_scipys_binomial_test_of_those_that_differ(pairs):
    stats = pytest.importorskip("scipy.stats")
    first, second = (list(column) for column in zip(*pairs, strict=True))
    alone = sum(a and not b for a, b in pairs)
    differ = sum(a != b for a, b in pairs)
    expected = stats.binomtest(alone, differ).pvalue if differ else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_mcnemar_of_many_questions_does_not_overflow():
    dice = np.random.default_rng(0)
    first, second = dice.random(20_000) < 0.6, dice.random(20_000) < 0.5
    assert 0 <= mcnemar(first, second) < 1e-50
    assert mcnemar(first, first) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_stepping_down_rejects(ps):
    """By definition: the smallest against level / m, the next against level / (m - 1), ..."""
    adjusted = holm(ps)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for place, number in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
            if (len(ps) - place) * ps[number] > level:
                break
            rejected.add(number)
        assert rejected == {i for i, p in enumerate(adjusted) if p <= level}


def test_the_interval_is_that_of_the_clustered_bootstrap():
    """The same draws, by sums instead of rows."""
    dice = np.random.default_rng(1)
    a, b = dice.normal(0.3, 1, 90), dice.normal(0, 1, 90)
    videos = [f"v{i}" for i in dice.integers(0, 20, 90)]
    found = paired_bootstrap(a, b, videos, seed=5, rounds=700)
    slow = clustered(lambda rows: float((a - b)[rows].mean()), videos, seed=5, rounds=700)
    assert (found.value, found.low, found.high) == pytest.approx((slow.value, slow.low, slow.high))
    assert (found.rows, found.clusters) == (90, len(set(videos)))


def test_with_one_question_a_video_it_agrees_with_the_t_test():
    stats = pytest.importorskip("scipy.stats")
    for shift in (0.0, 0.1, 0.2, 0.4):
        dice = np.random.default_rng(3)
        a, b = dice.normal(shift, 1, 200), dice.normal(0, 1, 200)
        expected = stats.ttest_rel(a, b).pvalue
        assert paired_bootstrap(a, b, range(200)).p == pytest.approx(expected, abs=0.02)


def test_of_runs_that_do_not_differ_one_in_twenty_is_called_different():
    """Questions of a video succeed together; the cluster bootstrap must know."""
    naive = wise = 0
    for trial in range(300):
        dice = np.random.default_rng(trial)
        by_video = np.repeat(dice.normal(0, 1, (40, 2)), 5, axis=0)
        a, b = (by_video + dice.normal(0, 0.5, (200, 2))).T
        videos = [i // 5 for i in range(200)]
        wise += paired_bootstrap(a, b, videos, rounds=300).p <= 0.05
        naive += paired_bootstrap(a, b, range(200), rounds=300).p <= 0.05
    assert 0.01 <= wise / 300 <= 0.1
    assert naive / 300 > 0.2  # what ignoring the videos would claim


def test_equal_runs_and_single_videos_claim_nothing():
    same = paired_bootstrap([1, 0, 1], [1, 0, 1], ["a", "b", "c"])
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    alone = paired_bootstrap([1, 1, 1], [0, 0, 0], ["a", "a", "a"])
    assert (alone.value, alone.low, alone.high, alone.p, alone.clusters) == (1, None, None, 1, 1)
    assert str(alone) == "+1.000, p = 1"


def test_it_repeats_and_its_sign_turns_with_the_order():
    dice = np.random.default_rng(0)
    a, b = dice.random(50), dice.random(50)
    there, back = paired_bootstrap(a, b, range(50)), paired_bootstrap(b, a, range(50))
    assert there == paired_bootstrap(a, b, range(50))
    assert there != paired_bootstrap(a, b, range(50), seed=1)
    assert (back.value, back.low) == pytest.approx((-there.value, -there.high))
    assert back.p == there.p and there.to_json()["p"] == there.p


@pytest.mark.parametrize(
    ("a", "b", "clusters", "match"),
    [
        ([1, 2], [1], ["a", "b"], "same questions"),
        ([1, 2], [1, 2], ["a"], "same questions"),
        ([], [], [], "no rows"),
        ([float("nan")], [1], ["a"], "must be finite"),
        ([[1]], [[1]], ["a"], "same questions"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, clusters, match):
    with pytest.raises(ValueError, match=match):
        paired_bootstrap(a, b, clusters)


def test_other_refusals():
    with pytest.raises(ValueError, match="rounds must be 1 or more"):
        paired_bootstrap([1], [1], ["a"], rounds=0)
    with pytest.raises(ValueError, match="equal length"):
        mcnemar([True], [True, False])
    with pytest.raises(ValueError, match="true or false"):
        mcnemar([0.5], [1])
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            holm([0.5, wrong])
    with pytest.raises(ValueError, match="no rows"):
        draws(np.array([]), [], 0, 1)
