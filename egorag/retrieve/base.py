"""What a strategy is: over which levels an index is searched, and what of it becomes evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from egorag.retrieve.retriever import Retriever
from egorag.store.catalog import Catalog
from egorag.types import Hit, Query

Cost: TypeAlias = Callable[[Query, Hit, Catalog], int]
"""How many tokens a hit takes where the generator reads it."""


class Strategy(Protocol):
    """Settings of a way to search; a frozen dataclass."""

    def find(self, query: Query, retriever: Retriever, k: int) -> list[Hit]:
        """At least the best ``k`` scenes that ``query`` may see, where there are so many; best
        first."""

    def evidence(
        self, query: Query, hits: Sequence[Hit], retriever: Retriever, cost: Cost
    ) -> tuple[list[Hit], tuple[str, ...]]:
        """What an answer is made from: ``hits`` with their neighbours, within the budget; and
        notes on what had no room."""
