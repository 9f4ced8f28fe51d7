"""A query's time filters in the microseconds of one video."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from egorag.spans import MICROSECONDS, Span
from egorag.types import Query, TimedText, Video

_FOREVER = 2**62


def bounds(query: Query, video: Video) -> Span:
    """What text of the video may be shown or cited: it starts at or after ``after``, and ends at
    or before ``before`` and ``until``. Empty where a date is asked for and the video's is not
    known."""
    times = [
        _in_video(time, video, otherwise)
        for time, otherwise in (
            (query.after, -_FOREVER),
            (query.before, _FOREVER),
            (query.until, _FOREVER),
        )
    ]
    if None in times:
        return Span(0, 0)
    after, before, until = (time or 0 for time in times)
    return Span(after, max(after, min(before, until)))


def within(lines: Iterable[TimedText], allowed: Span) -> list[TimedText]:
    """The lines that lie wholly inside ``allowed``."""
    return [
        line for line in lines if allowed.start <= line.span.start and line.span.end <= allowed.end
    ]


def _in_video(time: float | datetime | None, video: Video, otherwise: int) -> int | None:
    """Microseconds; None where it cannot be known."""
    if time is None:
        return otherwise
    if isinstance(time, datetime):
        if video.recorded_at is None:
            return None
        return (time - video.recorded_at) // timedelta(microseconds=1)
    if math.isinf(time) or abs(time) * MICROSECONDS > _FOREVER:
        return _FOREVER if time > 0 else -_FOREVER
    return round(time * MICROSECONDS)
