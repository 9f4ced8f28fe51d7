"""Which scenes of the evidence a model gets to see, and how much of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from egorag.errors import MediaError
from egorag.generate.numbered import NumberedScene
from egorag.generate.pictures import check_same, pictures
from egorag.retrieve.bounds import bounds
from egorag.spans import Span
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Query


@dataclass(frozen=True)
class Look:
    """How much is looked at.

    Attributes:
        frames: pictures in all, shared evenly by the scenes; the best get those that are left over.
        size: pixels of a picture's longer side.
    """

    frames: int
    size: int


def seen(
    scenes: Sequence[NumberedScene], query: Query, catalog: Catalog, look: Look
) -> tuple[list[NumberedScene], list[str]]:
    """``scenes`` (best first) with their pictures, all inside the query's filters, and notes on
    videos that could not be looked at."""
    found: list[NumberedScene] = []
    blind: dict[str, str] = {}
    for place, scene in enumerate(scenes):
        share = look.frames // len(scenes) + (place < look.frames % len(scenes))
        allowed = bounds(query, catalog.video(scene.video))
        shown = scene
        if share and allowed and scene.span.overlap(allowed) and scene.path not in blind:
            start, end = max(scene.span.start, allowed.start), min(scene.span.end, allowed.end)
            path = Path(scene.path)
            try:
                check_same(path, scene.video)
                there = pictures(path, Span(start, end), share, look.size, allowed.start)
                shown = replace(scene, pictures=tuple(there))
            except MediaError as error:
                blind[scene.path] = plain(str(error))
        found.append(shown)
    notes = [
        f"{plain(path)} could not be looked at, its text alone was used: {reason}"
        for path, reason in blind.items()
    ]
    return found, notes
