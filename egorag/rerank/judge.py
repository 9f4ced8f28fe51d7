"""Reranking by a language model that grades how well scenes answer the query.

Grades 0 to 3 are those of TREC's passage judgements, which language models give much as people do
(Thomas et al. 2024, "Large Language Models Can Accurately Predict Searcher Preferences", arXiv
2309.10621; Upadhyay et al. 2024, "UMBRELA", arXiv 2406.06519). They are absolute, so that scenes
judged apart can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from egorag.chat.base import ChatModel
from egorag.chat.settings import ServerSettings, check_whole
from egorag.chat.untrusted import tokens
from egorag.errors import ConfigError, ServerError, did_you_mean
from egorag.rerank import judging
from egorag.rerank.base import Reranked, by_scores
from egorag.rerank.texts import readable
from egorag.store.folder import IndexFolder
from egorag.terminal import plain
from egorag.types import Hit, Query

NAME = "judge"
WAYS = ("pointwise", "listwise")
LONGEST = 8000
"""Characters of a query that are sent."""


@dataclass
class _Judged:
    """What was learned so far: grades by scene id, and what went wrong."""

    grades: dict[int, list[int]] = field(default_factory=dict)
    broken: int = 0
    spent: int = 0
    ended: str = ""


@dataclass(frozen=True)
class Judge(ServerSettings):
    """Asks an OpenAI-compatible server for a grade of each of the best hits' texts.

    The model sees text alone, as data. A hit that it gives no grade keeps its place, and a note
    tells how many and why: no text, a reply of another form, no reply, no budget left. The score
    is the mean grade; equal ones keep the order they came in.

    Attributes:
        depth: so many of the best hits are judged; those behind them follow as they were.
        way: ``pointwise`` asks about one scene at a time, ``listwise`` about ``size`` together.
        size: scenes of one list.
        orders: in how many orders a list is shown, each a request: as ranked, from the last to the
            first, and then both from another start, so that a liking for early places cancels.
        evidence_tokens: what the texts of one request may take, shared evenly; a longer text is
            judged by its beginning. Guessed at three bytes a token.
        budget: tokens of all requests and replies for one query together; when it is spent, what
            is not judged stays where it is.
    """

    max_tokens: int = 512
    depth: int = 20
    way: str = "pointwise"
    size: int = 10
    orders: int = 2
    evidence_tokens: int = 4000
    budget: int = 100_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, depth=1, size=1, orders=1, evidence_tokens=1, budget=1)
        if self.way not in WAYS:
            raise ValueError(f"unknown way {self.way!r}{did_you_mean(self.way, WAYS)}")

    def rerank(self, query: Query, hits: Sequence[Hit], folder: IndexFolder) -> Reranked:
        """See ``Reranker``. What the server does wrong costs scores, never the search.

        Raises:
            ConfigError: no key where one is named, or a query that is too long.
            MissingPackageError: the package openai is not installed.
        """
        if query.text is None:
            return Reranked(
                list(hits), (f"{NAME} reads text; a query without any is not reranked",)
            )
        asked = plain(query.text)
        if len(asked) > LONGEST:
            raise ConfigError(f"the query has {len(asked)} characters; {NAME} reads {LONGEST}")
        best = hits[: self.depth]
        said = {i: text for i, text in readable(query, best, folder.catalog).items() if text}
        judged = _Judged()
        notes: list[str] = []
        if said:
            with self.connect("reranker") as chat:
                self._judge(chat, asked, said, judged)
                notes += chat.notes
        scores = {i: sum(given) / len(given) for i, given in judged.grades.items()}
        if judged.broken:
            notes.append(f"{judged.broken} replies of the {NAME} were not of the form asked for")
        if judged.ended:
            notes.append(f"the {NAME} was not asked on: {judged.ended}")
        if without := len(best) - len(scores):
            silent = len(best) - len(said)
            told = f", {silent} of them for want of text" if silent else ""
            notes.append(f"{without} of {len(best)} hits have no grade and kept their place{told}")
        return Reranked([*by_scores(best, scores, NAME), *hits[self.depth :]], tuple(notes))

    def _judge(self, chat: ChatModel, asked: str, said: Mapping[int, str], judged: _Judged) -> None:
        """Fill ``judged``; ends at the first request that has no reply."""
        for listed in self._lists(list(said)):
            share = max(1, self.evidence_tokens // len(listed))
            shown = [(number, judging.shortened(said[i], share)) for number, i in enumerate(listed)]
            for order in judging.orders(len(listed), self.orders):
                told = judging.messages(asked, [shown[place] for place in order])
                cost = sum(tokens(str(message["content"])) for message in told) + self.max_tokens
                if judged.spent + cost > self.budget:
                    judged.ended = f"reranker.budget={self.budget} tokens would be overrun"
                    return
                try:
                    reply = chat.complete(told, judging.schema())
                except ServerError as error:
                    judged.ended = str(error)
                    return
                guess = cost - self.max_tokens + tokens(reply.text)
                judged.spent += max(reply.used, guess)
                grades = judging.grades(reply.text, len(listed))
                judged.broken += not grades
                for number, grade in grades.items():
                    judged.grades.setdefault(listed[number], []).append(grade)

    def _lists(self, ids: Sequence[int]) -> Iterator[Sequence[int]]:
        size = 1 if self.way == "pointwise" else self.size
        for start in range(0, len(ids), size):
            yield ids[start : start + size]
