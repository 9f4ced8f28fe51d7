"""Items as plain data and back, so that a run can be read where its annotations are not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from egorag.evaluate.base import Item, Relevant
from egorag.spans import Span


def item_to_json(item: Item) -> dict[str, Any]:
    """Plain data; times in integer microseconds, a cut-off by the clock as ISO 8601."""
    until = item.until
    return {
        **vars(item),
        "relevant": [[one.video, one.span.start, one.span.end, one.grade] for one in item.relevant],
        "window": item.window and [item.window.start, item.window.end],
        "until": until.isoformat() if isinstance(until, datetime) else until,
        "labels": dict(item.labels),
    }


def item_from_json(told: Mapping[str, Any]) -> Item:
    """The item again.

    Raises:
        KeyError, TypeError, ValueError: it is no item.
    """
    until, labels = told["until"], told["labels"].items()
    read: dict[str, Any] = {
        **told,
        "videos": tuple(told["videos"]),
        "choices": tuple(told["choices"]),
        "relevant": tuple(
            Relevant(video, Span(start, end), grade)
            for video, start, end, grade in told["relevant"]
        ),
        "window": told["window"] and Span(*told["window"]),
        "until": datetime.fromisoformat(until) if isinstance(until, str) else until,
        "labels": {name: of if isinstance(of, str) else tuple(of) for name, of in labels},
    }
    return Item(**read)
