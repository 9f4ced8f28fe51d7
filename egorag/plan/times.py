"""Times that a question names: in the video, by the clock, by the calendar.

A bare clock time (``10:00``) may be a time in the video or a time of day. It is the one that
something which may be seen covers; a time of day where both do, which the plan's notes say, and
neither where neither does: then it stays a word. With am, pm, o'clock or a date beside it, it is a
time of day. Dates and times of day are those of each recording's own clock; they are counted from
``now``, and stay words where no recording's time is known. Parts of a day: morning 5-12, afternoon
12-18, evening 18-24, night 21-5, and last night 18-5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from egorag.plan.asked import When, Windows, asks, mask, without
from egorag.plan.room import Room
from egorag.terminal import plain

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (21, 29)}
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: i for i, word in enumerate(_WORDS, 1)} | {"a": 1, "an": 1, "few": 3}
_NUMBERS |= {
    "a couple of": 2,
    "a few": 3,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "half an": 0,
}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}

N = rf"(?:\d{{1,6}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
UNIT = r"(?:second|minute|hour)s?"
CLOCK = (
    r"(?:\d{1,3}:\d{2}(?::\d{2})?(?:\.\d+)?(?:\s*[ap]\.?m\b\.?)?|\d{1,2}\s*[ap]\.?m\b\.?"
    r"|\d{1,2}\s*o'clock|noon\b|midnight\b)(?![\d:])"
)
_DAY = "|".join(_DAYS)
_MONTH = "|".join(m if m == "may" else f"{m[:3]}(?:{m[3:]})?" for m in _MONTHS)
_PART = r"morning|afternoon|evening|night"
_OF = r"(?:\s+of\s+(?:the|this)\s+(?:video|recording|clip|film|footage|movie))?"
# What follows makes it part of a name or of another thing: "yesterday's paper".
_END = r"(?!['’-]\w|\w)"

_DATE = (
    rf"(?:the\s+)?(?:day\s+before\s+)?yesterday(?:\s+(?:{_PART}))?|today|tonight"
    rf"|last\s+(?:night|week|month)|this\s+(?:morning|afternoon|evening|week)"
    rf"|(?:{N})\s+(?:minute|hour|day|week)s?\s+ago"
    rf"|(?:on|last|this(?:\s+past)?)\s+(?:{_DAY})(?:\s+(?:{_PART}))?"
    rf"|on\s+(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{_MONTH})(?:,?\s+\d{{4}})?"
    rf"|on\s+(?:{_MONTH})\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?"
    r"|on\s+\d{4}-\d{2}-\d{2}"
)
STARTS = rf"(?:{CLOCK}|{_DATE}|{_DAY}|\d{{1,2}}\s+(?:{_MONTH})\b)"
"""What makes ``after`` and ``before`` a time and not a thing that happened."""

_BETWEEN = rf"(?:between|from)\s+({CLOCK}|\d{{1,2}})\s*(?:and|to|until|till|-|–)\s*({CLOCK})"
_SIDE = rf"(after|since|before|until|till|by|at|around|about)\s+({CLOCK})"
_MINUTE = rf"at\s+(?:(minute|second)\s+(\d+)|({N})\s+({UNIT})(?=\s+in\b|\s*[?.!]*$))(?:\s+in)?"
_EDGE = (
    rf"(?:in|during|within|over|for)\s+the\s+(?:very\s+)?(first|last)\s+(?:({N})\s+)?({UNIT})"
    rf"{_OF}(?!\s+(?:after|before|of)\b)"
)
_DAILY = rf"in\s+the\s+({_PART})s?|at\s+(night)"


def take_times(text: str, room: Callable[[], Room]) -> tuple[str, tuple[When, ...], list[str]]:
    """The text without the times it names, these, and what to know of them.

    Args:
        room: made when a time is met.
    """
    times: list[When] = []
    notes: list[str] = []
    dated = False
    for pattern, read in (
        (_DATE, _read_date),
        (_EDGE, _read_edge),
        (_MINUTE, _read_minute),
        (_BETWEEN, _read_between),
        (_SIDE, _read_side),
        (_DAILY, _read_daily),
    ):
        if pattern == _DAILY and not asks(text):  # "a street at night" describes a picture
            continue
        place = 0
        while found := re.compile(rf"(?<![\w-])(?:{pattern}){_END}", re.I).search(
            mask(text), place
        ):
            place = found.end()
            if pattern == _DATE and _named(text, found.start()):
                continue
            windows = read(found, room(), dated, notes)
            if windows is None:
                continue
            said = plain(found[0])
            dated = dated or pattern == _DATE
            times.append(When(said, windows))
            if not any(windows.values()):
                notes.append(f"nothing that may be seen was recorded {said}")
            text, place = without(text, found.start(), found.end()), 0
    return text, tuple(times), notes


def number(text: str) -> float:
    """A count in digits or words; half for ``half an``.

    >>> number("12"), number("five"), number("half an")
    (12.0, 5.0, 0.5)
    """
    if text.isdecimal():
        return float(text)
    return float(_NUMBERS[" ".join(text.lower().split())]) or 0.5


def seconds(unit: str) -> int:
    """Seconds of a unit, in singular or plural."""
    return _SECONDS[unit.lower().removesuffix("s")]


def _named(text: str, start: int) -> bool:
    """Whether a word of time is capitalised in the middle of a sentence: the song Yesterday."""
    return start > 0 and bool(re.match(r"(?:Yest|Tod|Ton)", text[start:]))


def _read_edge(found: re.Match[str], room: Room, dated: bool, notes: list[str]) -> Windows | None:
    side, count, unit = found.groups()[:3]
    length = (number(count) if count else 1) * seconds(unit)
    last = side.lower() == "last"
    spans = room.inside(-length, 0, True) if last else room.inside(0, length)
    return {id: (span,) for id, span in spans.items()}


def _read_minute(found: re.Match[str], room: Room, dated: bool, notes: list[str]) -> Windows | None:
    unit, place, count, units = found.groups()[:4]
    at = int(place) * seconds(unit) if unit else number(count) * seconds(units)
    spans = room.inside(at, at)
    if not spans:
        return None
    return {id: (span,) for id, span in spans.items()}


def _read_between(
    found: re.Match[str], room: Room, dated: bool, notes: list[str]
) -> Windows | None:
    first, last = found[1], found[2]
    half = re.search(r"[ap]\.?m", last, re.I)
    if first.isdecimal():  # "between 9 and 10 am"
        if not half:
            return None
        first = f"{first} {half[0]}"
    elif half and not re.search(r"[ap]\.?m", first, re.I) and ":" in first:
        first = f"{first} {half[0]}"
    return _clock_windows(first, last, room, dated, notes, found[0])


def _read_side(found: re.Match[str], room: Room, dated: bool, notes: list[str]) -> Windows | None:
    side, at = found[1].lower(), found[2]
    if side in ("after", "since"):
        return _clock_windows(at, None, room, dated, notes, found[0])
    if side in ("before", "until", "till", "by"):
        return _clock_windows(None, at, room, dated, notes, found[0])
    slack = (30.0, 900.0) if side in ("around", "about") else (0.0, 0.0)
    return _clock_windows(at, at, room, dated, notes, found[0], slack)


def _clock_windows(
    first: str | None,
    last: str | None,
    room: Room,
    dated: bool,
    notes: list[str],
    said: str,
    slack: tuple[float, float] = (0.0, 0.0),
) -> Windows | None:
    """Where a clock time lies: see the module for how it is read."""
    ends = [_times(text) for text in (first, last) if text is not None]
    if any(end is None for end in ends):
        return None
    start = _times(first) if first else (0.0, 0.0)
    stop = _times(last) if last else (float("inf"), 86_400.0)
    assert start and stop
    wall: Windows = {}
    video: Windows = {}
    if start[1] is not None and stop[1] is not None:
        over = 86_400.0 if stop[1] < start[1] else 0.0  # past midnight
        wall = room.daily(start[1] - slack[1], stop[1] + over + slack[1])
    if not dated and start[0] is not None and stop[0] is not None and start[0] <= stop[0]:
        spans = room.inside(start[0] - slack[0], stop[0] + slack[0])
        video = {id: (span,) for id, span in spans.items()}
    spoken = any(start_stop and start_stop[0] is None for start_stop in ends)
    if wall and video:
        notes.append(
            f"{plain(said)!r} was read as a time of day; for a time in the video give after= or "
            "before= in seconds"
        )
    if not wall and not video:
        if spoken or dated:
            return {} if room.dated else None
        notes.append(f"{plain(said)!r} is no time of what may be seen; it was taken as words")
        return None
    return wall or video


def _times(text: str | None) -> tuple[float | None, float | None] | None:
    """A clock time as (seconds in the video, seconds of the day), None where it cannot be one."""
    if text is None:
        return None
    low = text.lower().replace(".m", "m").replace("m.", "m")
    if low in ("noon", "midnight"):
        return None, 43_200.0 if low == "noon" else 0.0
    half = re.search(r"[ap]m|o'clock", low)
    parts = [float(part) for part in re.findall(r"\d+(?:\.\d+)?", low)]
    if len(parts) > 1 and any(part >= 60 for part in parts[1:]):
        return None
    hour, minute, second = (*parts, 0.0, 0.0)[:3]
    if half and half[0] != "o'clock":
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[0] == "pm" else 0)
    day = hour * 3600 + minute * 60 + second if hour < 24 else None
    if half:
        return None if day is None else (None, day)
    inside = hour * 60 + minute if len(parts) == 2 else hour * 3600 + minute * 60 + second
    return inside, day


def _read_daily(found: re.Match[str], room: Room, dated: bool, notes: list[str]) -> Windows | None:
    return _of_day(room, next(filter(None, found.groups())).lower())


def _of_day(room: Room, part: str) -> Windows | None:
    if not room.dated:
        return None
    first, last = _PARTS[part]
    return room.daily(first * 3600.0, last * 3600.0)


def _read_date(found: re.Match[str], room: Room, dated: bool, notes: list[str]) -> Windows | None:
    said = " ".join(found[0].lower().replace(",", " ").split())
    if not room.dated or room.now is None:
        notes.append(f"{said!r} was taken as words: no recording's time is known")
        return None
    stretch = date_of(said, room.now.replace(tzinfo=None))
    if stretch is None:
        return None
    spans = room.moments(*stretch)
    return {id: (span,) for id, span in spans.items()}


def date_of(said: str, now: datetime) -> tuple[datetime, datetime] | None:
    """A date in words as a stretch of local time; None where the calendar has no such day.

    >>> date_of("yesterday morning", datetime(2024, 5, 3, 18))
    (datetime.datetime(2024, 5, 2, 5, 0), datetime.datetime(2024, 5, 2, 12, 0))
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day = timedelta(days=1)
    if ago := re.fullmatch(rf"({N}) (minute|hour|day|week)s? ago", said):
        return _ago(number(ago[1]), ago[2], now, midnight)
    if said in ("last week", "this week"):
        monday = midnight - now.weekday() * day
        return (monday - 7 * day, monday) if said == "last week" else (monday, monday + 7 * day)
    if said == "last month":
        first = midnight.replace(day=1)
        return (first - day).replace(day=1), first
    if said == "last night":
        return midnight - timedelta(hours=6), midnight + timedelta(hours=5)
    if said == "tonight":
        return midnight + timedelta(hours=18), midnight + timedelta(hours=29)
    whole = _day_of(said, midnight)
    if whole is None:
        return None
    part = re.search(_PART, said)
    begins, ends = _PARTS[part[0]] if part else (0, 24)
    return whole + timedelta(hours=begins), whole + timedelta(hours=ends)


def _ago(
    count: float, unit: str, now: datetime, midnight: datetime
) -> tuple[datetime, datetime] | None:
    """Days and weeks are whole ones; of minutes and hours, a quarter of them around."""
    if count * _SECONDS[unit] > 3e9:
        return None
    if unit in ("day", "week"):
        at = midnight - timedelta(days=count * (7 if unit == "week" else 1))
        around = timedelta(days=3 if unit == "week" else 0)
        return at - around, at + around + timedelta(days=1)
    away = timedelta(seconds=count * _SECONDS[unit])
    slack = max(away / 4, timedelta(seconds=_SECONDS[unit] / 2))
    return now - away - slack, now - away + slack


def _day_of(said: str, midnight: datetime) -> datetime | None:
    """The day's midnight; a weekday or a date without a year is the latest one."""
    if "yesterday" in said:
        return midnight - timedelta(days=2 if "day before" in said else 1)
    if said == "today" or re.match(rf"this (?:{_PART})", said):
        return midnight
    if named := re.search(rf"\b({_DAY})\b", said):
        back = (midnight.weekday() - _DAYS.index(named[1])) % 7
        return midnight - timedelta(days=back or (7 if said.startswith("last") else 0))
    if iso := re.search(r"\d{4}-\d{2}-\d{2}", said):
        return _or_none(*(int(part) for part in iso[0].split("-")))
    month = re.search(rf"\b({_MONTH})\b", said)
    date = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", said)
    if month is None or date is None:
        return None
    year = re.search(r"\b\d{4}\b", said)
    number_ = next(i for i, name in enumerate(_MONTHS, 1) if name[:3] == month[1][:3])
    if year:
        return _or_none(int(year[0]), number_, int(date[1]))
    years = (midnight.year - back for back in range(5))  # 29 February may be four years ago
    days = (_or_none(y, number_, int(date[1])) for y in years)
    return next((found for found in days if found and found <= midnight), None)


def _or_none(year: int, month: int, day: int) -> datetime | None:
    try:
        return datetime(year, month, day)
    except ValueError:
        return None
