"""From ranked ids to hits: scenes with where they lie and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from egorag.fuse.base import Fused
from egorag.retrieve.bounds import bounds, within
from egorag.retrieve.snippet import snippets
from egorag.store.catalog import Catalog
from egorag.types import Hit, Query


def shown(query: Query, items: Sequence[Fused], catalog: Catalog) -> list[Hit]:
    """A hit for each item, in their order, with what the query's filters allow of its text."""
    scenes = catalog.scenes_by_id([item.id for item in items])
    videos = {id: catalog.video(id) for id in {scene.video for scene in scenes}}
    lines = [
        within(catalog.texts(s.video, span=s.span), bounds(query, videos[s.video])) for s in scenes
    ]
    texts = snippets(lines, query.text)
    return [
        Hit(scene, videos[scene.video].path, item.score, item.parts, text)
        for item, scene, text in zip(items, scenes, texts, strict=True)
    ]
