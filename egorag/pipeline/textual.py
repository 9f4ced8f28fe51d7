"""Timed text as an artifact: plain JSON, times in microseconds, nothing volatile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from egorag.spans import Span
from egorag.types import TimedText, Word


def encode_texts(texts: Iterable[TimedText]) -> list[dict[str, Any]]:
    """Plain data; ``decode_texts`` gives the same texts back."""
    return [
        {
            "start": text.span.start,
            "end": text.span.end,
            "text": text.text,
            "track": text.track,
            "source": text.source,
            "confidence": text.confidence,
            "words": [[w.span.start, w.span.end, w.text] for w in text.words],
            **({"speaker": text.speaker} if text.speaker else {}),
        }
        for text in texts
    ]


def decode_texts(data: Iterable[dict[str, Any]]) -> list[TimedText]:
    """What ``encode_texts`` was given."""
    return [
        TimedText(
            span=Span(row["start"], row["end"]),
            text=row["text"],
            track=row["track"],
            source=row["source"],
            confidence=row["confidence"],
            words=tuple(Word(Span(a, b), text) for a, b, text in row["words"]),
            speaker=row.get("speaker"),
        )
        for row in data
    ]
