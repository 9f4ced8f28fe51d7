"""The plain strategy: one level, ranked as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egorag.retrieve.retriever import Retriever
from egorag.types import Hit, Query


@dataclass(frozen=True)
class Flat:
    """Searches the levels of the query, all scenes alike."""

    def find(self, query: Query, retriever: Retriever, k: int) -> list[Hit]:
        return retriever.search(query, k)

    def evidence(self, query: Query, hits: Sequence[Hit], retriever: Retriever) -> list[Hit]:
        return list(hits)
