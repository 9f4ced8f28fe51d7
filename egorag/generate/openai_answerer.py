"""Answers by a language model on any OpenAI-compatible server: vLLM, Ollama, llama.cpp, OpenAI.

The model sees the evidence as numbered scenes and replies by a JSON schema: sentences, each with
citations. Each citation is checked against the index (``checked.py``), so a made-up one is never
shown, and text in a video that talks the model into something else gains nothing but an abstention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egorag.chat.settings import ServerSettings
from egorag.errors import ConfigError
from egorag.generate.base import TextEncoder
from egorag.generate.case import Case
from egorag.generate.numbered import numbered
from egorag.generate.question import asked
from egorag.generate.reply import LETTERS
from egorag.store.folder import IndexFolder
from egorag.types import Answer, Hit, Query

LONGEST = 8000
"""Characters of a question or choice that are sent."""


@dataclass(frozen=True)
class OpenAI(ServerSettings):
    """Asks a language model and checks what it cites, or abstains.

    The confidence of an open answer is what the model says of itself times the share of its
    sentences that have a verified citation; of a choice, its mean probability over the orders
    shown. Neither is calibrated. ``seed`` also draws the orders of choices.

    Attributes:
        evidence_tokens: what the evidence may take of the model's context, by a rather high guess
            of three bytes a token; the best hits go first.
        orders: in how many orders choices are shown, each a request; as many as there are choices
            cancels a liking for a letter or place.
        abstain_below: the confidence below which no answer is given; 0 always answers.
    """

    evidence_tokens: int = 6000
    orders: int = 4
    abstain_below: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_whole(evidence_tokens=1, orders=1)
        if not 0 <= self.abstain_below <= 1:
            raise ValueError(f"abstain_below must lie in 0..1, got {self.abstain_below}")

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
            ConfigError: an empty question, choices that cannot be asked for, no key.
            MissingPackageError: the package openai is not installed.
            ServerError: the server cannot be reached, refuses, or sends no chat completion.
        """
        question, options = asked(query, choices, LONGEST)
        if len(set(options)) > len(LETTERS):
            raise ConfigError(f"choices may be {len(LETTERS)} at most, got {len(set(options))}")
        scenes, dropped = numbered(query, hits, folder.catalog, self.evidence_tokens)
        if not scenes:
            small = f"no text fits into answerer.evidence_tokens={self.evidence_tokens}"
            reason = small if dropped else "the evidence holds no text"
            return Answer(f"No answer: {reason}.", True, 0.0, (), tuple(hits))
        likeliest = {"logprobs": True, "top_logprobs": 20} if options else {}
        with self.connect("answerer", **likeliest) as chat:
            if dropped:
                chat.notes.append(
                    f"{dropped} texts of the evidence had no room in answerer.evidence_tokens="
                    f"{self.evidence_tokens}"
                )
            case = Case(question, query, hits, folder.catalog, scenes, chat, self.abstain_below)
            return case.choose(options, self.orders, self.seed) if options else case.tell()
