"""Timestamps to microseconds: exact, ordered where the file is not, never led astray by a claim."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.media.timeline import MAX_GAP, StreamClock, Timeline, TimestampJump
from egorag.spans import to_us

TICK = Fraction(1, 1000)
BASES = st.sampled_from(
    [Fraction(1, n) for n in (1000, 12_800, 15_360, 16_384, 90_000, 1_000_000)]
    + [Fraction(1001, 30_000), Fraction(8, 30_625)]
)


def clock(start: Fraction | None = Fraction(0), tick: Fraction = TICK) -> StreamClock:
    return StreamClock(Timeline(start), tick)


@given(st.integers(-(10**9), 10**9), BASES, st.integers(0, 10**7), BASES)
def test_conversion_is_exact_arithmetic(
    ticks: int, tick: Fraction, start: int, start_tick: Fraction
) -> None:
    origin = start * start_tick
    assert clock(origin, tick).microseconds(ticks) == to_us(ticks * tick - origin)


def test_a_late_start_is_time_zero() -> None:
    late = clock(Fraction(132_006, 90_000), Fraction(1, 90_000))
    assert [late.place(132_006 + 3003 * k) for k in range(4)] == [0, 33_367, 66_733, 100_100]


@pytest.mark.parametrize("start", [None, Fraction(0)])
def test_a_start_that_the_header_misses_is_found_at_the_first_stamp(start: Fraction | None) -> None:
    far = clock(start)
    assert far.place(95_000_000) == 0
    far.advance(40_000)
    assert far.place(95_000_040) == 40_000


def test_streams_share_the_correction() -> None:
    timeline = Timeline(None)
    first, second = StreamClock(timeline, TICK), StreamClock(timeline, TICK)
    assert first.place(5_000) == 0
    assert second.place(5_250) == 250_000


def test_missing_stamps_follow_the_end_of_what_came_before() -> None:
    bare = clock()
    assert bare.place(None) == 0
    bare.advance(40_000)
    assert bare.place(None) == 40_000


def test_glued_recordings_go_on_where_the_first_ended() -> None:
    glued = clock()
    for k in range(100):
        glued.place(k * 40)
        glued.advance((k + 1) * 40_000)
    second = []
    for k in range(3):
        second.append(glued.place(k * 40))
        glued.advance(second[-1] + 40_000)
    assert second == [4_000_000, 4_040_000, 4_080_000]
    assert glued.restarts == 1


def test_a_small_step_back_is_no_restart() -> None:
    shaky = clock()
    assert [shaky.place(t) for t in (0, 40, 120, 80, 160)] == [0, 40_000, 120_000, 80_000, 160_000]
    assert shaky.restarts == 0


def test_stamps_that_leap_by_days_end_the_reading() -> None:
    liar = clock()
    liar.place(0)
    liar.advance(40_000)
    allowed = (40_000 + MAX_GAP) // 1000
    with pytest.raises(TimestampJump, match=r"from 0:00\.040 to 10:00\.041"):
        liar.place(allowed + 1)
    assert liar.place(allowed) == allowed * 1000


def test_another_stream_vouches_for_a_long_pause() -> None:
    timeline = Timeline(Fraction(0))
    slides, talk = StreamClock(timeline, TICK), StreamClock(timeline, TICK)
    slides.place(0)
    talk.place(0)
    talk.advance(30 * 60 * 10**6)
    assert slides.place(30 * 60 * 1000) == 30 * 60 * 10**6


def test_stamps_in_coding_order_give_way_to_decoding_stamps() -> None:
    """As libavcodec's best_effort_timestamp does; these are the pairs of a real AVI file."""
    avi = clock(tick=Fraction(1, 30))
    pairs = [(2, 3), (3, 4), (5, 5), (4, 6), (6, 7), (9, 8), (8, 9), (10, 10), (7, 11), (13, 12)]
    times = [avi.place(pts, dts) for pts, dts in pairs]
    assert times == sorted(times)
    assert times[4:] == [to_us(Fraction(dts, 30)) for _, dts in pairs[4:]]
