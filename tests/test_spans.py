"""Exact time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.spans import Span, check_tiling, clock, hull, to_seconds, to_us

times = st.integers(-(10**12), 10**12)
spans = st.tuples(times, times).map(lambda p: Span(min(p), max(p)))


@given(st.integers(-(10**12), 10**12))
def test_microseconds_survive_the_way_through_seconds(us: int) -> None:
    assert to_us(to_seconds(us)) == us


@given(spans, spans)
def test_overlap_counts_shared_microseconds(a: Span, b: Span) -> None:
    assert a.overlap(b) == b.overlap(a) == max(0, min(a.end, b.end) - max(a.start, b.start))
    assert a.overlap(a) == a.duration
    assert hull([a, b]) == a.union(b) == b.union(a)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20), st.data())
def test_tiling_accepts_exactly_what_tiles(lengths: list[int], data: st.DataObject) -> None:
    bounds = [0]
    for length in lengths:
        bounds.append(bounds[-1] + length)
    tiles = [Span(a, b) for a, b in itertools.pairwise(bounds)]
    whole = Span(0, bounds[-1])
    check_tiling(tiles, whole)

    place = data.draw(st.integers(0, len(tiles) - 1))
    for broken in (
        tiles[:place] + tiles[place + 1 :],
        [*tiles[:place], Span(tiles[place].start, tiles[place].end + 1), *tiles[place + 1 :]],
        [*tiles[:place], Span(tiles[place].start, tiles[place].start), *tiles[place:]],
    ):
        with pytest.raises(ValueError, match=r"gap|overlap|cover|empty|no spans"):
            check_tiling(broken, whole)


def test_a_span_refuses_seconds_and_backward_time() -> None:
    with pytest.raises(TypeError, match=r"Span\.seconds"):
        Span(0, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="before it starts"):
        Span(2, 1)


def test_half_open() -> None:
    span = Span.seconds(1, 2)
    assert 1_000_000 in span
    assert 2_000_000 not in span


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0:00.000"),
        (59_999_600, "1:00.000"),
        (3_600_000_000, "1:00:00.000"),
        (-500_000, "-0:00.500"),
    ],
)
def test_clock(us: int, text: str) -> None:
    assert clock(us) == text
