"""Fixed windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.segment.fixed import Fixed
from egorag.spans import Span, check_tiling


@given(st.integers(1, 200), st.floats(0.5, 30))
def test_windows_tile_and_only_the_last_two_differ(end: int, seconds: float) -> None:
    stream = Fixed(seconds=seconds).start()
    closed = [span for time in range(end) for span in stream.push(time * 1_000_000, None)]
    closed += stream.finish(end * 1_000_000)
    check_tiling(closed, Span.seconds(0, end))
    window = round(seconds * 1e6)
    assert all(span.duration == window for span in closed[:-2])
    assert len(closed) == 1 or all(window // 2 <= span.duration <= window for span in closed)


def test_tail() -> None:
    def cut(end: float) -> list[float]:
        return [s.duration / 1e6 for s in Fixed(seconds=10).start().finish(round(end * 1e6))]

    assert cut(25) == [10, 10, 5]
    assert cut(24) == [10, 7, 7]
    assert cut(3) == [3]
    assert cut(0) == []


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_bad_lengths_are_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="seconds"):
        Fixed(seconds=seconds)
