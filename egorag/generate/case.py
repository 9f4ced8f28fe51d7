"""One question put to a language model: what it replies becomes an answer only as far as it holds.

Whatever the model runs on (a server, this machine), it is a ``ChatModel`` here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egorag.chat.base import ChatModel, Completion
from egorag.errors import ServerError
from egorag.generate.checked import Checked, check
from egorag.generate.numbered import NumberedScene
from egorag.generate.orders import letter_shares, mean_shares, orders
from egorag.generate.prompt import messages
from egorag.generate.reply import LETTERS, Reply, parse, schema
from egorag.store.catalog import Catalog
from egorag.types import Answer, Citation, Hit, Query


@dataclass(frozen=True)
class Case:
    """A question with its evidence and the model that is asked.

    Attributes:
        scenes: the evidence as the model gets it, at least one.
        abstain_below: the confidence below which no answer is given.
    """

    question: str
    query: Query
    hits: Sequence[Hit]
    catalog: Catalog
    scenes: Sequence[NumberedScene]
    chat: ChatModel
    abstain_below: float = 0.0

    def tell(self) -> Answer:
        """An answer in sentences.

        Its confidence is what the model says of itself times the share of its sentences that have
        a verified citation.
        """
        shape = schema(pictures=self._sees)
        got = self.chat.complete(messages(self.question, self.scenes, shape), shape)
        reply = parse(got.text)
        return self._abstain(_unusable(got)) if reply is None else self.judge(reply)

    def judge(self, reply: Reply) -> Answer:
        """The answer in sentences that a reply comes to; see ``tell``."""
        checked = check(reply.claims, self.scenes, self.query, self.catalog)
        sure = reply.confidence * checked.supported
        if not reply.answerable:
            return self._abstain("the model finds none in the evidence", 0.0, checked.share)
        if not checked.citations:
            return self._abstain(f"no {self._cites} could be verified", 0.0, checked.share)
        if sure < self.abstain_below:
            return self._abstain(self._weak(sure), sure, checked.share)
        return Answer(
            checked.text,
            False,
            sure,
            checked.citations,
            tuple(self.hits),
            verified=checked.share,
            notes=tuple(self.chat.notes),
        )

    def choose(self, options: Sequence[str], count: int, seed: int) -> Answer:
        """One of ``options``, which are shown in ``count`` orders drawn by ``seed``.

        Its confidence is its mean probability over the orders; what it cites are the verified
        citations of the replies that found it likeliest. Permuting the options permutes the
        result; of equal ones the first is taken.
        """
        distinct = sorted(set(options))  # so that the order in which they are given has no effect
        votes = self._votes(distinct, count, seed)
        if not votes:
            return self._abstain("no reply of the model chose")
        shares = mean_shares([vote.shares for vote in votes], len(distinct))
        best = max(range(len(distinct)), key=lambda i: (shares[i], -i))
        first = [options.index(text) for text in distinct]
        probabilities = [0.0] * len(options)
        for place, share in zip(first, shares, strict=True):
            probabilities[place] = share
        held, given = (sum(getattr(v.checked, name) for v in votes) for name in ("held", "given"))
        verified = held / given if given else None
        backing = [v for v in votes if v.reply.answerable and v.best == best]
        citations: dict[Citation, None] = {c: None for v in backing for c in v.checked.citations}
        if 2 * sum(not vote.reply.answerable for vote in votes) > len(votes):
            reason = "the model finds none in the evidence"
        elif not citations:
            reason = f"no {self._cites} for the likeliest choice could be verified"
        else:
            reason = self._weak(shares[best]) if shares[best] < self.abstain_below else ""
        if reason:
            return self._abstain(reason, shares[best], verified, tuple(probabilities))
        return Answer(
            distinct[best],
            False,
            shares[best],
            tuple(citations),
            tuple(self.hits),
            first[best],
            verified,
            tuple(probabilities),
            tuple(self.chat.notes),
        )

    def _votes(self, distinct: Sequence[str], count: int, seed: int) -> list[_Vote]:
        """A vote per order shown; what fails after the first request is noted."""
        letters = LETTERS[: len(distinct)]
        shape = schema(letters, self._sees)
        votes: list[_Vote] = []
        for number, order in enumerate(orders(len(distinct), count, seed), 1):
            shown = {letter: distinct[i] for letter, i in zip(letters, order, strict=True)}
            told = messages(self.question, self.scenes, shape, shown)
            try:
                got = self.chat.complete(told, shape)
            except ServerError as error:
                if number == 1:
                    raise
                self.chat.notes.append(f"order {number} of the choices failed: {error}")
                continue
            reply = parse(got.text, letters)
            by_letter = letter_shares(letters, reply.choice if reply else None, got.tokens)
            if reply is None or by_letter is None:
                self.chat.notes.append(
                    f"order {number} of the choices does not count: {_unusable(got)}"
                )
                continue
            shares = {i: by_letter[letter] for letter, i in zip(letters, order, strict=True)}
            checked = check(reply.claims, self.scenes, self.query, self.catalog)
            votes.append(_Vote(reply, checked, shares))
        return votes

    @property
    def _sees(self) -> bool:
        return any(scene.pictures for scene in self.scenes)

    @property
    def _cites(self) -> str:
        return "quote or picture" if self._sees else "quote"

    def _weak(self, sure: float) -> str:
        return f"confidence {sure:.2f}, needed {self.abstain_below:.2f}"

    def _abstain(
        self,
        reason: str,
        sure: float = 0.0,
        verified: float | None = None,
        probabilities: tuple[float, ...] | None = None,
    ) -> Answer:
        found, notes = tuple(self.hits), tuple(self.chat.notes)
        text = f"No answer: {reason}."
        return Answer(text, True, sure, (), found, None, verified, probabilities, notes)


@dataclass(frozen=True)
class _Vote:
    """One reply to the choices in one order, its probabilities by choice."""

    reply: Reply
    checked: Checked
    shares: dict[int, float]

    @property
    def best(self) -> int:
        """The likeliest choice by this reply alone."""
        return max(self.shares, key=lambda i: (self.shares[i], -i))


def _unusable(got: Completion) -> str:
    if got.refusal:
        return f"the model refuses: {got.refusal}"
    if got.cut:
        return "the reply was cut off before its end; raise answerer.max_tokens"
    return "the reply is not of the form asked for"
