"""Text embedding by EmbeddingGemma: small, of 100 languages, made for retrieval.

Schechter Vera et al. 2025, "EmbeddingGemma: Powerful and Lightweight Text Representations";
https://huggingface.co/google/embeddinggemma-300m (gated, Gemma licence). A Gemma 3 made
bidirectional, mean over tokens, two dense layers. It is trained with a prompt before every query
(``task: search result | query: ``) and document (``title: none | text: ``), which the checkpoint
names itself, reads 2048 tokens and does not compute right in float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.sentence import SentenceEmbedding
from egorag.errors import ConfigError

SIZES = (768, 512, 256, 128)
"""Components that were trained to stand alone (Matryoshka)."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingGemma(SentenceEmbedding):
    """One vector a scene from its text; settings as ``SentenceEmbedding`` has them.

    Attributes:
        truncate_dim: 768, 512, 256 or 128 components, at unit length; None is all 768.
    """

    family: ClassVar[str] = "embeddinggemma"
    published: ClassVar[Mapping[str, Published]] = {
        "google/embeddinggemma-300m": Published(307.6e6, 768, "gemma", gated=True, download=1.24e9),
    }
    dtypes: ClassVar[tuple[str, ...]] = ("auto", "float32", "bfloat16")

    checkpoint: str = by_name("google/embeddinggemma-300m")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.truncate_dim is not None and self.truncate_dim not in SIZES:
            raise ValueError(f"truncate_dim must be one of {SIZES}, got {self.truncate_dim}")

    def _prompt(self, of: str) -> str:
        """As the base has it, but never none by accident: without its prompts the model answers,
        only worse."""
        prompt = super()._prompt(of)
        if not prompt and getattr(self, f"{of}_prompt") is None:
            raise ConfigError(
                f"{self.checkpoint} names no {of} prompt, which EmbeddingGemma is trained with; "
                "give the published checkpoint or one saved from it, or set "
                f"{of}_prompt ('' for none)"
            )
        return prompt
