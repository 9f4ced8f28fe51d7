"""Anomalies, cuts and summaries on curves made by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.predict import SurpriseCurve, anomalies, cuts, summary
from egorag.predict.uses import robust_z
from egorag.spans import Span, to_us

VALUES = st.lists(st.floats(0, 100), max_size=40)


def curve(values: list[float]) -> SurpriseCurve:
    """A moment each half second."""
    spans = tuple(Span.seconds(k / 2, (k + 1) / 2) for k in range(len(values)))
    energy = np.array(values, np.float64)
    return SurpriseCurve(spans, energy, np.ones_like(energy), np.ones_like(energy))


def calm(count: int = 40) -> list[float]:
    """Values around 1, as noise has them."""
    return np.random.default_rng(0).normal(1, 0.05, count).tolist()


def test_the_z_score_of_normal_values_is_the_usual_one() -> None:
    values = np.random.default_rng(1).normal(5, 2, 200_000)
    np.testing.assert_allclose(robust_z(values), (values - 5) / 2, atol=0.1)


def test_where_most_values_are_equal_the_mean_deviation_stands_in() -> None:
    values = np.array([1.0] * 9 + [2.0])
    expected = (values - 1) / (1.2533 * 0.1)
    np.testing.assert_allclose(robust_z(values), expected)
    assert robust_z(np.ones(5)).tolist() == [0.0] * 5


def test_peaks_are_found_where_they_were_put() -> None:
    values = calm()
    values[10], values[11], values[25] = 3.0, 2.5, 4.0
    found = anomalies(curve(values))
    assert [peak.span.start for peak in found] == [to_us(5), to_us(12.5)]
    assert [peak.value for peak in found] == [3.0, 4.0]
    assert all(peak.z > 3.5 for peak in found)
    assert cuts(curve(values)) == [to_us(5), to_us(12.5)]
    assert anomalies(curve(values), z=1e6) == []
    assert anomalies(curve(calm()), z=6) == []


def test_of_near_peaks_the_higher_is_kept() -> None:
    values = calm()
    values[10], values[12], values[14] = 3.0, 4.0, 3.5
    assert len(anomalies(curve(values))) == 3
    assert cuts(curve(values), apart=1.5) == [to_us(6)]


def test_a_plateau_is_one_peak() -> None:
    values = calm()
    values[10] = values[11] = 3.0
    assert len(anomalies(curve(values))) == 1


@given(VALUES, st.floats(0.1, 5), st.floats(0, 5))
def test_peaks_are_in_order_apart_and_above(values: list[float], z: float, apart: float) -> None:
    found = anomalies(curve(values), z=z, apart=apart)
    starts = [peak.span.start for peak in found]
    assert all(b - a >= to_us(apart) and b > a for a, b in pairwise(starts))
    assert all(peak.z >= z for peak in found)


def test_a_summary_keeps_the_most_surprising_that_fits() -> None:
    values = [1.0] * 4 + [9.0] * 4 + [5.0] * 4 + [2.0] * 4
    scenes = [Span.seconds(2 * k, 2 * k + 2) for k in range(4)]
    assert summary(curve(values), scenes, 2) == [scenes[1]]
    assert summary(curve(values), scenes, 4.5) == [scenes[1], scenes[2]]
    assert summary(curve(values), scenes, 1.9) == []
    uneven = [Span.seconds(0, 2), Span.seconds(2, 7), Span.seconds(7, 8)]
    assert summary(curve(values), uneven, 3) == [uneven[0], uneven[2]]


@given(VALUES, st.lists(st.integers(1, 8), min_size=1, max_size=8), st.floats(0.5, 30))
def test_a_summary_is_scenes_in_order_within_the_budget(
    values: list[float], lengths: list[int], seconds: float
) -> None:
    bounds = np.cumsum([0, *lengths]).tolist()
    scenes = [Span.seconds(a, b) for a, b in pairwise(bounds)]
    kept = summary(curve(values), scenes, seconds)
    assert kept == sorted(kept)
    assert set(kept) <= set(scenes)
    assert sum(scene.duration for scene in kept) <= to_us(seconds)


def test_nothing_judged_nothing_found() -> None:
    empty = SurpriseCurve.of([])
    assert anomalies(empty) == []
    assert cuts(empty) == []
    assert summary(empty, [Span.seconds(0, 1)], 5) == []


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="positive"):
        summary(curve([1.0]), [Span.seconds(0, 1)], seconds)


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ConfigError, match="ratio"):
        anomalies(curve([1.0]), of="ration")  # type: ignore[arg-type]
