"""What stands between a ranking and its first ``k``: a closer look, and a choice among the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from egorag.store.folder import IndexFolder
from egorag.types import Hit, Query


class Reranker(Protocol):
    """Looks closer at the best scenes. It may have ``setup(device)`` and ``close()``."""

    @property
    def depth(self) -> int:
        """How many hits it wants to see; 0 for no more than are asked for."""

    def rerank(self, query: Query, hits: Sequence[Hit], folder: IndexFolder) -> list[Hit]:
        """The same hits in its order; its score stands in their ``parts`` under its name."""


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

    def rerank(self, query: Query, hits: Sequence[Hit], folder: IndexFolder) -> list[Hit]:
        return list(hits)


@dataclass(frozen=True)
class Top:
    """Takes the first ``k``."""

    depth: int = 0

    def select(self, query: Query, hits: Sequence[Hit], folder: IndexFolder, k: int) -> list[Hit]:
        return list(hits[:k])
