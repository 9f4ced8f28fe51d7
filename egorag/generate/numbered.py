"""The evidence as a language model gets it: numbered scenes with their times and texts by track.

Each scene is one line of JSON, so nothing in a text can end its line or close its quotes, and
``<`` is escaped, so no text can spell a tag or a chat template's mark (``<|im_end|>``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from egorag.chat.untrusted import data as data
from egorag.chat.untrusted import tokens as tokens
from egorag.generate.evidence import belongs, gather
from egorag.generate.passages import Passage
from egorag.generate.pictures import Picture
from egorag.spans import Span, clock
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Hit, Query


@dataclass(frozen=True)
class NumberedScene:
    """One scene of the evidence.

    Attributes:
        number: from 1, as citations name it.
        passages: what it says, in time order: whole sentences, so they may reach over its edges.
        pictures: what a model that sees gets besides, in time order.
    """

    number: int
    video: str
    path: str
    span: Span
    passages: tuple[Passage, ...]
    pictures: tuple[Picture, ...] = ()

    def line(self, called: str | None = None) -> str:
        """One line of JSON.

        Args:
            called: the name of its video, in place of its file's.
        """
        texts: dict[str, list[list[str]]] = {}
        for passage in self.passages:
            said = texts.setdefault(passage.track, [])
            said.append([clock(passage.span.start), passage.text])
        return data(
            {
                "scene": self.number,
                "video": called or plain(self.path.rpartition("/")[2]),
                "from": clock(self.span.start),
                "to": clock(self.span.end),
                "texts": texts,
            }
        )


def cost(query: Query, hit: Hit, catalog: Catalog) -> int:
    """Tokens of a hit with all its text, as ``fitting`` counts them."""
    own = gather(query, [hit], catalog)
    scene = NumberedScene(1, hit.scene.video, hit.path, hit.scene.span, ())
    return tokens(scene.line()) + sum(_room(p, tokens) for p in own) if own else 0


def numbered(
    query: Query,
    hits: Sequence[Hit],
    catalog: Catalog,
    budget: int,
    count: Callable[[str], int] = tokens,
) -> tuple[list[NumberedScene], int]:
    """(scenes with text in order, how many passages of them had no room); see ``fitting``."""
    kept, dropped = fitting(query, hits, catalog, budget, count)
    return in_order(scene for scene in kept if scene.passages), dropped


def fitting(
    query: Query,
    hits: Sequence[Hit],
    catalog: Catalog,
    budget: int,
    count: Callable[[str], int] = tokens,
) -> tuple[list[NumberedScene], int]:
    """(scenes whose line has room, best first and not numbered yet; how many passages had none).

    Room is given to the best hits first, to a scene's passages in time order. A scene without text
    takes none. A hit whose form is a track of text gives that track alone.

    Args:
        budget: tokens of the lines of all scenes with text together.
        count: the tokens of a text.
    """
    found = gather(query, hits, catalog)
    kept: list[NumberedScene] = []
    dropped = 0
    for hit in hits:
        scene = NumberedScene(len(hits), hit.scene.video, hit.path, hit.scene.span, ())
        own = [p for p in found if belongs(p, hit)]
        left = budget - count(scene.line())
        fits: list[Passage] = []
        for passage in own:
            room = _room(passage, count)
            if room <= left:
                left -= room
                fits.append(passage)
        dropped += len(own) - len(fits)
        if fits:
            budget = left
        kept.append(replace(scene, passages=tuple(fits)))
    return kept, dropped


def _room(passage: Passage, count: Callable[[str], int]) -> int:
    return count(data([clock(passage.span.start), passage.text, passage.track]))


def in_order(scenes: Iterable[NumberedScene]) -> list[NumberedScene]:
    """Numbered from 1 by video, in the order of its first scene here, then in time."""
    kept = list(scenes)
    videos = list(dict.fromkeys(scene.video for scene in kept))
    kept.sort(key=lambda scene: (videos.index(scene.video), scene.span))
    return [replace(scene, number=number) for number, scene in enumerate(kept, 1)]
