"""Tiling: exact, bounded, the same online as offline and as a naive reading of the rule."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.segment.tiling import Tiling, bounds, tile
from egorag.spans import Span, check_tiling


@st.composite
def videos(draw: st.DrawFn) -> tuple[list[int], int, int, int]:
    """Cuts (some outside, repeated, out of order), end, shortest, longest; small numbers."""
    shortest = draw(st.integers(0, 12))
    longest = draw(st.integers(2 * max(1, shortest), 60))
    end = draw(st.integers(0, 300))
    cuts = draw(st.lists(st.integers(-20, end + 20), max_size=60))
    return cuts, end, shortest, longest


def oracle(cuts: list[int], end: int, shortest: int, longest: int) -> list[tuple[int, int]]:
    """The rule acted out scene by scene on a plain list, as the module's first lines tell it."""
    edges = sorted({0, end, *(c for c in cuts if 0 < c < end)})
    merged: list[list[int]] = []
    for start, stop in pairwise(edges):
        if merged and stop - start < shortest:
            merged[-1][1] = stop  # joins the one before
        elif merged and merged[0][1] < shortest and len(merged) == 1:
            merged[0][1] = stop  # the first one, too short, joins the one after
        else:
            merged.append([start, stop])
    pieces: list[tuple[int, int]] = []
    for start, stop in merged:
        whole, rest = divmod(stop - start, longest)
        if rest and rest < shortest and whole:
            lengths = [longest] * (whole - 1)
            both = longest + rest
            lengths += [both // 2, both - both // 2]
        else:
            lengths = [longest] * whole + [rest] * bool(rest)
        for length in lengths:
            pieces.append((start, start + length))
            start += length
    return pieces


@given(videos())
@settings(max_examples=500, deadline=None)
def test_scenes_tile_within_bounds(video: tuple[list[int], int, int, int]) -> None:
    cuts, end, shortest, longest = video
    scenes = tile(cuts, end, shortest, longest)
    if end == 0:
        assert scenes == []
        return
    check_tiling(scenes, Span(0, end))
    assert all(scene.duration <= longest for scene in scenes)
    assert len(scenes) == 1 or all(scene.duration >= shortest for scene in scenes)


@given(videos())
@settings(max_examples=500, deadline=None)
def test_equals_the_naive_rule(video: tuple[list[int], int, int, int]) -> None:
    cuts, end, shortest, longest = video
    assert [(s.start, s.end) for s in tile(cuts, end, shortest, longest)] == oracle(
        cuts, end, shortest, max(longest, 1)
    )


@given(videos(), st.data())
@settings(max_examples=500, deadline=None)
def test_online_equals_offline_with_bounded_lag(
    video: tuple[list[int], int, int, int], data: st.DataObject
) -> None:
    """Frames at random times, cuts told up to ``late`` frames after they happened."""
    cuts, end, shortest, longest = video
    times = sorted(data.draw(st.sets(st.integers(0, max(0, end - 1)), max_size=80)) if end else [])
    late = data.draw(st.integers(0, 5))
    told: dict[int, list[int]] = {}
    for cut in {c for c in cuts if c in times}:
        place = times.index(cut)
        when = min(len(times) - 1, place + data.draw(st.integers(0, late)))
        told.setdefault(when, []).append(cut)

    tiling = Tiling(shortest, longest)
    closed: list[Span] = []
    for number, _ in enumerate(times):
        settled = times[max(0, number - late)]
        closed += tiling.advance(settled, told.get(number, []))
        covered = closed[-1].end if closed else 0
        assert settled - covered < longest + 2 * max(1, shortest)
        assert covered <= settled
    closed += tiling.finish(end)
    assert closed == tile([c for c in cuts if c in times], end, shortest, longest)


@pytest.mark.parametrize(
    ("cuts", "end", "expected"),
    [
        ([], 10, [(0, 10)]),
        ([1], 10, [(0, 10)]),  # the first scene is too short: joins the next
        ([9], 10, [(0, 10)]),  # the last one: joins the one before
        ([4, 5, 6], 10, [(0, 6), (6, 10)]),  # a flash leaves its last cut
        ([5], 25, [(0, 5), (5, 15), (15, 25)]),
        ([], 21, [(0, 10), (10, 15), (15, 21)]),  # a crumb of 1 is evened out
        ([], 22, [(0, 10), (10, 20), (20, 22)]),
        ([], 1, [(0, 1)]),
        ([3], 0, []),
    ],
)
def test_examples(cuts: list[int], end: int, expected: list[tuple[int, int]]) -> None:
    assert [(s.start, s.end) for s in tile(cuts, end, shortest=2, longest=10)] == expected


def test_a_late_cut_breaks_the_promise() -> None:
    tiling = Tiling(2, 10)
    tiling.advance(50)
    with pytest.raises(ValueError, match="cut at 49 us"):
        tiling.advance(60, [49])
    with pytest.raises(ValueError, match="ends at 40 us"):
        tiling.finish(40)


@pytest.mark.parametrize(
    ("low", "high"),
    [(1.0, 1.9), (-1.0, 5.0), (float("nan"), 5.0), (1.0, float("inf")), (0.0, 0.0)],
)
def test_impossible_settings_are_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match=r"seconds"):
        bounds(low, high)
