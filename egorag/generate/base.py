"""What an answerer is: a question and its evidence to an answer with citations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from egorag.encode.base import Vectors
from egorag.spaces import EmbeddingSpace
from egorag.store.folder import IndexFolder
from egorag.types import Answer, Hit, Query


@runtime_checkable
class TextEncoder(Protocol):
    """An encoder that embeds any texts, set up."""

    @property
    def space(self) -> EmbeddingSpace:
        """Where its vectors live."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32 [texts, dim]."""


class Answerer(Protocol):
    """Settings of a way to answer; a frozen dataclass."""

    def answer(
        self,
        query: Query,
        hits: Sequence[Hit],
        folder: IndexFolder,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """Answer the query's text.

        Args:
            query: the question, with the filters under which ``hits`` were found. They bind the
                answer too: nothing outside them is read or cited.
            hits: evidence, best first.
            folder: the index they come from; citations are checked against it.
            encoder: the index's text encoder, where it has one.
            choices: possible answers; the answer is one of them.
        """


@runtime_checkable
class Guessing(Protocol):
    """An answerer that can be asked without any evidence: what the question alone gives away."""

    def guess(
        self,
        query: Query,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """The likeliest answer by the question, its choices and what the model knows anyway."""


class Searcher(Protocol):
    """A search of the index by the methods that the config chose."""

    def __call__(self, query: Query, k: int) -> Sequence[Hit]:
        """The best ``k`` scenes within the query's filters, best first."""


@runtime_checkable
class Searching(Protocol):
    """An answerer that looks for more evidence itself."""

    def searching(self, search: Searcher) -> Answerer:
        """The same with a search at hand."""
