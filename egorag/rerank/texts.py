"""The text of scenes as a reranker may read it."""

from __future__ import annotations

from collections.abc import Sequence

from egorag.retrieve.bounds import bounds, within
from egorag.retrieve.snippet import MARKERS
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Hit, Query


def readable(query: Query, hits: Sequence[Hit], catalog: Catalog) -> dict[int, str]:
    """What the scenes of ``hits`` say, on one line each, by scene id; empty where nothing.

    It is what search indexes of a scene, what is heard before what is seen. Where the query's time
    filters cut through a scene or its text, it is the lines that lie inside them.
    """
    found: dict[int, str] = {}
    with catalog.snapshot():
        texts = catalog.scene_texts([hit.scene.id for hit in hits])
        for hit in hits:
            scene = hit.scene
            allowed = bounds(query, catalog.video(scene.video))
            if allowed is None:
                found[scene.id] = ""
            elif allowed.start <= scene.span.start and scene.known_at <= allowed.end:
                indexed = texts[scene.id]
                found[scene.id] = plain(f"{indexed.speech} {indexed.visuals}")
            else:
                lines = within(catalog.texts(scene.video, span=scene.span), allowed)
                telling = [line.told for line in lines if line.track not in MARKERS]
                found[scene.id] = plain(" ".join(dict.fromkeys(telling)))
    return found
