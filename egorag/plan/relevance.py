"""Which hits are about a text, and which of them are one occurrence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from egorag.encode.minilm import MODEL
from egorag.plan.asked import Limits, telling
from egorag.spans import MICROSECONDS, Span
from egorag.store.catalog import Catalog
from egorag.store.fulltext import stems
from egorag.types import Hit, Query

_MINILM = 0.5
"""Least cosine of MiniLM; see ``Limits.similar``."""


@dataclass(frozen=True)
class Occurrence:
    """Neighbouring hits of one video, in time; ``best`` is the one ranked first."""

    span: Span
    best: Hit
    hits: tuple[Hit, ...]


def relevant(
    text: str, hits: Sequence[Hit], query: Query, catalog: Catalog, limits: Limits
) -> list[Hit]:
    """Those of ``hits`` that are about ``text``, in their order; see ``Limits``."""
    words = telling(text)
    if not words:
        return list(hits)
    scope = catalog.scope(query)
    weights = {}
    for word in words:
        scenes = np.unique(catalog.text_postings(word))
        held = int(scope.holds(scenes).sum())
        weights[word] = math.log((len(scope.ids) + 1) / (held + 0.5))
    texts = catalog.scene_texts([hit.scene.id for hit in hits])
    said = stems([f"{texts[h.scene.id].speech} {texts[h.scene.id].visuals}" for h in hits])
    whole = math.fsum(weights.values())
    sharing = [
        hit
        for hit, held in zip(hits, said, strict=True)
        if math.fsum(weights[word] for word in words.intersection(held)) >= limits.share * whole
        and words.intersection(held)
    ]
    return sharing or _alike(hits, catalog, limits)


def _alike(hits: Sequence[Hit], catalog: Catalog, limits: Limits) -> list[Hit]:
    least = {
        name: _MINILM
        for name, row in catalog.encoders().items()
        if row.space is not None and row.space.model == MODEL
    } | dict(limits.similar or {})
    found = set()
    for name, threshold in least.items():
        scores = {hit.scene.id: hit.parts[name].score for hit in hits if name in hit.parts}
        bar = max(threshold, max(scores.values(), default=0.0) - limits.close)
        found |= {id for id, score in scores.items() if score >= bar}
    return [hit for hit in hits if hit.scene.id in found]


def occurrences(hits: Sequence[Hit], limits: Limits) -> list[Occurrence]:
    """Hits folded with those of their video nearer than ``apart``; by the rank of the best."""
    rank = {hit.scene.id: i for i, hit in enumerate(hits)}
    groups: list[list[Hit]] = []
    for hit in sorted(hits, key=lambda h: (h.scene.video, h.scene.span)):
        last = groups[-1] if groups else None
        gap = limits.apart * MICROSECONDS
        if (
            last
            and last[-1].scene.video == hit.scene.video
            and hit.scene.span.start - max(h.scene.span.end for h in last) < gap
        ):
            last.append(hit)
        else:
            groups.append([hit])
    found = [
        Occurrence(
            Span(g[0].scene.span.start, max(h.scene.span.end for h in g)),
            min(g, key=lambda h: rank[h.scene.id]),
            tuple(g),
        )
        for g in groups
    ]
    return sorted(found, key=lambda o: rank[o.best.scene.id])


def in_time(found: Sequence[Occurrence], catalog: Catalog) -> tuple[list[Occurrence], str]:
    """Occurrences in order of time, and whose time that is.

    By ``recorded_at`` where every video of theirs has one. Else only those of the best one's video
    have an order; the others are left out.
    """
    videos = {o.best.scene.video: catalog.video(o.best.scene.video) for o in found}
    if all(video.recorded_at is not None for video in videos.values()):

        def moment(o: Occurrence) -> tuple[float, str]:
            at = videos[o.best.scene.video].recorded_at
            assert at is not None
            return at.timestamp() + o.span.start / MICROSECONDS, o.best.scene.video

        return sorted(found, key=moment), "by recording time"
    chosen = found[0].best.scene.video
    mine = [o for o in found if o.best.scene.video == chosen]
    return sorted(mine, key=lambda o: o.span), f"within {videos[chosen].path}"
