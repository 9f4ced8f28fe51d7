"""What stands between a ranking and its first ``k``: a closer look, and a choice among the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from egorag.rerank.fold import Folding
from egorag.store.folder import IndexFolder
from egorag.types import Hit, Part, Query


@dataclass(frozen=True)
class Reranked:
    """What a reranker makes of a ranking.

    Attributes:
        hits: all it was given, in its order.
        notes: what went otherwise than asked.
    """

    hits: list[Hit]
    notes: tuple[str, ...] = ()


class Reranker(Protocol):
    """Looks closer at the best scenes. It may have ``setup(device)`` and ``close()``."""

    @property
    def depth(self) -> int:
        """How many hits it wants to see; 0 for no more than are asked for."""

    def rerank(self, query: Query, hits: Sequence[Hit], folder: IndexFolder) -> Reranked:
        """The same hits in its order; its score stands in their ``parts`` under its name.

        A hit it has no score of keeps its place; see ``by_scores``.
        """


class Selector(Protocol):
    """Chooses among ranked hits those that are shown together."""

    @property
    def depth(self) -> int:
        """How many hits it wants to choose from; 0 for no more than are asked for."""

    def select(self, query: Query, hits: Sequence[Hit], folder: IndexFolder, k: int) -> list[Hit]:
        """At most ``k`` of them, best first."""


@dataclass(frozen=True)
class Unchanged:
    """Leaves the order as the fuser made it."""

    depth: int = 0

    def rerank(self, query: Query, hits: Sequence[Hit], folder: IndexFolder) -> Reranked:
        return Reranked(list(hits))


@dataclass(frozen=True, kw_only=True)
class Top(Folding):
    """Takes the first ``k``."""

    @property
    def depth(self) -> int:
        return 0 if self.fold is None else self.candidates

    def select(self, query: Query, hits: Sequence[Hit], folder: IndexFolder, k: int) -> list[Hit]:
        return self.pool(query, hits, folder, k)[:k]


def by_scores(hits: Sequence[Hit], scores: Mapping[int, float], name: str) -> list[Hit]:
    """``hits`` with those of which there is a score in order of it, the others where they were.

    A scene that a reranker cannot see (one without text, say) is thus neither rewarded nor
    punished: as many hits stand before it as before. Equal scores keep the order they came in.

    Args:
        scores: by scene id, the higher the better.
        name: what the score is called in ``Hit.parts``; its rank counts scored hits alone, equal
            ones sharing the better rank.
    """
    places = [i for i, hit in enumerate(hits) if hit.scene.id in scores]
    best = sorted(places, key=lambda i: -scores[hits[i].scene.id])
    ordered = list(hits)
    rank, last = 0, float("nan")
    for count, (place, i) in enumerate(zip(places, best, strict=True), 1):
        score = scores[hits[i].scene.id]
        rank = rank if score == last else count
        last = score
        ordered[place] = replace(hits[i], parts={**hits[i].parts, name: Part(rank, score)})
    return ordered
