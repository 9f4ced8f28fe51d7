"""Reranking by a cross-encoder, which reads query and scene together.

Nogueira and Cho 2019, "Passage Re-ranking with BERT"; https://sbert.net. Any checkpoint that
sentence-transformers' ``CrossEncoder`` takes and that gives one score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from egorag.chat.settings import check_whole
from egorag.encode.base import Medium
from egorag.encode.pretrained.base import Pretrained, Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.plaintext import plain, shortened
from egorag.encode.textwindows import windows
from egorag.errors import ConfigError, EgoragError
from egorag.rerank.base import Reranked, by_scores
from egorag.rerank.texts import readable
from egorag.store.folder import IndexFolder
from egorag.types import Hit, Query

NAME = "cross_encoder"
_LEAST_ROOM = 8  # tokens of a scene's text that a window must have room for


@dataclass(frozen=True)
class _Loaded:
    model: Any
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class CrossEncoder(Pretrained):
    """Orders the best hits by how well their text answers the query.

    The score is what the model gives before any sigmoid, which would make the best ones equal. A
    text that does not fit is read in windows, of which the best counts (MaxP: Dai and Callan 2019,
    "Deeper Text Understanding for IR with Contextual Neural Language Modeling"). A hit without text
    keeps its place.

    Scores differ by less than 1e-4 between batch sizes in float32.

    Attributes:
        depth: so many of the best hits are read; those behind them follow as they were.
        window: tokens of query and text together; None is the checkpoint's own limit. Of a query
            that takes more than half of it the beginning is read.
    """

    medium: ClassVar[Medium] = Medium.TEXT
    family: ClassVar[str] = NAME
    packages: ClassVar[Mapping[str, str]] = {
        "torch": "torch",
        "transformers": "transformers",
        "sentence_transformers": "sentence-transformers",
    }
    extra: ClassVar[str] = "text"
    setting: ClassVar[str] = "reranker.checkpoint"
    published: ClassVar[Mapping[str, Published]] = {
        "cross-encoder/ms-marco-MiniLM-L6-v2": Published(
            22.7e6, None, "Apache-2.0", download=0.09e9
        ),
    }

    checkpoint: str = by_name("cross-encoder/ms-marco-MiniLM-L6-v2")
    depth: int = 50
    window: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, depth=1)
        if self.window is not None:
            check_whole(self, window=4 * _LEAST_ROOM)

    def setup(self, device: str = "cpu") -> None:
        """Have the checkpoint here and load it.

        Raises:
            ConfigError: packages or weights are missing, or are not a cross-encoder's.
        """
        if self._loaded is None:
            self.fetch()
        super().setup(device)

    def _load(self, placement: Placement) -> _Loaded:
        from egorag.rerank.cross_encoder_model import load_cross_encoder

        model = load_cross_encoder(self.source(), placement)
        if self.window is not None:
            if self.window > model.max_seq_length:
                raise ConfigError(
                    f"window={self.window}, but {self.checkpoint} reads {model.max_seq_length} "
                    "tokens; give at most that, or leave it out"
                )
            model.max_seq_length = self.window
        return _Loaded(model, Batches(placement.device, self.batch, cpu=16, most=256))

    def rerank(self, query: Query, hits: Sequence[Hit], folder: IndexFolder) -> Reranked:
        """See ``Reranker``.

        Raises:
            EgoragError: the model gives a score that is no number.
        """
        if query.text is None:
            return Reranked(
                list(hits), (f"{NAME} reads text; a query without any is not reranked",)
            )
        best = hits[: self.depth]
        texts = {i: text for i, text in readable(query, best, folder.catalog).items() if text}
        distinct = list(dict.fromkeys(texts.values()))  # equal texts get one score to the last bit
        scores = dict(zip(distinct, self.scores(query.text, distinct), strict=True))
        by_id = {i: scores[text] for i, text in texts.items()}
        return Reranked([*by_scores(best, by_id, NAME), *hits[self.depth :]])

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score a text: the best of its windows."""
        model = self.loaded.model
        asked = shortened(plain(query, model.tokenizer), model.tokenizer, model.max_seq_length // 2)
        room = self._room(asked)
        parts: list[tuple[int, str, int]] = []
        for owner, text in enumerate(texts):
            for part, count in windows(plain(text, model.tokenizer), room, self._count):
                parts.append((owner, part, count))
        # The longest first: little padding, and a batch that fits is found from the largest.
        parts.sort(key=lambda p: (-p[2], p[0]))

        def run(batch: Sequence[tuple[int, str, int]]) -> list[float]:
            import torch

            pairs = [(asked, part) for _, part, _ in batch]
            found: list[float] = model.predict(
                pairs,
                batch_size=len(pairs),
                activation_fn=torch.nn.Identity(),
                show_progress_bar=False,
            ).tolist()
            return found

        given = [score for batch in self.loaded.batches.map(parts, run) for score in batch]
        if not np.isfinite(given).all():
            raise EgoragError(
                f"{self.checkpoint} gave a score that is no number; try dtype=float32"
            )
        best = [-np.inf] * len(texts)
        for (owner, _, _), score in zip(parts, given, strict=True):
            best[owner] = max(best[owner], score)
        return best

    def describe(self) -> str:
        return f"the query with each scene's text by {self.checkpoint}; the best window counts"

    def _room(self, asked: str) -> int:
        """Tokens of a text that fit beside the query and the special tokens."""
        model = self.loaded.model
        taken = int(model.preprocess([(asked, "")])["attention_mask"].sum())
        if model.max_seq_length - taken < _LEAST_ROOM:
            raise ConfigError(
                f"query and special tokens take {taken} of the {model.max_seq_length} tokens that "
                f"{self.checkpoint} reads at once; ask shorter, or give reranker.window more"
            )
        return int(model.max_seq_length - taken)

    def _count(self, text: str) -> int:
        tokenizer = self.loaded.model.tokenizer
        ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)
        return len(ids["input_ids"])
