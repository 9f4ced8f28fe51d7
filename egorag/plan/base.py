"""What a question asks of the search, apart from its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from egorag.store.catalog import Catalog
from egorag.types import Query


@dataclass(frozen=True)
class Plan:
    """How a query is carried out; part of every result.

    Attributes:
        by: who made it.
        query: what is searched.
        notes: what went otherwise than asked.
    """

    by: str
    query: Query
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"by": self.by, "text": self.query.text, "notes": list(self.notes)}


class Planner(Protocol):
    """Settings of a way to understand a query; a frozen dataclass."""

    def plan(self, query: Query, catalog: Catalog) -> Plan:
        """The plan for ``query`` over what it may see of the index."""


@dataclass(frozen=True)
class Literal:
    """Takes a query as it stands."""

    def plan(self, query: Query, catalog: Catalog) -> Plan:
        return Plan("none", query)
