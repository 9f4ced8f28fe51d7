"""Answers by a language model on any OpenAI-compatible server: vLLM, Ollama, llama.cpp, OpenAI.

The model sees the evidence as numbered scenes and replies by a JSON schema: sentences, each with
citations. Each citation is checked against the index (``checked.py``), so a made-up one is never
shown, and text in a video that talks the model into something else gains nothing but an abstention.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from egorag.errors import ConfigError
from egorag.generate.base import TextEncoder
from egorag.generate.case import Case
from egorag.generate.numbered import numbered
from egorag.generate.openai_client import Chat, Server
from egorag.generate.question import asked
from egorag.generate.reply import LETTERS
from egorag.store.folder import IndexFolder
from egorag.types import Answer, Hit, Query

LONGEST = 8000
"""Characters of a question or choice that are sent."""


@dataclass(frozen=True)
class OpenAI:
    """Asks a language model and checks what it cites, or abstains.

    The confidence of an open answer is what the model says of itself times the share of its
    sentences that have a verified citation; of a choice, its mean probability over the orders
    shown. Neither is calibrated.

    Attributes:
        base_url: the server's address with its ``/v1``. Nothing is sent anywhere else.
        model: what the server calls the model.
        api_key_env: name of the environment variable that holds the key; empty sends none.
        timeout: seconds for one try.
        retries: how often what may pass (no connection, 429, 5xx) is tried again.
        max_tokens: of one reply.
        evidence_tokens: what the evidence may take of the model's context, by a rather high guess
            of three bytes a token; the best hits go first.
        temperature: 0 is as repeatable as the server is.
        seed: sent with each request; also draws the orders of choices.
        orders: in how many orders choices are shown, each a request; as many as there are choices
            cancels a liking for a letter or place.
        abstain_below: the confidence below which no answer is given; 0 always answers.
    """

    base_url: str = ""
    model: str = ""
    api_key_env: str = ""
    timeout: float = 120.0
    retries: int = 3
    max_tokens: int = 1024
    evidence_tokens: int = 6000
    temperature: float = 0.0
    seed: int = 0
    orders: int = 4
    abstain_below: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.base_url, str) or not _is_address(self.base_url):
            raise ValueError(
                "base_url must be a server's address without a password, as "
                f"http://127.0.0.1:8000/v1{_shown(self.base_url)}"
            )
        if not isinstance(self.model, str) or not self.model:
            raise ValueError(f"model must be what the server calls it, got {self.model!r}")
        # A key given by mistake must not be printed, so its value is not in the message.
        if not re.fullmatch(r"([A-Z_][A-Z0-9_]*)?", str(self.api_key_env)):
            raise ValueError(
                "api_key_env must be the name of an environment variable in capitals, as "
                "OPENAI_API_KEY, never the key itself"
            )
        for name, least in (
            ("retries", 0),
            ("max_tokens", 1),
            ("evidence_tokens", 1),
            ("orders", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout must be a positive number of seconds, got {self.timeout}")
        if not 0 <= self.temperature <= 2 or not 0 <= self.abstain_below <= 1:
            raise ValueError(
                "temperature must lie in 0..2 and abstain_below in 0..1, got "
                f"{self.temperature}, {self.abstain_below}"
            )

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
        server = Server(self.base_url, self.model, self.api_key_env, self.timeout, self.retries)
        parameters = {
            "temperature": self.temperature,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
        }
        if options:
            parameters |= {"logprobs": True, "top_logprobs": 20}
        with Chat(server, parameters) as chat:
            if dropped:
                chat.notes.append(
                    f"{dropped} texts of the evidence had no room in answerer.evidence_tokens="
                    f"{self.evidence_tokens}"
                )
            case = Case(question, query, hits, folder.catalog, scenes, chat, self.abstain_below)
            return case.choose(options, self.orders, self.seed) if options else case.tell()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.password
    except ValueError:
        return False


def _shown(address: object) -> str:
    """The address for a message, unless it may hold a password."""
    return "" if "@" in str(address) else f", got {address!r}"
