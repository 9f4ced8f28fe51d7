"""Text embedding by any sentence-transformers checkpoint.

Reimers and Gurevych 2019, "Sentence-BERT"; https://sbert.net. The library itself loads and runs the
checkpoint (``encode_query``, ``encode_document``), from local files and without code that comes
with it. Two deliberate differences: what follows the first window of a document counts too, and
rows have unit length whatever the checkpoint, so all are compared by cosine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from egorag.encode import sentence_files as files
from egorag.encode.base import Document, Medium, Vectors
from egorag.encode.pretrained.base import Pretrained, Published, by_name, unit
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.shared import Held, acquire, release
from egorag.encode.textwindows import windows
from egorag.errors import ConfigError, SpaceError, did_you_mean
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

_NAME = re.compile(r"[\w.-]+")  # of a prompt; a prompt's text ends in a colon or blank
_LEAST_ROOM = 8  # tokens a window must have for the text itself


@dataclass(frozen=True)
class _Loaded:
    held: Held  # the SentenceTransformer
    batches: Batches
    room: float  # tokens of a document's text a window takes
    dim: int
    prompts: Mapping[str, str]  # of "query" and "document"


@dataclass(frozen=True, kw_only=True)
class SentenceEmbedding(Pretrained):
    """One vector a scene from its text.

    The default checkpoint is all-MiniLM-L6-v2's larger sibling, trained on the same pairs: it needs
    no prompt, so that questions and passages may be compared either way, and is free to use.

    Rows differ by less than 1e-5 a component between batch sizes in float32, by less than 2e-2 in
    bfloat16.

    Attributes:
        query_prompt, document_prompt: what is put before a query and a document: the name of one
            of the checkpoint's prompts, or the text itself (``"query: "``); an empty one is none.
            None takes the checkpoint's own, where it has one.
        truncate_dim: keep the first so many components, scaled back to unit length. Good only for
            checkpoints trained so (Matryoshka). None keeps what the checkpoint keeps.
        window: tokens a window, special ones and prompt included; None is the checkpoint's own
            limit. A longer document is cut into windows; its vector is their mean, weighted by
            tokens. Of a query only what fits the checkpoint's limit is read.
    """

    shares: ClassVar[bool] = True
    medium: ClassVar[Medium] = Medium.TEXT
    family: ClassVar[str] = "sentence_transformers"
    packages: ClassVar[Mapping[str, str]] = {
        "torch": "torch",
        "transformers": "transformers",
        "sentence_transformers": "sentence-transformers",
    }
    extra: ClassVar[str] = "text"
    queried_by: ClassVar[Sequence[str]] = ("text",)
    published: ClassVar[Mapping[str, Published]] = {
        "sentence-transformers/all-mpnet-base-v2": Published(
            109.5e6, 768, "Apache-2.0", download=0.44e9
        ),
    }
    batch_size: ClassVar[int] = 64
    sampling: ClassVar[None] = None

    checkpoint: str = by_name("sentence-transformers/all-mpnet-base-v2")
    query_prompt: str | None = None
    document_prompt: str | None = None
    truncate_dim: int | None = None
    window: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.truncate_dim is not None and self.truncate_dim < 1:
            raise ValueError(f"truncate_dim must be 1 or more components, got {self.truncate_dim}")
        if self.window is not None and self.window < _LEAST_ROOM:
            raise ValueError(f"window must be {_LEAST_ROOM} or more tokens, got {self.window}")

    @property
    def space(self) -> EmbeddingSpace:
        return self.space_of(self._dim(), *self.queried_by)

    def _dim(self) -> int:
        source = self.source()
        width = files.width(source)
        if self.truncate_dim is not None and self.truncate_dim > width:
            raise ConfigError(
                f"truncate_dim={self.truncate_dim}, but {self.checkpoint} has {width} components; "
                "give at most that"
            )
        return min(self.truncate_dim or files.own_truncation(source) or width, width)

    def _prompt(self, of: str) -> str:
        """The text put before a ``"query"`` or ``"document"``."""
        source = self.source()
        given: str | None = getattr(self, f"{of}_prompt")
        if given is None:
            return files.own_prompt(source, of)
        known = files.prompts(source)
        if given not in known and _NAME.fullmatch(given):
            raise ConfigError(
                f"{of}_prompt {given!r} is not one of the prompts of {self.checkpoint}"
                f"{did_you_mean(given, known)}. Give one of its names, or a text to put before the "
                "other, which ends in a colon or blank"
            )
        return known.get(given, given)

    def _load(self, placement: Placement) -> _Loaded:
        from egorag.encode.sentence_model import load_sentence_model

        source = self.source()
        dim, prompts = self._dim(), {of: self._prompt(of) for of in ("query", "document")}
        key = (self.share_key(), source.sha256, placement)  # a folder's content may change
        held = acquire(key, lambda: load_sentence_model(source, placement))
        try:
            if held.model.get_embedding_dimension() < dim:
                raise ConfigError(f"{source} gives fewer components than the {dim} it announces")
            room = self._room(held.model, prompts["document"])
        except BaseException:
            release(held)
            raise
        batches = Batches(placement.device, self.batch, cpu=16, most=256)
        return _Loaded(held, batches, room, dim, prompts)

    def close(self) -> None:
        if self._loaded is not None:
            release(self._loaded.held)
        super().close()

    def encode(self, data: Sequence[Document]) -> Vectors:
        """float32 [documents, dim], unit rows."""
        return self.embed_texts([document.text for document in data])

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length, of the query's text under the query's prompt.

        Raises:
            SpaceError: the medium is not text, or the query has none.
        """
        if medium != "text" or query.text is None:
            raise SpaceError(
                f"{self.checkpoint} embeds text, but the query was to enter by {medium!r}"
            )
        vector: Vectors = self._run([_clean(query.text)], "query")[0]
        return vector

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32 [texts, dim], unit rows, of any texts under the document's prompt."""
        loaded = self.loaded
        cut: list[str] = []
        tokens: list[int] = []
        owners: list[int] = []
        for owner, text in enumerate(texts):
            for part, count in windows(_clean(text), loaded.room, self._count):
                cut.append(part)
                tokens.append(max(count, 1))
                owners.append(owner)
        total = np.zeros((len(texts), loaded.dim), np.float32)
        if cut:
            # The longest first: little padding, and a batch that fits is found from the largest.
            order = np.argsort([-count for count in tokens], kind="stable")
            rows = loaded.batches.map(
                [cut[i] for i in order], lambda batch: self._run(batch, "document")
            )
            weights = np.array([tokens[i] for i in order], np.float32)[:, None]
            np.add.at(total, [owners[i] for i in order], np.concatenate(rows) * weights)
        return unit(total)

    def describe(self) -> str:
        source = self.source()
        dim, width = self._dim(), files.width(source)
        kept = f"the first {dim} of {width} components" if dim < width else f"{dim} components"
        made_for = files.similarity(source)
        compared = "" if made_for == "cosine" else f" (made for {made_for}, compared by cosine)"
        limit = "its checkpoint reads" if self.window is None else f"{self.window} tokens"
        document, query = (self._prompt(of) for of in ("document", "query"))
        return (
            f"the scene's text{_after(document)}, a query's{_after(query)}; "
            f"{', '.join(kind for kind, _ in files.parts(source))}; {kept} at unit length"
            f"{compared}; a document longer than {limit} is halved at blanks until each part fits, "
            "and is the mean of its parts, weighted by tokens; of a query what fits is read"
        )

    def _count(self, text: str) -> int:
        """Tokens of a text, without the special ones; 0 where nothing limits them."""
        loaded = self.loaded
        if loaded.room == np.inf:
            return 0
        tokenizer = loaded.held.model.tokenizer
        with loaded.held.lock:
            ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)
        return len(ids["input_ids"])

    def _room(self, model: Any, prompt: str) -> float:
        """Tokens of a document that fit a window beside special tokens and prompt."""
        limit = model.max_seq_length
        if limit == np.inf:  # a table of embeddings reads any length
            return np.inf
        if self.window is not None and self.window > limit:
            raise ConfigError(
                f"window={self.window}, but {self.checkpoint} reads {limit} tokens; give at most "
                "that, or leave it out"
            )
        window = self.window or limit
        empty = model.preprocess([""], prompt=prompt, task="document")
        taken = int(empty["attention_mask"].sum()) + bool(prompt)  # one may be made by joining
        if window - taken < _LEAST_ROOM:
            raise ConfigError(
                f"special tokens and prompt take {taken} of the window's {window} tokens; give a "
                "larger window or a shorter prompt"
            )
        return float(window - taken)

    def _run(self, texts: Sequence[str], of: str) -> Vectors:
        """float32 [texts, dim], unit rows, in one batch."""
        loaded = self.loaded
        model = loaded.held.model
        encode = model.encode_query if of == "query" else model.encode_document
        with loaded.held.lock:
            rows = encode(
                list(texts),
                prompt=loaded.prompts[of],
                batch_size=len(texts),
                truncate_dim=loaded.dim,
                convert_to_tensor=True,
                show_progress_bar=False,
            )
        return unit(rows)


def _after(prompt: str) -> str:
    return f" after {prompt!r}" if prompt else " without a prompt"


def _clean(text: str) -> str:
    """Without lone surrogates (an undecodable byte of a command line): not valid UTF-8."""
    return text.encode("utf-8", "replace").decode()
