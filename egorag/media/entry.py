"""One input of an index run, and the checks that users' JSON goes through to become one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from egorag.errors import did_you_mean
from egorag.spans import Span, to_us
from egorag.types import TimedText

MAX_SECONDS = 1e9
"""About 30 years; a larger time is a mistake (milliseconds, or a clock's epoch)."""


@dataclass(frozen=True)
class Input:
    """A media file, one name of a text corpus, or something that cannot be either.

    Attributes:
        path: the file; for timed text the name its rows state.
        recorded_at: timezone-aware wall clock of time 0, where the user states it.
        scenes: level-0 scenes the user gives, in order, not overlapping.
        metadata: whatever the manifest says, as plain data.
        texts: timed text in time order instead of media; never empty.
        id: for timed text its content's hash; "" for media, whose hash costs reading it.
        error: why this input cannot be indexed; the others go on.
    """

    path: Path
    recorded_at: datetime | None = None
    scenes: tuple[Span, ...] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    texts: tuple[TimedText, ...] | None = None
    id: str = ""
    error: str | None = None


def parse_object(
    text: str | bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """JSON, with every way to fail as one ValueError that fits in a line; ``pairs`` as in json."""
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"not valid JSON at {where}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("not valid: nested too deeply") from error


def check_keys(entry: Any, needed: Iterable[str], optional: Iterable[str]) -> dict[str, Any]:
    """The entry itself, if it is an object with just these keys; else ValueError."""
    needed, known = list(needed), [*needed, *optional]
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object with {', '.join(known)}, got {_brief(entry)}")
    for key in entry:
        if key not in known:
            raise ValueError(f"unknown key {_brief(key)}{did_you_mean(key, known)}")
    for key in needed:
        if key not in entry:
            raise ValueError(f"{key!r} is missing")
    return entry


def text_of(value: Any, key: str) -> str:
    """A string that says something and can be stored."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} must be a text that is not empty, got {_brief(value)}")
    if any("\ud800" <= c <= "\udfff" for c in value) or "\0" in value:
        raise ValueError(f"{key} holds NUL or half of a surrogate pair: {_brief(value)}")
    return value


def span_of(start: Any, end: Any) -> Span:
    """A span longer than 0 from two numbers of seconds."""
    for value in (start, end):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not 0 <= value <= MAX_SECONDS:
            raise ValueError(
                f"a time must be seconds from 0 to {MAX_SECONDS:.0f}, got {_brief(value)}"
            )
    span = Span(to_us(start), to_us(end))
    if span.duration <= 0:
        raise ValueError(f"the end {end} is not later than the start {start}")
    return span


def scenes_of(value: Any) -> tuple[Span, ...] | None:
    """[[start, end], ...] in seconds, put in order; None for an empty list."""
    if not isinstance(value, list):
        raise ValueError(f"scenes must be [[start, end], ...] in seconds, got {_brief(value)}")
    spans = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"a scene must be [start, end] in seconds, got {_brief(pair)}")
        spans.append(span_of(*pair))
    spans.sort()
    for left, right in pairwise(spans):
        if right.start < left.end:
            raise ValueError(f"scenes {left} and {right} overlap")
    return tuple(spans) or None


def moment_of(value: Any) -> datetime | None:
    """An ISO 8601 moment with a time zone; None stays None."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"recorded_at must be ISO 8601 such as 2026-05-01T09:30:00+02:00, got {_brief(value)}"
        ) from error
    if moment.tzinfo is None:
        raise ValueError(f"recorded_at needs a time zone: write {value}Z for UTC, or {value}+02:00")
    return moment


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
