"""Qwen3-VL-Embedding: scenes, pictures, clips and text in one space, told apart by instruction.

Li et al. 2026, "Qwen3-VL-Embedding and Qwen3-VL-Reranker" and the model cards of
Qwen/Qwen3-VL-Embedding-2B and -8B. An instruction stands in the system turn, the input in the
user's, and the state of the last token (where the assistant would begin) is the embedding. It is
trained so that its first components alone are an embedding too (64 and up, Matryoshka).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from egorag.encode.base import FrameClip, Vectors
from egorag.encode.pretrained.base import Published, by_name, unit
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.plaintext import plain, shortened
from egorag.encode.pretrained.queries import query_frames
from egorag.encode.qwen3_vl_reader import FRAME_TOKENS, Qwen3VLReader, Turn, sentence
from egorag.errors import ConfigError, SpaceError
from egorag.media.stills import read_picture
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

QUERIES = ("text", "image", "video")
LONGEST_TEXT = 8192 - 128  # tokens; the card's maximum less the template and an instruction

Item = Mapping[str, Any]
"""One input: its ``instruction`` and one of ``text``, ``image`` (RGB uint8) and ``frames``."""


@dataclass(frozen=True)
class _Loaded:
    model: Any
    processor: Any
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class Qwen3VLEmbedding(Qwen3VLReader):
    """One vector a scene from its frames, in a space that text, pictures and clips can query.

    Rows differ by less than 2e-5 a component between batch sizes in float32.

    Attributes:
        instruction: said of every scene; the card's default.
        query_instruction: said of every query; the card's for retrieval.
        dim: keep the first so many components (64 and up are trained); None keeps all.
    """

    family: ClassVar[str] = "qwen3-vl-embedding"
    queried_by: ClassVar[Sequence[str]] = QUERIES
    published: ClassVar[Mapping[str, Published]] = {
        "Qwen/Qwen3-VL-Embedding-2B": Published(2.13e9, 2048, "Apache-2.0", download=4.3e9),
        "Qwen/Qwen3-VL-Embedding-8B": Published(8.14e9, 4096, "Apache-2.0", download=16.3e9),
    }

    checkpoint: str = by_name("Qwen/Qwen3-VL-Embedding-2B")
    instruction: str = "Represent the user's input."
    query_instruction: str = "Retrieve images or text relevant to the user's query."
    dim: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim is not None and self.dim < 1:
            raise ValueError(f"dim must be 1 or more components, got {self.dim}")
        for name in ("instruction", "query_instruction"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must say something; the model is trained with one")

    @property
    def space(self) -> EmbeddingSpace:
        return self.space_of(self._dim(), *QUERIES)

    def _dim(self) -> int:
        width = int(self.source().read_json()["text_config"]["hidden_size"])
        if self.dim is not None and self.dim > width:
            raise ConfigError(
                f"dim={self.dim}, but {self.checkpoint} has {width} components; give fewer"
            )
        return self.dim or width

    def _load(self, placement: Placement) -> _Loaded:
        import transformers

        checkpoint = self.source()
        # The head that speaks is not used; the small model's is its embedding table anyway.
        model = load_model(transformers.Qwen3VLModel, checkpoint, placement, (r"^lm_head\.",))
        processor = self._processor(checkpoint)
        return _Loaded(model, processor, Batches(placement.device, self.batch, cpu=2, most=16))

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, dim], unit rows."""
        said = {"instruction": self.instruction}
        return self._embed([{**said, "frames": clip.frames} for clip in data])

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length: the text, picture or clip under the query's instruction.

        Raises:
            SpaceError: another medium, or the query has none of it.
            MediaError: the file cannot be read.
        """
        said: dict[str, Any] = {"instruction": self.query_instruction}
        if medium == "text" and query.text is not None:
            item = {**said, "text": query.text}
        elif medium == "image" and query.image is not None:
            item = {**said, "image": read_picture(query.image)}
        elif medium == "video" and query.video is not None:
            item = {**said, "frames": query_frames(query.video, self.sampling).frames}
        else:
            raise SpaceError(
                f"{self.checkpoint} embeds {', '.join(QUERIES)}, but the query was to enter by "
                f"{medium!r}"
            )
        row: Vectors = self._embed([item])[0]
        return row

    def describe(self) -> str:
        low, high = FRAME_TOKENS
        return (
            f"frames at {self.rate:g} a second, evenly thinned to {self.frames} in longer scenes "
            f"(a single frame counts twice); {low}..{high} visual tokens a pair, {self.tokens} a "
            f"scene; their times in the prompt; system turn {sentence(self.instruction)!r}, of a "
            f"query {sentence(self.query_instruction)!r}; state of the last token, its first "
            f"{self._dim()} components at unit length"
        )

    def _embed(self, items: Sequence[Item]) -> Vectors:
        dim = self._dim()
        if not items:
            return np.empty((0, dim), np.float32)
        rows = self.loaded.batches.map(items, self._run)
        return unit(np.concatenate(rows)[:, :dim])

    def _run(self, items: Sequence[Item]) -> Vectors:
        inputs = self._inputs(items).to(self.loaded.model.device)
        rows: Vectors = self._last(inputs).float().cpu().numpy()
        return rows

    def _inputs(self, items: Sequence[Item]) -> Any:
        tokenizer = self.loaded.processor.tokenizer
        chats: list[list[Turn]] = []
        for item in items:
            part = item
            if "text" in item:
                text = shortened(plain(item["text"], tokenizer), tokenizer, LONGEST_TEXT)
                part = {"text": text or "NULL"}  # as the card has it
            said = plain(sentence(item["instruction"]), tokenizer)
            chats.append([("system", [{"text": said}]), ("user", [part])])
        return self._read(chats)
