"""Understanding a query by rules, without a language model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from egorag.plan.asked import Limits, Want
from egorag.plan.base import Reading
from egorag.plan.clauses import understand
from egorag.plan.room import Room
from egorag.store.catalog import Catalog
from egorag.types import Query

LONGEST = 2000
"""Characters of a text that is taken apart; a longer one is taken literally."""


@dataclass(frozen=True)
class Rules(Limits):
    """English turns of phrase: quotes, "after/before/while X", first/last/nth, how often, times in
    the video and on the calendar, who said it. What none of them fits is searched as it stands,
    and so are statements with a relation in them ("she talks while driving"): they describe one
    moment.
    """

    def read(self, query: Query, catalog: Catalog) -> Reading:
        """See ``Planner``."""
        if not query.text or len(query.text) > LONGEST:
            return Reading("rules", (Want(query.text or ""),), limits=self)
        want, notes = understand(query.text, cache(lambda: Room(query, catalog)))
        return Reading("rules", (want,), tuple(notes), self)
