"""From hits to the passages an answer may be made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from egorag.generate.passages import Passage, passages
from egorag.retrieve.bounds import bounds, within
from egorag.retrieve.forms import says
from egorag.spans import MICROSECONDS, Span
from egorag.store.catalog import Catalog
from egorag.types import Hit, Query

MARGIN = 10 * MICROSECONDS
"""How far around a scene lines are read, to complete sentences that its edges cut."""


def gather(query: Query, hits: Sequence[Hit], catalog: Catalog) -> list[Passage]:
    """Passages that belong to a hit, inside the query's filters, each once.

    In order of the first hit of their video, then in time.
    """
    of_video: dict[str, list[Hit]] = {}
    for hit in hits:
        of_video.setdefault(hit.scene.video, []).append(hit)
    found: list[Passage] = []
    with catalog.snapshot():
        for id, own in of_video.items():
            allowed = bounds(query, catalog.video(id))
            for window in windows(hit.scene.span for hit in own):
                said = passages(id, within(catalog.texts(id, span=window), allowed))
                found += [p for p in said if any(belongs(p, hit) for hit in own)]
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


def belongs(passage: Passage, hit: Hit) -> bool:
    """Whether it touches the hit's scene and is text of the form that the hit has."""
    same = passage.video == hit.scene.video and touches(passage.span, hit.scene.span)
    return same and says(hit.form, passage.track)


def touches(said: Span, scene: Span) -> bool:
    """Whether they overlap; a line without length touches the scene it lies in."""
    return said.overlap(scene) > 0 or said.start in scene
