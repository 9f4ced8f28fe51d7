"""The frame grid against its definition: at k / rate, the last frame shown at or before it."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from egorag.media.grid import FrameGrid
from egorag.spans import to_us

TIMES = st.lists(st.integers(0, 5_000_000), min_size=1, max_size=40, unique=True).map(sorted)
RATES = st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0, 7.5, 24.0, 29.97, 30.0, 100.0])


def shown(times: list[int], rate: float, end: int) -> list[tuple[int, int]]:
    """(grid point, number of the frame) as the reader uses the grid: one frame behind."""
    grid = FrameGrid(rate)
    found = []
    for index, after in enumerate([*times[1:], end]):
        found += [(point, index) for point in grid.before(after)]
    return found


@given(TIMES, RATES, st.integers(1, 2_000_000))
def test_against_the_definition(times: list[int], rate: float, last: int) -> None:
    end = times[-1] + last
    expected = []
    k = 0
    while (point := to_us(k / Fraction(rate))) < end:
        earlier = [i for i, time in enumerate(times) if time <= point]
        expected.append((point, earlier[-1] if earlier else 0))
        k += 1
    assert shown(times, rate, end) == expected


def test_at_the_videos_own_rate_every_frame_is_seen_once() -> None:
    ntsc = Fraction(30_000, 1001)
    times = [to_us(k / ntsc) for k in range(300)]
    got = shown(times, float(ntsc), to_us(300 / ntsc))
    assert got == [(time, k) for k, time in enumerate(times)]


def test_frames_between_points_are_passed_over() -> None:
    assert shown([0, 100_000, 400_000], 2.0, 600_000) == [(0, 0), (500_000, 2)]


@given(RATES, st.integers(0, 20_000_000))
def test_a_later_start_leaves_the_same_points(rate: float, start: int) -> None:
    end = start + 2_000_000
    every = list(FrameGrid(rate).before(end))
    assert list(FrameGrid(rate, start).before(end)) == [point for point in every if point >= start]
