"""Exact time: integer microseconds inside, seconds at the surface. Spans are half-open."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

MICROSECONDS = 1_000_000


def to_us(seconds: float | int | Fraction) -> int:
    """Seconds to integer microseconds, rounded half to even.

    >>> to_us(1.5)
    1500000
    """
    return round(seconds * MICROSECONDS)


def to_seconds(us: int) -> float:
    """Integer microseconds to seconds.

    >>> to_seconds(1500000)
    1.5
    """
    return us / MICROSECONDS


def clock(us: int) -> str:
    """Human-readable time, ``M:SS.mmm`` or ``H:MM:SS.mmm``.

    >>> clock(8_080_000), clock(3_600_000_000)
    ('0:08.080', '1:00:00.000')
    """
    total_ms = (abs(us) + 500) // 1000
    minutes, ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if us < 0 else ""
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{head}:{ms // 1000:02d}.{ms % 1000:03d}"


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A half-open stretch of time ``[start, end)`` in integer microseconds.

    >>> Span.seconds(1, 2.5)
    Span(0:01.000-0:02.500)
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not isinstance(self.start, int) or not isinstance(self.end, int):
            raise TypeError(
                f"Span takes integer microseconds, got {self.start!r}, {self.end!r}; "
                "use Span.seconds(start, end) for seconds"
            )
        if self.end < self.start:
            raise ValueError(f"Span ends before it starts: {self.start} > {self.end} microseconds")

    @classmethod
    def seconds(cls, start: float | Fraction, end: float | Fraction) -> Span:
        """A span from seconds."""
        return cls(to_us(start), to_us(end))

    @property
    def duration(self) -> int:
        """Length in microseconds."""
        return self.end - self.start

    @property
    def middle(self) -> int:
        """Midpoint in microseconds, rounded down."""
        return (self.start + self.end) // 2

    def __contains__(self, us: int) -> bool:
        return self.start <= us < self.end

    def overlap(self, other: Span) -> int:
        """Microseconds shared with ``other`` (0 where they only touch)."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def union(self, other: Span) -> Span:
        """The smallest span that holds both."""
        return Span(min(self.start, other.start), max(self.end, other.end))

    def __repr__(self) -> str:
        return f"Span({clock(self.start)}-{clock(self.end)})"


def hull(spans: Iterable[Span]) -> Span:
    """The smallest span that holds all of ``spans`` (at least one)."""
    listed = list(spans)
    if not listed:
        raise ValueError("hull() needs at least one span")
    return Span(min(s.start for s in listed), max(s.end for s in listed))


def check_tiling(spans: Sequence[Span], whole: Span) -> None:
    """Raise ValueError unless ``spans`` tile ``whole``: in order, no gap, no overlap, none empty.

    >>> check_tiling([Span(0, 5), Span(5, 9)], Span(0, 9))
    """
    if not spans:
        raise ValueError(f"no spans to tile {whole}")
    if spans[0].start != whole.start or spans[-1].end != whole.end:
        raise ValueError(f"spans cover {hull(spans)}, not {whole}")
    for left, right in itertools.pairwise(spans):
        if left.end != right.start:
            kind = "gap" if left.end < right.start else "overlap"
            raise ValueError(f"{kind} between {left} and {right}")
    for span in spans:
        if span.duration <= 0:
            raise ValueError(f"empty span {span}")
