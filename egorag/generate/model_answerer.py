"""What all answerers with a language model share: evidence in, checked answer out.

The model sees the evidence as numbered scenes and replies by a JSON schema: sentences, each with
citations. Each citation is checked against the index (``checked.py``), so a made-up one is never
shown, and text in a video that talks the model into something else gains nothing but an abstention.

A new one is settings and a ``chat``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from egorag.chat.base import ChatModel
from egorag.chat.counted import Counted
from egorag.chat.settings import check_whole
from egorag.errors import ConfigError
from egorag.generate.base import TextEncoder
from egorag.generate.blind import guess
from egorag.generate.case import Case
from egorag.generate.numbered import NumberedScene, fitting, in_order, tokens
from egorag.generate.question import asked
from egorag.generate.reply import LETTERS
from egorag.generate.seen import Look, seen
from egorag.store.folder import IndexFolder
from egorag.types import Answer, Hit, Query

LONGEST = 8000
"""Characters of a question or choice that are sent."""


@dataclass(frozen=True)
class ModelAnswerer(ABC):
    """Asks a language model and checks what it cites, or abstains.

    The confidence of an open answer is what the model says of itself times the share of its
    sentences that have a verified citation; of a choice, its mean probability over the orders
    shown. Neither is calibrated. ``seed`` also draws the orders of choices.

    Attributes:
        evidence_tokens: what the evidence may take of the model's context; the best hits go first.
        orders: in how many orders choices are shown, each a request; as many as there are choices
            cancels a liking for a letter or place.
        abstain_below: the confidence below which no answer is given; 0 always answers.
        seed: of whatever is drawn.
    """

    evidence_tokens: int = 6000
    orders: int = 4
    abstain_below: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(self, evidence_tokens=1, orders=1)
        if not 0 <= self.abstain_below <= 1:
            raise ValueError(f"abstain_below must lie in 0..1, got {self.abstain_below}")

    @abstractmethod
    def chat(self, choosing: bool) -> AbstractContextManager[ChatModel]:
        """The model, for one question.

        Args:
            choosing: its replies are choices, so the likeliest tokens are wanted.
        """

    def count(self, chat: ChatModel, text: str) -> int:
        """Tokens of ``text``; a rather high guess unless the model's own tokenizer is known."""
        return tokens(text)

    def look(self) -> Look | None:
        """The pictures a model that sees is to get."""
        return None

    def answer(
        self,
        query: Query,
        hits: Sequence[Hit],
        folder: IndexFolder,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """See ``Answerer``.

        Raises:
            ConfigError: an empty question, choices that cannot be asked for, no key or weights.
            MissingPackageError: a package is not installed.
            ServerError: the server cannot be reached, refuses, or sends no chat completion.
        """
        question, options = asked(query, choices, LONGEST)
        if len(set(options)) > len(LETTERS):
            raise ConfigError(f"choices may be {len(LETTERS)} at most, got {len(set(options))}")
        with self.chat(bool(options)) as chat:
            scenes, dropped = self._evidence(query, hits, folder, chat)
            if not scenes:
                small = f"no text fits into answerer.evidence_tokens={self.evidence_tokens}"
                reason = small if dropped else "the evidence holds no text"
                text, notes = f"No answer: {reason}.", tuple(chat.notes)
                return Answer(text, True, 0.0, (), tuple(hits), notes=notes)
            if dropped:
                chat.notes.append(
                    f"{dropped} texts of the evidence had no room in answerer.evidence_tokens="
                    f"{self.evidence_tokens}"
                )
            asking = Counted(chat)
            case = Case(question, query, hits, folder.catalog, scenes, asking, self.abstain_below)
            answer = case.choose(options, self.orders, self.seed) if options else case.tell()
            return replace(answer, tokens=asking.used)

    def guess(
        self,
        query: Query,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """See ``Guessing``; raises as ``answer``."""
        question, options = asked(query, choices, LONGEST)
        with self.chat(bool(options)) as chat:
            asking = Counted(chat)
            answer = guess(asking, question, options, self.orders, self.seed)
            return replace(answer, tokens=asking.used)

    def _evidence(
        self, query: Query, hits: Sequence[Hit], folder: IndexFolder, chat: ChatModel
    ) -> tuple[list[NumberedScene], int]:
        """(scenes that say or show something, how many texts had no room)."""
        scenes, dropped = fitting(
            query, hits, folder.catalog, self.evidence_tokens, lambda text: self.count(chat, text)
        )
        look = self.look()
        if look is not None:
            scenes, notes = seen(scenes, query, folder.catalog, look)
            chat.notes.extend(notes)
        return in_order(s for s in scenes if s.passages or s.pictures), dropped
