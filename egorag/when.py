"""Times as people write them: seconds, ``10:00``, ``1:02:03.5`` or ISO 8601."""

from __future__ import annotations

import math
import re
from datetime import datetime

from egorag.errors import ConfigError

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


def parse_when(name: str, value: object) -> float | datetime | None:
    """Seconds in the video, or a timezone-aware datetime.

    Raises:
        ConfigError: anything else, naming the setting.

    >>> parse_when("after", "1:02:03.5"), parse_when("after", 12)
    (3723.5, 12.0)
    """
    if value is None:
        return None
    text = str(value).strip()
    clock = _CLOCK.fullmatch(text)
    if clock:
        hours, minutes, seconds = clock.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ConfigError(
            f"{name}={text!r} is no time; give seconds (90.5), a clock time in the video "
            "(1:30) or ISO 8601 (2026-05-01T09:00+02:00)"
        )
    if moment.tzinfo is None:
        raise ConfigError(f"{name}={text!r} needs a time zone, as {text}+00:00 or {text}Z")
    return moment
