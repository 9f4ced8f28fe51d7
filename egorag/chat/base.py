"""A language model, whatever it runs on: messages in, a reply out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Listener: TypeAlias = Callable[[str | None], None]
"""Gets the pieces of a reply's text as they come, and None where one begins, perhaps anew."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a reply and the likeliest ones at its place, as (text, log probability)."""

    text: str
    likeliest: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model said.

    Attributes:
        text: empty where it said nothing.
        cut: stopped by the limit of tokens.
        tokens: with their log probabilities; empty where these are not known.
        refusal: why it refused, where it did.
        used: tokens of the messages and the reply together, as far as the model counts them.
    """

    text: str
    cut: bool = False
    tokens: tuple[Token, ...] = ()
    refusal: str = ""
    used: int = 0


class ChatModel(Protocol):
    """A language model, loaded or connected."""

    notes: list[str]
    """What went otherwise than asked so far, for the answer."""

    def complete(
        self, messages: Sequence[Mapping[str, Any]], shape: Mapping[str, Any]
    ) -> Completion:
        """The reply to ``messages`` (role, content), of the JSON schema ``shape`` if it can.

        A content is a text, or a list of parts: ``{"type": "text", "text": str}`` and, where the
        model sees, ``{"type": "image", "image": uint8 [H, W, 3]}`` (RGB).

        Raises:
            ServerError: there is none.
        """


def read_tokens(listed: Any) -> tuple[Token, ...]:
    """The ``logprobs.content`` of a chat completion; empty where it is not of that form."""
    found: list[Token] = []
    for item in listed if isinstance(listed, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("token"), str):
            return ()
        others = item.get("top_logprobs")
        pairs: list[tuple[str, float]] = []
        for other in others if isinstance(others, list) else []:
            text = other.get("token") if isinstance(other, dict) else None
            logprob = other.get("logprob") if isinstance(other, dict) else None
            if isinstance(text, str) and isinstance(logprob, float) and not math.isnan(logprob):
                pairs.append((text, logprob))
        found.append(Token(item["token"], tuple(pairs)))
    return tuple(found)
