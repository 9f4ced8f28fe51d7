"""The plain strategy: one level, ranked as it is."""

from __future__ import annotations

from dataclasses import dataclass

from egorag.retrieve.expand import Expanding
from egorag.retrieve.retriever import Retriever
from egorag.types import Hit, Query


@dataclass(frozen=True, kw_only=True)
class Flat(Expanding):
    """Searches the levels of the query, all scenes alike."""

    def find(self, query: Query, retriever: Retriever, k: int) -> list[Hit]:
        return retriever.search(query, k)
