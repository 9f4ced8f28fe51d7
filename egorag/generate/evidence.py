"""From hits to the passages an answer may be made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from egorag.generate.passages import Passage, passages
from egorag.retrieve.bounds import bounds, within
from egorag.spans import MICROSECONDS, Span
from egorag.store.catalog import Catalog
from egorag.types import Hit, Query

MARGIN = 10 * MICROSECONDS
"""How far around a scene lines are read, to complete sentences that its edges cut."""


def gather(query: Query, hits: Sequence[Hit], catalog: Catalog) -> list[Passage]:
    """Passages that touch a hit's scene, inside the query's filters, each once.

    In order of the first hit of their video, then in time.
    """
    spans: dict[str, list[Span]] = {}
    for hit in hits:
        spans.setdefault(hit.scene.video, []).append(hit.scene.span)
    found: list[Passage] = []
    with catalog.snapshot():
        for id, scenes in spans.items():
            allowed = bounds(query, catalog.video(id))
            for window in windows(scenes):
                said = passages(id, within(catalog.texts(id, span=window), allowed))
                found += [p for p in said if any(touches(p.span, scene) for scene in scenes)]
    return found


def windows(spans: Iterable[Span]) -> list[Span]:
    """``spans`` widened by ``MARGIN``, those that then touch merged, in order."""
    merged: list[Span] = []
    for span in sorted(spans):
        wide = Span(span.start - MARGIN, span.end + MARGIN)
        if merged and wide.start <= merged[-1].end:
            merged[-1] = merged[-1].union(wide)
        else:
            merged.append(wide)
    return merged


def touches(said: Span, scene: Span) -> bool:
    """Whether they overlap; a line without length touches the scene it lies in."""
    return said.overlap(scene) > 0 or said.start in scene
