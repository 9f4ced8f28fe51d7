"""From a query to hits: plan, strategy, reranker, selector, each of which a config chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict, overload

from egorag.fuse.base import Fuser
from egorag.fuse.weighted import WeightedScores
from egorag.plan.base import Plan, Planner
from egorag.plan.carry import carry
from egorag.plan.rules import Rules
from egorag.rerank.base import Reranker, Selector, Top, Unchanged
from egorag.retrieve.base import Cost, Strategy
from egorag.retrieve.flat import Flat
from egorag.retrieve.retriever import Retriever
from egorag.types import Hit, Query

DEEPEST = 10_000
"""Hits that are looked through at most for those that a plan allows."""


@dataclass(frozen=True)
class Methods:
    """How a query is searched; the defaults are those of ``configs/search.yaml``."""

    fuser: Fuser = field(default_factory=WeightedScores)
    strategy: Strategy = field(default_factory=Flat)
    reranker: Reranker = field(default_factory=Unchanged)
    selector: Selector = field(default_factory=Top)
    planner: Planner = field(default_factory=Rules)


class How(TypedDict, total=False):
    """The fields of ``Methods`` as arguments; what is not given has its default."""

    fuser: Fuser
    strategy: Strategy
    reranker: Reranker
    selector: Selector
    planner: Planner


@dataclass(frozen=True)
class Found(Sequence[Hit]):
    """What a search came to: a sequence of its hits.

    Attributes:
        hits: best first.
        plan: how the query was understood.
        notes: what went otherwise than asked.
    """

    hits: tuple[Hit, ...]
    plan: Plan
    notes: tuple[str, ...] = ()

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Hit]: ...
    def __getitem__(self, place: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[place]

    def __len__(self) -> int:
        return len(self.hits)

    def _repr_html_(self) -> str:
        from egorag.tables import hits_html

        return hits_html(self.hits, (*self.plan.told(), *self.notes))


@dataclass(frozen=True, eq=False)
class Search:
    """Searches by ``methods`` over ``retriever``."""

    retriever: Retriever
    methods: Methods

    def find(self, query: Query, k: int) -> Found:
        """The best ``k`` scenes, by the plan made of the query.

        Raises:
            ConfigError, SpaceError: as ``Retriever.search``.
        """
        folder = self.retriever.folder
        reading = self.methods.planner.read(query, folder.catalog)
        first, *others = reading.wants
        if not others and first.plain and first.text == (query.text or ""):
            hits, notes = self.noted(query, k)
            plan, notes = Plan(reading.by, query), (*reading.notes, *notes)
        else:
            hits, plan = carry(reading, query, k, folder, self._some)
            notes = plan.notes
        return Found(tuple(hits), plan, (*notes, *self.retriever.notes(query)))

    def hits(self, query: Query, k: int) -> list[Hit]:
        """The best ``k`` scenes for the query as it stands, without a plan."""
        return self.noted(query, k)[0]

    def noted(self, query: Query, k: int) -> tuple[list[Hit], tuple[str, ...]]:
        """As ``hits``, and what went otherwise than asked."""
        return self._some(query, k)

    def _some(
        self, query: Query, k: int, among: frozenset[int] | None = None, chosen: bool = True
    ) -> tuple[list[Hit], tuple[str, ...]]:
        """As ``noted``, of the scenes with these ids if any are given; where not ``chosen``,
        without the selector, which would leave out what is to be counted or put in order."""
        methods, folder = self.methods, self.retriever.folder
        pool = asked = max(k, methods.reranker.depth, methods.selector.depth if chosen else 0)
        found = methods.strategy.find(query, self.retriever, asked)
        while among is not None:
            kept = [hit for hit in found if hit.scene.id in among]
            if len(kept) >= pool or len(found) < asked or asked >= DEEPEST:
                found = kept[:pool]
                break
            asked *= 4
            found = methods.strategy.find(query, self.retriever, asked)
        looked = methods.reranker.rerank(query, found, folder)
        if not chosen:
            return looked.hits[:k], looked.notes
        return methods.selector.select(query, looked.hits, folder, k), looked.notes

    def evidence(self, found: Found, cost: Cost) -> Found:
        """What an answer is made from, by the strategy: the hits and what lies around them.

        Args:
            cost: how many tokens a hit takes where the answerer reads it.
        """
        strategy, query = self.methods.strategy, found.plan.query
        hits, notes = strategy.evidence(query, found.hits, self.retriever, cost)
        return Found(tuple(hits), found.plan, (*found.notes, *notes))
