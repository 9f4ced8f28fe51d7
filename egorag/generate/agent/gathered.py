"""The evidence of a run: every scene that a tool has shown, by the number it is cited by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from egorag.generate.numbered import NumberedScene, data, tokens
from egorag.generate.passages import Passage
from egorag.spans import Span, clock


class Gathered:
    """Scenes by number; a part of a video that is shown again keeps its number and gains text."""

    def __init__(self) -> None:
        self._scenes: dict[tuple[str, Span], NumberedScene] = {}

    @property
    def scenes(self) -> list[NumberedScene]:
        """All, in the order in which they were first shown."""
        return list(self._scenes.values())

    def get(self, number: int) -> NumberedScene | None:
        """The scene of this number."""
        return self.scenes[number - 1] if 1 <= number <= len(self._scenes) else None

    def add(self, scene: NumberedScene) -> NumberedScene:
        """``scene`` with its number, and nothing but what is shown of it now."""
        key = (scene.video, scene.span)
        known = self._scenes.get(key)
        if known is None:
            known = replace(scene, number=len(self._scenes) + 1)
        said = dict.fromkeys([*known.passages, *scene.passages])
        seen = {picture.time: picture for picture in (*known.pictures, *scene.pictures)}
        self._scenes[key] = replace(
            known,
            passages=tuple(sorted(said, key=lambda p: p.span)),
            pictures=tuple(seen[time] for time in sorted(seen)),
        )
        return replace(scene, number=known.number)

    def best(self, cited: Iterable[int], budget: int, pictures: int) -> list[NumberedScene]:
        """What a last request is made of, in order of number: the scenes ``cited``, then those
        shown last, while they have room; no text twice.

        Args:
            budget: tokens of all lines together.
            pictures: how many go with them.
        """
        named = [scene for number in cited if (scene := self.get(number))]
        ranked = dict.fromkeys([scene.number for scene in named])
        ranked |= dict.fromkeys(scene.number for scene in reversed(self.scenes))
        kept: list[NumberedScene] = []
        told: set[Passage] = set()
        for number in ranked:
            scene = self.scenes[number - 1]
            bare = replace(scene, passages=(), pictures=scene.pictures[:pictures])
            room = budget - tokens(bare.line())
            fits = fitting_passages([p for p in scene.passages if p not in told], room)
            if room >= 0 and (fits or bare.pictures):
                budget = room - sum(map(cost, fits))
                pictures -= len(bare.pictures)
                told.update(fits)
                kept.append(replace(bare, passages=tuple(fits)))
        return sorted(kept, key=lambda scene: scene.number)


def fitting_passages(said: Sequence[Passage], room: int) -> list[Passage]:
    """Those of ``said`` that have room, in order: tokens as a model's line of them takes."""
    fits: list[Passage] = []
    for passage in said:
        if cost(passage) <= room:
            room -= cost(passage)
            fits.append(passage)
    return fits


def cost(passage: Passage) -> int:
    """Tokens of a passage in the line of its scene."""
    return tokens(data([clock(passage.span.start), passage.text, passage.track]))
