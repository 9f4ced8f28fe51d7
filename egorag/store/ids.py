"""Stable ids: the same content gets the same number in every run, on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from egorag.spans import Span


def scene_id(video: str, level: int, span: Span) -> int:
    """The id of a scene: 63 bits of the SHA-256 of its video, level and span.

    Non-negative, so that it fits SQLite's rowid and FAISS's int64 ids (-1 means "none" there).

    >>> scene_id("abc", 0, Span(0, 1_000_000))
    3068582986543521995
    """
    identity = f"{video}\0{level}\0{span.start}\0{span.end}"
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def canonical_json(data: Any) -> bytes:
    """Plain data as JSON with one possible spelling: keys sorted, ASCII, no spaces, no NaN."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def digest(data: Any) -> str:
    """SHA-256 (hex) of plain data in its canonical spelling."""
    return hashlib.sha256(canonical_json(data)).hexdigest()
