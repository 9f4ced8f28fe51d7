"""A language model whose tokens are added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egorag.chat.base import ChatModel, Completion


@dataclass
class Counted:
    """A ``ChatModel`` that asks another one.

    Attributes:
        used: tokens of all its requests and replies; None until the model counts any.
    """

    chat: ChatModel
    used: int | None = None

    def __post_init__(self) -> None:
        self.notes = self.chat.notes

    def complete(
        self, messages: Sequence[Mapping[str, Any]], shape: Mapping[str, Any]
    ) -> Completion:
        """See ``ChatModel``."""
        got = self.chat.complete(messages, shape)
        if got.used:
            self.used = (self.used or 0) + got.used
        return got
