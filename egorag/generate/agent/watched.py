"""A chat within a budget, whose every exchange goes to the trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from egorag.chat.base import ChatModel, Completion
from egorag.errors import ServerError
from egorag.generate.agent.budget import Budget, BudgetError
from egorag.generate.agent.trace import Trace, digest
from egorag.generate.numbered import tokens

PICTURE = 1500
"""Tokens a picture is taken for; models take 250 to 1500 for one of 512 pixels."""


@dataclass
class Watched:
    """A ``ChatModel`` that asks another one, as long as the budget allows.

    Attributes:
        reply_tokens: what one reply takes at most.
        limit: told the seconds left before each request.
    """

    chat: ChatModel
    budget: Budget
    trace: Trace
    reply_tokens: int
    limit: Callable[[float], None]

    def __post_init__(self) -> None:
        self.notes = self.chat.notes

    def complete(
        self, messages: Sequence[Mapping[str, Any]], shape: Mapping[str, Any]
    ) -> Completion:
        """See ``ChatModel``.

        Raises:
            BudgetError: the budget does not allow the request, which is not sent.
            ServerError: there is no reply.
        """
        budget, told = self.budget, len(self.notes)
        asked = sum(guess(message["content"]) for message in messages)
        try:
            budget.allow(asked + self.reply_tokens)
        except BudgetError as error:
            self.trace.add("stopped", at=budget.passed, error=str(error))
            raise
        self.trace.add("asked", at=budget.passed, messages=digest([messages, shape]), guess=asked)
        self.limit(budget.seconds - budget.passed)
        try:
            got = self.chat.complete(messages, shape)
        except ServerError as error:
            budget.spend(asked)
            said = self.trace.hidden(str(error))
            notes = self.notes[told:]
            self.trace.add("failed", at=budget.passed, error=said, notes=notes)
            raise ServerError(said) from error
        got = self._without_secret(got)
        budget.spend(got.used or asked + tokens(got.text))
        self.trace.add(
            "reply",
            at=budget.passed,
            text=got.text,
            cut=got.cut,
            refusal=got.refusal,
            used=got.used,
            tokens=[[token.text, token.likeliest] for token in got.tokens],
            notes=self.notes[told:],
            spent=budget.spent,
        )
        return got

    def _without_secret(self, got: Completion) -> Completion:
        """What a server echoes of the key goes no further."""
        text, refusal = self.trace.hidden(got.text), self.trace.hidden(got.refusal)
        kept = got.tokens if text == got.text else ()
        return replace(got, text=text, refusal=refusal, tokens=kept)


def guess(content: Any) -> int:
    """Tokens of a message's content, pictures included."""
    if isinstance(content, str):
        return tokens(content)
    return sum(PICTURE if part["type"] == "image" else tokens(part["text"]) for part in content)
