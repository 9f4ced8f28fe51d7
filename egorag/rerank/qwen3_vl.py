"""Reranking by Qwen3-VL-Reranker, which sees a scene's frames and reads its text.

Li et al. 2026, "Qwen3-VL-Embedding and Qwen3-VL-Reranker", and the model cards of
Qwen/Qwen3-VL-Reranker-2B and -8B: instruction, query and document stand in one turn, and the state
of the last token says how much likelier "yes" is than "no".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from egorag.chat.settings import check_whole
from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.plaintext import plain, shortened
from egorag.encode.pretrained.queries import query_frames
from egorag.encode.qwen3_vl_reader import Qwen3VLReader, Turn, sentence
from egorag.errors import ConfigError, EgoragError, MediaError
from egorag.media import same
from egorag.media.sampling import Frame, FrameSampling
from egorag.media.stills import read_picture
from egorag.media.stretch import stretch
from egorag.rerank.base import Reranked, by_scores
from egorag.rerank.texts import readable
from egorag.retrieve.bounds import bounds
from egorag.spans import MICROSECONDS, Span
from egorag.store.catalog import Catalog
from egorag.store.folder import IndexFolder
from egorag.terminal import plain as printable
from egorag.types import Hit, Query

NAME = "qwen3_vl_reranker"
SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)
QUERY_TOKENS, TEXT_TOKENS = 512, 2048
"""Of the query's and the scene's text; with the frames the 10,240 that the card reads."""


@dataclass(frozen=True)
class _Loaded:
    model: Any
    processor: Any
    batches: Batches
    direction: Any  # float32 [width]: from "no" to "yes"


@dataclass(frozen=True, kw_only=True)
class Qwen3VLReranker(Qwen3VLReader):
    """Orders the best hits by how well their frames and text answer the query.

    The score is the log odds of "yes"; the card gives its sigmoid. A scene of more seconds than
    ``frames`` at ``rate`` is sampled more thinly, evenly. Frames come from within the scene and the
    query's time filters, and of a video that cannot be looked at, text alone counts. A hit without
    frames and text keeps its place. Scores differ by less than 1e-3 between batch sizes in float32.

    Attributes:
        depth: so many of the best hits are looked at; those behind them follow as they were.
        instruction: what is sought; the card's default.
    """

    family: ClassVar[str] = "qwen3-vl-reranker"
    setting: ClassVar[str] = "reranker.checkpoint"
    published: ClassVar[Mapping[str, Published]] = {
        "Qwen/Qwen3-VL-Reranker-2B": Published(2.13e9, None, "Apache-2.0", download=4.3e9),
        "Qwen/Qwen3-VL-Reranker-8B": Published(8.77e9, None, "Apache-2.0", download=17.5e9),
    }

    checkpoint: str = by_name("Qwen/Qwen3-VL-Reranker-2B")
    depth: int = 20
    instruction: str = "Given a search query, retrieve relevant candidates that answer the query."

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, depth=1)
        if not self.instruction.strip():
            raise ValueError("instruction must say something; the model is trained with one")

    def setup(self, device: str = "cpu") -> None:
        """Have the checkpoint here and load it.

        Raises:
            ConfigError: packages or weights are missing, or are not this model's.
        """
        if self._loaded is None:
            self.fetch()
        super().setup(device)

    def _load(self, placement: Placement) -> _Loaded:
        import transformers

        checkpoint = self.source()
        processor = self._processor(checkpoint)
        words = processor.tokenizer.get_vocab()
        if not {"yes", "no"} <= words.keys():
            raise ConfigError(
                f"{checkpoint} has no tokens 'yes' and 'no', by which this reranker scores; give "
                "a Qwen3-VL-Reranker checkpoint"
            )
        whole = load_model(transformers.Qwen3VLForConditionalGeneration, checkpoint, placement)
        head = whole.lm_head.weight
        direction = (head[words["yes"]] - head[words["no"]]).float()
        batches = Batches(placement.device, self.batch, cpu=1, most=16)
        return _Loaded(whole.model, processor, batches, direction)

    def rerank(self, query: Query, hits: Sequence[Hit], folder: IndexFolder) -> Reranked:
        """See ``Reranker``.

        Raises:
            MediaError: the query's own picture or clip cannot be read.
            EgoragError: the model gives a score that is no number.
        """
        asked = self._asked(query)
        if not asked:
            reason = f"{NAME} takes text, pictures and clips; a query without is not reranked"
            return Reranked(list(hits), (reason,))
        best = hits[: self.depth]
        texts = readable(query, best, folder.catalog)
        blind: dict[str, str] = {}

        found: dict[int, float] = {}
        left = list(best)
        while left:  # frames of a batch at a time: those of all hits may not fit into memory
            size = self.loaded.batches.size or 1
            batch, left = left[:size], left[size:]
            documents: list[tuple[int, Sequence[Mapping[str, Any]]]] = []
            for hit in batch:
                looked = self._looked(query, hit, folder.catalog, blind)
                if document := self._document(looked, texts[hit.scene.id]):
                    documents.append((hit.scene.id, document))
            scores = self.scores(asked, [document for _, document in documents])
            found.update(zip((scene for scene, _ in documents), scores, strict=True))
        notes: tuple[str, ...] = ()
        if blind:
            path, reason = next(iter(blind.items()))
            notes = (
                f"{len(blind)} files could not be looked at by {NAME}, their text alone counts: "
                f"{printable(path)} ({reason})",
            )
        return Reranked([*by_scores(best, found, NAME), *hits[self.depth :]], notes)

    def scores(
        self,
        query: Sequence[Mapping[str, Any]],
        documents: Sequence[Sequence[Mapping[str, Any]]],
    ) -> list[float]:
        """The log odds of each document, given as the parts that ``Qwen3VLReader`` reads."""
        tokenizer = self.loaded.processor.tokenizer
        told = plain(sentence(self.instruction), tokenizer)
        chats: list[Sequence[Turn]] = []
        for document in documents:
            before = [{"text": f"<Instruct>: {told}"}, {"text": "<Query>:"}]
            parts = [*before, *query, {"text": "\n<Document>:"}, *document]
            chats.append([("system", [{"text": SYSTEM}]), ("user", parts)])
        given = [s for batch in self.loaded.batches.map(chats, self._run) for s in batch]
        if not np.isfinite(given).all():
            raise EgoragError(
                f"{self.checkpoint} gave a score that is no number; try dtype=float32"
            )
        return given

    def describe(self) -> str:
        return (
            f"query, frames at {self.rate:g} a second (at most {self.frames} of a scene) and text "
            f"under {sentence(self.instruction)!r}; log odds of yes against no"
        )

    def _run(self, chats: Sequence[Sequence[Turn]]) -> list[float]:
        states = self._last(self._read(chats).to(self.loaded.model.device)).float()
        scores: list[float] = (states @ self.loaded.direction).cpu().tolist()
        return scores

    def _asked(self, query: Query) -> list[Mapping[str, Any]]:
        """The query's parts in the card's order: clip, picture, text."""
        parts: list[Mapping[str, Any]] = []
        if query.video is not None:
            parts.append({"frames": query_frames(query.video, self.sampling).frames})
        if query.image is not None:
            parts.append({"image": read_picture(query.image)})
        if query.text is not None:
            parts += self._text(query.text, QUERY_TOKENS) or [
                {"text": "NULL"}
            ]  # as the card has it
        return parts

    def _document(
        self, looked: tuple[Sequence[Frame], float], text: str
    ) -> list[Mapping[str, Any]]:
        frames, rate = looked
        shown: list[Mapping[str, Any]] = [{"frames": frames, "rate": rate}] if frames else []
        return [*shown, *self._text(text, TEXT_TOKENS)]

    def _text(self, text: str, most: int) -> list[Mapping[str, Any]]:
        tokenizer = self.loaded.processor.tokenizer
        kept = shortened(plain(text, tokenizer), tokenizer, most)
        return [{"text": kept}] if kept.strip() else []

    def _looked(
        self, query: Query, hit: Hit, catalog: Catalog, blind: dict[str, str]
    ) -> tuple[Sequence[Frame], float]:
        """Frames of a scene that the query may see, and how many there are a second."""
        allowed = bounds(query, catalog.video(hit.scene.video))
        if allowed is None or hit.path in blind or not hit.scene.span.overlap(allowed):
            return (), self.rate
        start = max(hit.scene.span.start, allowed.start)
        span = Span(start, min(hit.scene.span.end, allowed.end))
        rate = min(self.rate, self.frames * MICROSECONDS / span.duration)
        path = Path(hit.path)
        try:
            same.check_same(path, hit.scene.video)
            taken = stretch(path, span, FrameSampling(rate, self.sampling.longest))
            return [frame for frame in taken if frame.shown_at >= allowed.start], rate
        except MediaError as error:
            blind[hit.path] = printable(str(error))
            return (), self.rate
