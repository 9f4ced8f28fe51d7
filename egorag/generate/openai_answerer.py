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

from egorag.errors import ConfigError, ServerError
from egorag.generate.base import TextEncoder
from egorag.generate.checked import Checked, check
from egorag.generate.numbered import NumberedScene, numbered
from egorag.generate.openai_client import Chat, Completion, Server
from egorag.generate.orders import letter_shares, mean_shares, orders
from egorag.generate.prompt import messages
from egorag.generate.reply import LETTERS, Reply, parse, schema
from egorag.retrieve.words import plain
from egorag.store.catalog import Catalog
from egorag.store.folder import IndexFolder
from egorag.types import Answer, Citation, Hit, Query

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
        question = plain(query.text or "")[:LONGEST]
        if not question:
            raise ConfigError("the question is empty")
        options = [plain(choice)[:LONGEST] for choice in choices or ()]
        if choices is not None and (not options or not all(options)):
            raise ConfigError(f"choices must be one or more non-empty texts, got {list(choices)}")
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
            case = _Case(question, query, hits, folder.catalog, scenes, chat)
            return self._choose(case, options) if options else self._tell(case)

    def _tell(self, case: _Case) -> Answer:
        shape = schema()
        got = case.chat.complete(messages(case.question, case.scenes, shape), shape)
        reply = parse(got.text)
        if reply is None:
            return case.abstain(self._unusable(got))
        checked = check(reply.claims, case.scenes, case.query, case.catalog)
        sure = reply.confidence * checked.supported
        if not reply.answerable:
            return case.abstain("the model finds none in the evidence", 0.0, checked.share)
        if not checked.citations:
            return case.abstain("no quote could be verified", 0.0, checked.share)
        if sure < self.abstain_below:
            reason = f"confidence {sure:.2f}, needed {self.abstain_below:.2f}"
            return case.abstain(reason, sure, checked.share)
        return Answer(
            checked.text,
            False,
            sure,
            checked.citations,
            tuple(case.hits),
            verified=checked.share,
            notes=tuple(case.chat.notes),
        )

    def _choose(self, case: _Case, options: Sequence[str]) -> Answer:
        # Sorted, so that the order in which choices were given changes nothing.
        distinct = sorted(set(options))
        votes = self._votes(case, distinct)
        if not votes:
            return case.abstain("no reply of the model chose")
        shares = mean_shares([vote.shares for vote in votes], len(distinct))
        best = max(range(len(distinct)), key=lambda i: (shares[i], -i))
        first = {text: options.index(text) for text in distinct}
        probabilities = [0.0] * len(options)
        for text, share in zip(distinct, shares, strict=True):
            probabilities[first[text]] = share
        held, given = (sum(getattr(v.checked, n) for v in votes) for n in ("held", "given"))
        verified = held / given if given else None
        backing = [v for v in votes if v.reply.answerable and v.best == best]
        citations: dict[Citation, None] = {c: None for v in backing for c in v.checked.citations}
        if 2 * sum(not vote.reply.answerable for vote in votes) > len(votes):
            reason = "the model finds none in the evidence"
        elif not citations:
            reason = "no quote for the likeliest choice could be verified"
        elif shares[best] < self.abstain_below:
            reason = f"confidence {shares[best]:.2f}, needed {self.abstain_below:.2f}"
        else:
            reason = ""
        if reason:
            return case.abstain(reason, shares[best], verified, tuple(probabilities))
        return Answer(
            distinct[best],
            False,
            shares[best],
            tuple(citations),
            tuple(case.hits),
            first[distinct[best]],
            verified,
            tuple(probabilities),
            tuple(case.chat.notes),
        )

    def _votes(self, case: _Case, distinct: Sequence[str]) -> list[_Vote]:
        """A vote per order shown; what fails after the first request is noted."""
        letters = LETTERS[: len(distinct)]
        shape = schema(letters)
        votes: list[_Vote] = []
        for count, order in enumerate(orders(len(distinct), self.orders, self.seed)):
            shown = {letter: distinct[i] for letter, i in zip(letters, order, strict=True)}
            told = messages(case.question, case.scenes, shape, shown)
            try:
                got = case.chat.complete(told, shape)
            except ServerError as error:
                if count == 0:
                    raise
                case.chat.notes.append(f"order {count + 1} of the choices failed: {error}")
                continue
            reply = parse(got.text, letters)
            by_letter = letter_shares(letters, reply.choice if reply else None, got.tokens)
            if reply is None or by_letter is None:
                case.chat.notes.append(
                    f"order {count + 1} of the choices does not count: {self._unusable(got)}"
                )
                continue
            shares = {i: by_letter[letter] for letter, i in zip(letters, order, strict=True)}
            checked = check(reply.claims, case.scenes, case.query, case.catalog)
            votes.append(_Vote(reply, checked, shares))
        return votes

    def _unusable(self, got: Completion) -> str:
        if got.refusal:
            return f"the model refuses: {got.refusal}"
        if got.cut:
            return f"the reply was cut off at answerer.max_tokens={self.max_tokens}; raise it"
        return "the reply is not of the form asked for"


@dataclass(frozen=True)
class _Case:
    """One question with all that belongs to it."""

    question: str
    query: Query
    hits: Sequence[Hit]
    catalog: Catalog
    scenes: Sequence[NumberedScene]
    chat: Chat

    def abstain(
        self,
        reason: str,
        sure: float = 0.0,
        verified: float | None = None,
        probabilities: tuple[float, ...] | None = None,
    ) -> Answer:
        found = tuple(self.hits)
        notes = tuple(self.chat.notes)
        text = f"No answer: {reason}."
        return Answer(text, True, sure, (), found, None, verified, probabilities, notes)


@dataclass(frozen=True)
class _Vote:
    """One reply to the choices in one order."""

    reply: Reply
    checked: Checked
    shares: dict[int, float]

    @property
    def best(self) -> int:
        """The likeliest choice by this reply alone."""
        return max(self.shares, key=lambda i: (self.shares[i], -i))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.password
    except ValueError:
        return False


def _shown(address: object) -> str:
    """The address for a message, unless it may hold a password."""
    return "" if "@" in str(address) else f", got {address!r}"
