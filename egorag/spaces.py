"""Embedding spaces: where vectors live, and which queries may enter.

Two vectors may be compared only when their spaces are equal. There is no padding, no guessing:
a text query reaches a video space only if the model that made it embeds text there too.
"""

from __future__ import annotations

from dataclasses import dataclass

from egorag.errors import SpaceError

QUERY_MEDIA = ("text", "image", "sound", "video")


@dataclass(frozen=True)
class EmbeddingSpace:
    """Identity of a vector space.

    Attributes:
        model: model id, e.g. ``"sentence-transformers/all-MiniLM-L6-v2"``.
        revision: checkpoint revision or the version of a classical descriptor.
        dim: number of components.
        normalised: whether vectors have unit L2 norm (cosine = inner product).
        queries: media that can be embedded into this space, a subset of ``QUERY_MEDIA``.
    """

    model: str
    revision: str
    dim: int
    normalised: bool
    queries: frozenset[str]

    def __post_init__(self) -> None:
        if self.dim <= 0:
            raise ValueError(f"space of {self.model}: dim must be positive, got {self.dim}")
        object.__setattr__(self, "queries", frozenset(self.queries))
        unknown = self.queries - set(QUERY_MEDIA)
        if unknown:
            raise ValueError(
                f"space of {self.model}: unknown query media {sorted(unknown)}; "
                f"choices: {', '.join(QUERY_MEDIA)}"
            )

    def check_same(self, other: EmbeddingSpace) -> None:
        """Raise SpaceError unless both are the same space."""
        if self != other:
            raise SpaceError(
                f"vectors of {self} cannot be compared with vectors of {other}; "
                "re-index with one encoder, or use a trained projection between the two"
            )

    def check_query(self, medium: str) -> None:
        """Raise SpaceError unless a query of ``medium`` can be embedded into this space."""
        if medium not in self.queries:
            takes = ", ".join(sorted(self.queries)) or "no queries at all"
            raise SpaceError(
                f"a {medium} query cannot enter the space of {self.model} (it takes: {takes}); "
                f"search with an encoder whose space takes {medium}"
            )

    def to_json(self) -> dict[str, object]:
        """Plain data; reads back with ``from_json``."""
        return {
            "model": self.model,
            "revision": self.revision,
            "dim": self.dim,
            "normalised": self.normalised,
            "queries": sorted(self.queries),
        }

    @classmethod
    def from_json(cls, data: dict[str, object]) -> EmbeddingSpace:
        """The space ``to_json`` described."""
        queries = data["queries"]
        assert isinstance(queries, list)
        return cls(
            model=str(data["model"]),
            revision=str(data["revision"]),
            dim=int(str(data["dim"])),
            normalised=bool(data["normalised"]),
            queries=frozenset(queries),
        )

    def __str__(self) -> str:
        return f"{self.model}@{self.revision} ({self.dim}-d)"
