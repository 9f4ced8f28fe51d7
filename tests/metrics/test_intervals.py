"""Intervals over videos: against scipy's bootstrap, and against many draws of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.metrics.intervals import clustered, clustered_mean


def test_with_one_row_a_video_it_is_scipys_percentile_bootstrap() -> None:
    stats = pytest.importorskip("scipy.stats")
    rows = np.random.default_rng(0).normal(3, 1, 60)
    mine = clustered(lambda chosen: float(rows[chosen].mean()), range(60), rounds=4000)
    theirs = stats.bootstrap((rows,), np.mean, method="percentile", n_resamples=4000, rng=1)
    assert mine.value == pytest.approx(rows.mean())
    expected = theirs.confidence_interval
    assert (mine.low, mine.high) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_clips_of_one_video_are_no_new_evidence() -> None:
    """Ten copies of each video's row: the interval is as wide as with one."""
    rows = np.random.default_rng(0).normal(0, 1, 20)
    one = clustered(lambda chosen: float(rows[chosen].mean()), list(range(20)))
    many = np.repeat(rows, 10)
    ten = clustered(lambda chosen: float(many[chosen].mean()), [i // 10 for i in range(200)])
    assert (ten.low, ten.high) == pytest.approx((one.low, one.high), abs=1e-9)
    assert (ten.rows, ten.clusters) == (200, 20)


def test_it_holds_the_truth_about_as_often_as_it_says() -> None:
    """Videos of different difficulty; the mean over all possible videos is 0."""
    held = 0
    for trial in range(150):
        dice = np.random.default_rng(trial)
        rows = (dice.normal(0, 1, (25, 1)) + dice.normal(0, 0.3, (25, 4))).ravel()
        videos = [i // 4 for i in range(100)]
        found = clustered(lambda chosen, r=rows: float(r[chosen].mean()), videos, rounds=300)
        assert found.low is not None and found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.86 < held / 150 < 0.99


def test_of_one_video_nothing_is_said() -> None:
    found = clustered(lambda chosen: 0.5, ["a", "a"])
    assert (found.value, found.low, found.high) == (0.5, None, None)
    assert str(found) == "0.500"
    with pytest.raises(ValueError, match="no rows"):
        clustered(lambda chosen: 0.5, [])


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 6)), min_size=1, max_size=40))
def test_the_mean_by_sums_is_the_mean_by_rows(rows):
    values = np.array([value for value, _ in rows])
    clusters = [cluster for _, cluster in rows]
    slow = clustered(lambda taken: float(values[taken].mean()), clusters, rounds=50)
    quick = clustered_mean(values, clusters, rounds=50)
    assert (quick.rows, quick.clusters) == (slow.rows, slow.clusters)
    for one, other in ((quick.value, slow.value), (quick.low, slow.low), (quick.high, slow.high)):
        assert one == pytest.approx(other, abs=1e-9)
