"""Understanding a query with a language model, and by rules where that fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from egorag.chat.settings import ServerSettings
from egorag.errors import ConfigError, ServerError
from egorag.plan import decompose
from egorag.plan.base import Reading
from egorag.plan.room import Room
from egorag.plan.rules import LONGEST, Rules
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Query


@dataclass(frozen=True, kw_only=True)
class LanguageModel(Rules, ServerSettings):
    """Asks an OpenAI-compatible server to take a question apart into up to four searches, whose
    hits are fused by reciprocal rank.

    The model sees the question and nothing of the index. Its reply is read strictly, as data: what
    to look for, beside what, which one in time, how often; times and speakers must stand in the
    question and are read by the rules. Where the package, the server or the reply fails, the
    question is read by the rules alone and the plan's notes say why; a search never fails for it.
    """

    max_tokens: int = 512
    timeout: float = 30.0
    retries: int = 1

    def __post_init__(self) -> None:
        Rules.__post_init__(self)
        ServerSettings.__post_init__(self)

    def read(self, query: Query, catalog: Catalog) -> Reading:
        """See ``Planner``."""
        ruled = super().read(query, catalog)
        question = plain(query.text or "")
        if not question or len(question) > LONGEST:
            return ruled
        try:
            with self.connect("planner") as chat:
                reply = chat.complete(decompose.messages(question), decompose.schema())
                notes = list(chat.notes)
            room = cache(lambda: Room(query, catalog))
            wants, said = decompose.wants(reply.text, question, room)
        except (ConfigError, ServerError, ValueError) as error:
            note = f"read by rules, the language model's plan could not be used: {error}"
            return replace(ruled, notes=(*ruled.notes, note))
        return Reading("lm", tuple(wants), (*notes, *said), self)
