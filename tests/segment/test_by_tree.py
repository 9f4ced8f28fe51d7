"""Scenes from a tree: what holds for any moments, and known scenes found."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from egorag.errors import ConfigError
from egorag.segment.by_tree import Cut, SceneTree, Ward, by_clip
from egorag.segment.ward import ward_tree
from egorag.spans import Span, check_tiling

SECOND = 1_000_000

VECTORS = arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.integers(1, 3)),
    elements=st.integers(-3, 3).map(float),
)
STEPS = st.lists(st.integers(1, 3 * SECOND), min_size=40, max_size=40)


def made(vectors: np.ndarray, steps: list[int] | None = None) -> tuple[SceneTree, int]:
    """A tree over moments that last ``steps`` (us), and where the video ends, a bit later."""
    lengths = (steps or [SECOND] * len(vectors))[: len(vectors)]
    edges = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    spans = tuple(Span(a, b) for a, b in pairwise(edges))
    return SceneTree("toy", spans, ward_tree(vectors)), edges[-1] + 1000


def starts(cut: Cut) -> set[int]:
    return {scene.start for scene in cut.scenes[1:]}


@given(VECTORS, STEPS, st.floats(0, 6), st.floats(0, 4), st.none() | st.floats(8, 20))
def test_scenes_tile_and_keep_their_bounds(
    vectors: np.ndarray, steps: list[int], threshold: float, low: float, high: float | None
) -> None:
    tree, end = made(vectors, steps)
    ward = Ward(min_seconds=low, max_seconds=high)
    cut = ward.cut(tree, end, threshold)
    check_tiling(cut.scenes, Span(0, end))
    assert len(cut.breaks) == len(cut.scenes) - 1
    if len(cut.scenes) > 1:
        assert min(scene.duration for scene in cut.scenes) >= low * SECOND - 1
    if high is not None:
        assert max(scene.duration for scene in cut.scenes) <= high * SECOND + 1
    moments = {span.start for span in tree.spans}
    for scene, each in zip(cut.scenes[1:], cut.breaks, strict=True):
        assert each.merge < 0 or scene.start in moments
        assert each.merge >= 0 or each.gap == each.height == 0


@given(VECTORS, STEPS, st.lists(st.floats(0, 6), min_size=2, max_size=2).map(sorted))
def test_a_larger_threshold_only_takes_cuts_away(
    vectors: np.ndarray, steps: list[int], thresholds: list[float]
) -> None:
    tree, end = made(vectors, steps)
    ward = Ward(max_seconds=None)
    fine, coarse = (starts(ward.cut(tree, end, t)) for t in thresholds)
    assert coarse <= fine


@given(VECTORS, STEPS, st.integers(1, 45))
def test_a_count_is_met_and_one_more_only_adds(
    vectors: np.ndarray, steps: list[int], count: int
) -> None:
    tree, end = made(vectors, steps)
    cuts = [Ward(count=c, min_seconds=0, max_seconds=None).cut(tree, end, 0) for c in (count, 41)]
    assert len(cuts[0].scenes) == min(count, len(vectors))
    assert len(cuts[1].scenes) == len(vectors)
    more = Ward(count=count + 1, min_seconds=0, max_seconds=None).cut(tree, end, 0)
    assert starts(cuts[0]) <= starts(more)


@given(VECTORS, STEPS, st.floats(0, 3), st.floats(0.5, 100))
def test_events_are_unions_of_scenes_and_longer_ones_of_shorter(
    vectors: np.ndarray, steps: list[int], threshold: float, seconds: float
) -> None:
    tree, end = made(vectors, steps)
    ward = Ward(min_seconds=0.5, max_seconds=10)
    cut = ward.cut(tree, end, threshold)
    events = ward.events(cut.breaks, end, seconds)
    assert [i for event in events for i in event] == list(range(len(cut.scenes)))
    assert len(events) == min(len(cut.scenes), max(1, round(end / (seconds * SECOND))))
    longer = ward.events(cut.breaks, end, 2 * seconds)
    assert {e.start for e in longer} <= {e.start for e in events}
    by_gap = Ward(event_threshold=threshold + 1).events(cut.breaks, end, seconds)
    assert sum(b.gap > threshold + 1 for b in cut.breaks) == len(by_gap) - 1


@given(VECTORS, st.integers(2, 5), st.floats(0.1, 4))
def test_how_long_scenes_are_changes_no_gap(
    vectors: np.ndarray, times: int, threshold: float
) -> None:
    """Every moment shown ``times`` as long, as a multiple of equal moments: the same gaps where
    the same nodes meet. (Ward's own order of merges may differ, so few rows are compared.)"""
    vectors = vectors[:2]
    ward = Ward(min_seconds=0, max_seconds=None)
    once, end = made(vectors)
    often, _ = made(np.repeat(vectors, times, axis=0), [SECOND // times] * 2 * times)
    short, long = (ward.cut(tree, end, threshold) for tree in (once, often))
    assert len(short.scenes) == len(long.scenes)
    assert [b.gap for b in long.breaks] == pytest.approx([b.gap for b in short.breaks])


def test_gaps_are_distances_between_means() -> None:
    rng = np.random.default_rng(0)
    vectors = np.cumsum(rng.normal(size=(200, 5)), axis=0)
    tree = ward_tree(vectors)
    for (a, b), gap, met in zip(tree.children, tree.gaps, tree.meetings, strict=True):
        sides = [vectors[slice(*tree.extent[node])].mean(axis=0) for node in (a, b)]
        assert gap == pytest.approx(np.linalg.norm(sides[0] - sides[1]))
        assert met == max(tree.extent[a, 0], tree.extent[b, 0])
    assert sorted(tree.meetings) == list(range(1, 200))


def scenes_of(lengths: list[int], noise: float = 0.02) -> np.ndarray:
    """Unit vectors: noisy stills of different directions."""
    rng = np.random.default_rng(1)
    rows = np.repeat(np.eye(len(lengths), 16), lengths, axis=0)
    rows = rows + noise * rng.normal(size=rows.shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_known_scenes_are_found_at_any_default() -> None:
    tree, end = made(scenes_of([8, 15, 3, 12]))
    for threshold in (0.2, 0.25, 0.3, 0.4):
        cut = Ward(min_seconds=2).cut(tree, end, threshold)
        assert starts(cut) == {8 * SECOND, 23 * SECOND, 26 * SECOND}


def test_a_flash_stays_with_a_scene_beside_it() -> None:
    tree, end = made(scenes_of([10, 1, 10]))
    assert len(Ward(min_seconds=0).cut(tree, end, 0.3).scenes) == 3
    (cut,) = starts(Ward(min_seconds=2).cut(tree, end, 0.3))
    assert cut in (10 * SECOND, 11 * SECOND)


def test_a_long_scene_is_cut_where_a_lower_threshold_would() -> None:
    rows = scenes_of([10, 10])
    rows[10:] = 0.9 * rows[:10] + 0.1 * rows[10:]  # not far apart
    tree, end = made(rows)
    assert len(Ward(max_seconds=None).cut(tree, end, 0.3).scenes) == 1
    assert starts(Ward(max_seconds=12).cut(tree, end, 0.3)) == {10 * SECOND}


def test_a_long_moment_is_split_evenly() -> None:
    tree, end = made(np.eye(2), [SECOND, 58 * SECOND])
    cut = Ward(max_seconds=20).cut(tree, end + 999_000, 0.3)
    assert [scene.duration for scene in cut.scenes] == pytest.approx(
        [1e6, 59e6 / 3] * 1 + [59e6 / 3] * 2
    )
    assert [b.merge for b in cut.breaks] == [0, -1, -1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threshold": -1}, "threshold must be 0 or more"),
        ({"event_threshold": float("nan")}, "event_threshold must be 0 or more"),
        ({"count": 0}, "count must be 1 or more"),
        ({"count": 3, "threshold": 0.2}, "not both"),
        ({"min_seconds": 5, "max_seconds": 6}, "at least twice"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Ward(**settings)


def test_thresholds_by_clip_length_and_the_encoder_s_own() -> None:
    class Clips:
        frames = 32

    class Own:
        scene_threshold = 0.7

    assert [round(by_clip(n), 3) for n in (16, 32, 64)] == [0.3, 0.25, 0.2]
    assert Ward().threshold_for(Clips()) == pytest.approx(0.25)
    assert Ward().threshold_for(Own()) == 0.7
    assert Ward(threshold=0.1).threshold_for(Own()) == 0.1
    assert Ward(threshold=0.0).threshold_for(Own()) == 0.0


def test_what_only_groups_events_makes_no_new_scenes() -> None:
    assert Ward(event_threshold=1.0).fingerprint() == Ward().fingerprint()
    assert Ward(threshold=0.1).fingerprint() != Ward().fingerprint()
