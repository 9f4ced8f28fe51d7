"""A query's time filters in the microseconds of one video."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from egorag.spans import MICROSECONDS, Span
from egorag.types import Query, TimedText, Video

_FOREVER = 2**62


def bounds(query: Query, video: Video) -> Span | None:
    """What text of the video may be shown or cited: it starts at or after ``after``, and ends at
    or before ``before`` and ``until``. None where nothing may be: the filters leave no room, or a
    date is asked for and the video's is not known."""
    after = _in_video(query.after, video, -_FOREVER)
    before = _in_video(query.before, video, _FOREVER)
    until = _in_video(query.until, video, _FOREVER)
    if after is None or before is None or until is None or after > min(before, until):
        return None
    return Span(after, min(before, until))


def within(lines: Iterable[TimedText], allowed: Span | None) -> list[TimedText]:
    """The lines that lie wholly inside ``allowed``."""
    return [
        line
        for line in lines
        if allowed and allowed.start <= line.span.start and line.span.end <= allowed.end
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
