"""Between SQLite's rows and the types: how each value is spelled in the catalog."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.ids import canonical_json
from egorag.store.records import EncoderRow
from egorag.types import Scene, TimedText, Video, Word

VIDEO = "SELECT id, path, duration, recorded_at, metadata FROM videos"
SCENE = 'SELECT id, video, start, "end", level, position, parent, known_at FROM scenes'
TEXT = 'SELECT start, "end", text, track, source, confidence, words, speaker FROM texts'
ENCODER = "SELECT name, fingerprint, space, settings, medium FROM encoders"


def to_video(row: Any) -> Video:
    id, path, duration, recorded_at, metadata = row
    return Video(id, path_out(path), duration, time_out(recorded_at), json.loads(metadata))


def to_scene(row: Any) -> Scene:
    id, video, start, end, level, index, parent, known_at = row
    return Scene(id, video, Span(start, end), level, index, parent, known_at)


def to_text(row: Any) -> TimedText:
    start, end, text, track, source, confidence, words, speaker = row
    listed = tuple(Word(Span(s, e), w) for s, e, w in json.loads(words))
    return TimedText(Span(start, end), text, track, source, confidence, listed, speaker)


def to_encoder(row: Any) -> EncoderRow:
    name, fingerprint, space, settings, medium = row
    decoded = EmbeddingSpace.from_json(json.loads(space)) if space else None
    return EncoderRow(name, fingerprint, decoded, json.loads(settings), medium)


def from_encoder(row: EncoderRow) -> tuple[str, str, str | None, str, str]:
    """In the order of ``ENCODER``'s columns."""
    space = json_in(row.space.to_json()) if row.space else None
    return row.name, row.fingerprint, space, json_in(dict(row.settings)), row.medium


def json_in(data: Any) -> str:
    """Plain data in its one spelling, so that equal content is an equal row."""
    return canonical_json(data).decode()


def path_in(path: str) -> str | bytes:
    """File names need not be valid text; those that are not are kept as bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")
    return path


def path_out(path: str | bytes) -> str:
    return path if isinstance(path, str) else path.decode("utf-8", "surrogatepass")


def time_in(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def time_out(time: str | None) -> datetime | None:
    return datetime.fromisoformat(time) if time else None
