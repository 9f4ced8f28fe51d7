"""Events and the hierarchy above the scenes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.segment.events import group_events, hierarchy
from egorag.spans import Span, check_tiling

durations = st.lists(st.integers(1, 40_000_000), max_size=60)


def spans_of(durations: list[int]) -> list[Span]:
    edges = [0]
    for duration in durations:
        edges.append(edges[-1] + duration)
    return [Span(a, b) for a, b in pairwise(edges)]


def make_id(video: str, level: int, span: Span) -> int:
    return hash((video, level, span.start, span.end)) & (2**63 - 1)


@given(durations, st.floats(1, 120))
def test_events_cover_scenes_in_order_near_the_target(lengths: list[int], seconds: float) -> None:
    spans = spans_of(lengths)
    events = group_events(spans, seconds)
    assert [i for event in events for i in event] == list(range(len(spans)))
    target = seconds * 1e6
    for event in events[:-2]:
        start, end = spans[event[0]].start, spans[event[-1]].end
        reach = abs(end - start - target)
        others = [s.end for s in spans[event[0] :]]
        assert reach <= min(abs(e - start - target) for e in others) + 1


@given(durations)
def test_events_over_do_not_depend_on_what_follows(lengths: list[int]) -> None:
    spans = spans_of(lengths)
    whole = group_events(spans, 60)
    for stop in range(len(spans)):
        part = group_events(spans[:stop], 60)
        assert part[:-2] == whole[: max(0, len(part) - 2)]


@given(durations, st.data())
def test_hierarchy_is_a_tree_over_the_video(lengths: list[int], data: st.DataObject) -> None:
    spans = spans_of(lengths)
    known = [s.end + data.draw(st.integers(0, 5_000_000)) for s in spans]
    scenes = hierarchy("v", spans, known, 30.0, make_id)
    if not spans:
        assert scenes == ()
        return
    whole = Span(0, spans[-1].end)
    by_id = {scene.id: scene for scene in scenes}
    assert len(by_id) == len(scenes)
    for level in (0, 1, 2):
        row = [s for s in scenes if s.level == level]
        check_tiling([s.span for s in row], whole)
        assert [s.index for s in row] == list(range(len(row)))
    for scene in scenes:
        children = [s for s in scenes if s.parent == scene.id]
        if scene.level == 2:
            assert scene.parent is None
        else:
            assert by_id[scene.parent or 0].level == scene.level + 1
        if children:
            check_tiling([s.span for s in children], scene.span)
            assert scene.known_at == max(s.known_at for s in children)


def test_a_short_last_event_joins_the_one_before() -> None:
    spans = [Span.seconds(t, t + 10) for t in range(0, 80, 10)]
    assert group_events(spans, 60) == [range(8)]
    assert group_events([*spans, Span.seconds(80, 95)], 60) == [range(6), range(6, 9)]


@pytest.mark.parametrize("seconds", [0, -5, float("nan"), float("inf")])
def test_bad_targets_are_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match=r"events\.seconds"):
        group_events([Span(0, 1)], seconds)
