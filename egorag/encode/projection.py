"""A projection: the map from a text encoder's space into that of an encoder that has read no text.

``python -m egorag.train projection`` learns one from pairs of text and clip
(``egorag.train.projection``); to apply it takes numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from egorag.encode.base import QueryEncoder, Vectors
from egorag.errors import SpaceError
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

Layers: TypeAlias = tuple[tuple[Vectors, Vectors], ...]


@dataclass(frozen=True, eq=False)
class Projection:
    """Linear layers with ReLU between them, then unit length.

    Attributes:
        name: of its folder; what messages call it.
        source: the space of the text vectors it takes.
        target: the space its vectors live in; normalised.
        layers: (weight float32 [out, in], bias float32 [out]) each.
        seen: ids of the videos it was trained on or chosen by.
    """

    name: str
    source: EmbeddingSpace
    target: EmbeddingSpace
    layers: Layers
    seen: frozenset[str]

    def __post_init__(self) -> None:
        width = self.source.dim
        for weight, bias in self.layers:
            if bias.ndim != 1 or weight.shape != (len(bias), width):
                raise ValueError(
                    f"a layer of weight {list(weight.shape)} and bias {list(bias.shape)} cannot "
                    f"follow {width}-d vectors"
                )
            width = len(bias)
        if not self.layers or width != self.target.dim or not self.target.normalised:
            raise ValueError(
                f"layers that end in {width}-d unit vectors do not reach {self.target}"
            )

    def apply(self, vectors: Vectors, space: EmbeddingSpace) -> Vectors:
        """Text vectors of ``space``, float32 [..., from], as unit vectors [..., to] of ``target``.

        Raises:
            SpaceError: ``space`` is not the one it was trained from.
        """
        if space != self.source:
            raise SpaceError(
                f"projection {self.name!r} takes vectors of {self.source}, not of {space}; train "
                "one from that space: python -m egorag.train projection"
            )
        return run(self.layers, vectors)


@dataclass(frozen=True, eq=False)
class Projected:
    """Texts as vectors of the space that a projection leads to.

    Attributes:
        encoder: the text encoder, set up.
    """

    projection: Projection
    encoder: QueryEncoder

    @property
    def space(self) -> EmbeddingSpace:
        """Where the vectors live."""
        return self.projection.target

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32 [texts, dim], unit rows."""
        return self.projection.apply(embed_queries(self.encoder, texts), self.projection.source)


def embed_queries(encoder: QueryEncoder, texts: Sequence[str]) -> Vectors:
    """float32 [texts, dim]: each as a query, which some encoders embed otherwise than documents."""
    return np.stack([encoder.embed_query(Query(text), "text") for text in texts])


def run(layers: Layers, vectors: Vectors) -> Vectors:
    """``vectors`` float32 [..., from] through the layers, as unit vectors [..., to]."""
    found = vectors
    for number, (weight, bias) in enumerate(layers):
        found = (np.maximum(found, 0) if number else found) @ weight.T + bias
    length = np.linalg.norm(found, axis=-1, keepdims=True)
    unit: Vectors = np.divide(found, np.maximum(length, 1e-12), dtype=np.float32)
    return unit
