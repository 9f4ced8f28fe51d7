"""Checking citations: a quote must be in the index, at the time it claims, before it is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby

from egorag.errors import StoreError
from egorag.retrieve.bounds import bounds, within
from egorag.spans import Span, hull
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Citation, Query, TimedText

SEEN = "frames"
"""Track of a citation of a picture, which has no quote."""


def verify(citation: Citation, catalog: Catalog, query: Query) -> Citation | None:
    """The citation marked as verified, or None if the index does not bear it out.

    It does if some source of the track says the quote, as whole words and apart from white space,
    in the joined text of its lines that touch the citation's span; if these lines reach over all
    of that span; and if they lie within the query's time filters, the causal cut-off included.
    Of a picture (track ``SEEN``, no quote) only the place is checked: that its span lies in a scene
    of that video and within the filters.
    """
    try:
        video = catalog.video(citation.video)
    except StoreError:
        return None
    if video.path != citation.path:
        return None
    if citation.track == SEEN and not citation.quote:
        return replace(citation, verified=True) if _exists(citation, catalog, query) else None
    at = Span(citation.span.start, max(citation.span.end, citation.span.start + 1))
    touching = catalog.texts(citation.video, citation.track, at)
    lines = within(touching, bounds(query, video))
    lines.sort(key=lambda line: (line.source, line.span, line.text))
    for source, said in groupby(lines, key=lambda line: line.source):
        if _says(list(said), citation.span, citation.quote):
            return replace(citation, verified=True, source=source)
    return None


def _exists(citation: Citation, catalog: Catalog, query: Query) -> bool:
    allowed, span = bounds(query, catalog.video(citation.video)), citation.span
    if allowed is None or span.start < allowed.start or span.end > allowed.end:
        return False
    scenes = (scene.span for scene in catalog.scenes(citation.video))
    return any(scene.start <= span.start and span.end <= scene.end for scene in scenes)


def _says(lines: list[TimedText], span: Span, quote: str) -> bool:
    reach = hull(line.span for line in lines)
    if not plain(quote) or span.start < reach.start or span.end > reach.end:
        return False
    texts = dict.fromkeys((line.span, plain(line.text)) for line in lines)
    joined = " ".join(text for _, text in texts if text)
    return re.search(rf"(?<!\w){re.escape(plain(quote))}(?!\w)", joined) is not None
