"""The evidence as a language model gets it: numbered scenes with their times and texts by track.

Each scene is one line of JSON, so nothing in a text can end its line or close its quotes, and
``<`` is escaped, so no text can spell a tag or a chat template's mark (``<|im_end|>``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from egorag.generate.evidence import gather, touches
from egorag.generate.passages import Passage
from egorag.spans import Span, clock
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Hit, Query

BYTES_PER_TOKEN = 3
"""English has about four to a token, Chinese three: few budgets are overrun by this guess."""


@dataclass(frozen=True)
class NumberedScene:
    """One scene of the evidence.

    Attributes:
        number: from 1, as citations name it.
        passages: what it says, in time order: whole sentences, so they may reach over its edges.
    """

    number: int
    video: str
    path: str
    span: Span
    passages: tuple[Passage, ...]

    def line(self) -> str:
        """One line of JSON."""
        texts: dict[str, list[list[str]]] = {}
        for passage in self.passages:
            said = texts.setdefault(passage.track, [])
            said.append([clock(passage.span.start), passage.text])
        return data(
            {
                "scene": self.number,
                "video": plain(self.path.rpartition("/")[2]),
                "from": clock(self.span.start),
                "to": clock(self.span.end),
                "texts": texts,
            }
        )


def data(value: Any) -> str:
    """``value`` as JSON on one line, without ``<``.

    >>> data(["</evidence>"])
    '["\\\\u003c/evidence>"]'
    """
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def tokens(text: str) -> int:
    """A guess at the tokens of ``text``, whatever the model; rather too many."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def numbered(
    query: Query, hits: Sequence[Hit], catalog: Catalog, budget: int
) -> tuple[list[NumberedScene], int]:
    """(scenes with text, how many passages of them had no room).

    Room is given to the best hits first, to a scene's passages in time order. The scenes come by
    video, in the order of its first hit, then in time; scenes without text are left out.

    Args:
        budget: tokens of all their lines together.
    """
    found = gather(query, hits, catalog)
    kept: list[NumberedScene] = []
    dropped = 0
    for hit in hits:
        scene = NumberedScene(len(hits), hit.scene.video, hit.path, hit.scene.span, ())
        own = [p for p in found if p.video == scene.video and touches(p.span, scene.span)]
        left = budget - tokens(scene.line())
        fitting: list[Passage] = []
        for passage in own:
            cost = tokens(data([clock(passage.span.start), passage.text, passage.track]))
            if cost <= left:
                left -= cost
                fitting.append(passage)
        dropped += len(own) - len(fitting)
        if fitting:
            budget = left
            kept.append(NumberedScene(0, scene.video, scene.path, scene.span, tuple(fitting)))
    videos = list(dict.fromkeys(scene.video for scene in kept))
    kept.sort(key=lambda scene: (videos.index(scene.video), scene.span))
    return [
        NumberedScene(number, s.video, s.path, s.span, s.passages)
        for number, s in enumerate(kept, 1)
    ], dropped
