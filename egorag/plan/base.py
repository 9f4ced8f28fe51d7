"""What a question asks of the search, apart from its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from egorag.plan.asked import Limits, Want
from egorag.spans import Span, clock, to_seconds, to_us
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Hit, Query

_LISTED = 20
"""Stretches and videos that a plan lists at most."""


@dataclass(frozen=True)
class Reading:
    """How a question was read, before anything is searched.

    Attributes:
        by: who read it.
        wants: what to look for; the hits of several are fused.
        notes: what went otherwise than asked, or could be read in two ways.
    """

    by: str
    wants: tuple[Want, ...]
    notes: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Step:
    """One search that was made.

    Attributes:
        query: with the filters as they were applied.
        want: what for.
        anchors: where the thing was found that it is related to: the stretch and its best hit.
        of: what it serves as the anchor of; empty for what was asked itself.
    """

    query: Query
    want: Want
    anchors: tuple[tuple[Span, Hit], ...] = ()
    of: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data: seconds, or ISO 8601 where a filter was given so."""
        relation = self.want.relation if self.anchors else None
        return {
            "text": self.query.text,
            "for": self.of or None,
            "relation": relation.kind if relation else None,
            "anchors": [
                {
                    "video": hit.scene.video,
                    "path": hit.path,
                    "start": to_seconds(span.start),
                    "end": to_seconds(span.end),
                    "score": hit.score,
                }
                for span, hit in self.anchors
            ],
            **{name: _time(getattr(self.query, name)) for name in ("after", "before", "until")},
            "videos": list(self.query.videos[:_LISTED]),
            "times": [
                {"said": time.said, "windows": _windows(time.windows)} for time in self.want.times
            ],
            "speaker": self.want.speaker,
            "phrases": list(self.want.phrases),
            "order": self.want.order,
        }


@dataclass(frozen=True)
class Plan:
    """How a query was carried out; part of every result.

    Attributes:
        by: who made it.
        query: the query with its filters narrowed to where it was searched.
        steps: in the order in which they were searched; none where the query was taken literally.
        order: in which order of time the hits come; None for the best first.
        count: where it is asked how often: the occurrences found, as (video, span).
        notes: what went otherwise than asked.
    """

    by: str
    query: Query
    notes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    order: str | None = None
    count: Sequence[tuple[str, Span]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found = None
        if self.count is not None:
            found = {
                "occurrences": len(self.count),
                "at": [_stretch(video, span) for video, span in self.count[:_LISTED]],
            }
        return {
            "by": self.by,
            "text": self.query.text,
            "steps": [step.to_json() for step in self.steps],
            "order": self.order,
            "count": found,
            "notes": list(self.notes),
        }

    def told(self) -> list[str]:
        """The plan for a person, in one or two lines; none where the query was taken literally."""
        return told(self.to_json())


class Planner(Protocol):
    """Settings of a way to understand a query; a frozen dataclass."""

    def read(self, query: Query, catalog: Catalog) -> Reading:
        """How ``query`` is to be carried out, over what it may see of the index."""


@dataclass(frozen=True)
class Literal:
    """Takes a query as it stands."""

    def read(self, query: Query, catalog: Catalog) -> Reading:
        return Reading("none", (Want(query.text or ""),))


def told(plan: Mapping[str, Any]) -> list[str]:
    """What ``Plan.to_json`` gave, for a person: see ``Plan.told``."""
    if not plan["steps"]:
        return []
    rest = [plan["order"]] if plan["order"] else []
    if plan["count"] is not None:
        rest.append(f"{plan['count']['occurrences']} occurrences found (a hint, not an answer)")
    lines = [f"plan: {'; then '.join(_told(step) for step in plan['steps'])}"]
    return [*lines, *([f"      {'; '.join(rest)}"] if rest else [])]


def _told(step: Mapping[str, Any]) -> str:
    said = f"searched {plain(step['text'] or 'the file given')[:120]!r}"
    if step["speaker"]:
        said += f" said by {plain(step['speaker'])}"
    if step["times"]:
        said += f" ({', '.join(plain(time['said']) for time in step['times'])})"
    if step["relation"]:
        places = [f"{plain(at['path'])} {clock(to_us(at['start']))}" for at in step["anchors"]]
        said += f" {step['relation']} {' or '.join(places)}"
    return said


def _time(value: float | datetime | None) -> float | str | None:
    return value.isoformat() if isinstance(value, datetime) else value


def _windows(windows: Mapping[str, tuple[Span, ...]]) -> list[dict[str, Any]]:
    flat = [(video, span) for video, spans in sorted(windows.items()) for span in spans]
    return [_stretch(video, span) for video, span in flat[:_LISTED]]


def _stretch(video: str, span: Span) -> dict[str, Any]:
    return {"video": video, "start": to_seconds(span.start), "end": to_seconds(span.end)}
