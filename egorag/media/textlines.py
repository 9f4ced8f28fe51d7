"""TEXT.jsonl: timed text without media, one object a line, many videos a file.

``{"video", "start", "end", "text", "track": "caption", "recorded_at"}``; the last two may be left
out. Times are seconds, ``recorded_at`` is the wall clock of the video's time 0.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from egorag.errors import ConfigError
from egorag.media.entry import Input, check_keys, moment_of, parse_object, span_of, text_of
from egorag.media.markup import clean_text
from egorag.types import TimedText

MAX_REASONS = 5
_TRACK = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass
class _Rows:
    """The good rows of one video; a dict, because a row said twice counts once."""

    texts: dict[TimedText, None] = field(default_factory=dict)
    recorded_at: datetime | None = None


def read_text_lines(path: Path) -> list[Input]:
    """One input a video, in the order of first mention, its texts in time order.

    Bad lines are left out; an input that holds only an ``error`` then tells how many and which.
    The id is the hash of the name and the texts (not of ``recorded_at``, nor of the order of the
    lines), so running again is the same video, and one name with other texts is another.

    Raises:
        ConfigError: the file cannot be read or has no lines.
    """
    videos: dict[str, _Rows] = {}
    bad: list[str] = []
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    _read_line(line.removeprefix(b"\xef\xbb\xbf"), videos)
                except ValueError as error:
                    bad.append(f"line {number}: {error}")
    except OSError as error:
        raise ConfigError(f"cannot read timed text {str(path)!r}: {error.strerror}") from error
    inputs = [text_input(name, rows.texts, rows.recorded_at) for name, rows in videos.items()]
    if bad:
        more = f"; and {len(bad) - MAX_REASONS} more" if len(bad) > MAX_REASONS else ""
        told = f"{len(bad)} of {number} lines left out: {'; '.join(bad[:MAX_REASONS])}{more}"
        inputs.append(Input(path, error=told))
    if not inputs:
        raise ConfigError(
            f"{str(path)!r} has no lines; each must be an object such as "
            '{"video": "kitchen", "start": 1.5, "end": 4, "text": "opens the fridge"}'
        )
    return inputs


def _read_line(line: bytes, videos: dict[str, _Rows]) -> None:
    row = check_keys(
        parse_object(line), ["video", "start", "end", "text"], ["track", "recorded_at"]
    )
    name = text_of(row["video"], "video")
    span = span_of(row["start"], row["end"])
    text = clean_text(row["text"]) if isinstance(row["text"], str) else ""
    if not text:
        raise ValueError(f"text must say something besides markup, got {row['text']!r:.80}")
    track = row.get("track", "caption")
    if not isinstance(track, str) or not _TRACK.fullmatch(track):
        raise ValueError(f"track must be a name like caption or transcript, got {track!r:.80}")
    recorded_at = moment_of(row.get("recorded_at"))
    rows = videos.get(name, _Rows())
    if recorded_at and rows.recorded_at and recorded_at != rows.recorded_at:
        raise ValueError(f"recorded_at differs from {rows.recorded_at.isoformat()} above")
    rows.recorded_at = rows.recorded_at or recorded_at
    rows.texts[TimedText(span, text, track, source="given")] = None
    videos[name] = rows


def text_input(name: str, texts: Iterable[TimedText], recorded_at: datetime | None = None) -> Input:
    """Timed texts as the input called ``name``; its id is the hash of the name and the texts."""
    listed = sorted(texts, key=lambda t: (t.span, t.track, t.text))
    content = [name, [[t.span.start, t.span.end, t.track, t.text] for t in listed]]
    canonical = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Input(
        Path(name),
        recorded_at=recorded_at,
        texts=tuple(listed),
        id=hashlib.sha256(canonical.encode()).hexdigest(),
    )
