"""Small indexes written straight into the store, with encoders that need no model."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from egorag.encode.base import Medium, Over
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.types import Query, TimedText

_spec = importlib.util.spec_from_file_location(
    "corpus", Path(__file__).parents[2] / "benchmarks" / "corpus.py"
)
assert _spec and _spec.loader
corpus = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)


@dataclass(frozen=True)
class BagOfWords:
    """Hashed words, so that texts that share words are near; stands for any medium."""

    takes: str = "text"
    name: str = "toy"
    dim: int = 128
    medium: ClassVar[Medium] = Medium.TEXT
    over: ClassVar[Over] = Over.SCENES
    sampling: ClassVar[None] = None

    @property
    def space(self) -> EmbeddingSpace:
        takes = frozenset(self.takes.split("+")) - {""}
        return EmbeddingSpace(self.name, "1", self.dim, True, takes)

    def encode(self, documents: Sequence[Any]) -> np.ndarray:
        return self.embed_texts([d.text for d in documents])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
                row[int.from_bytes(digest[:4], "big") % self.dim] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_query(self, query: Query, medium: str) -> np.ndarray:
        # The "content" of a toy picture or sound is the name of its file.
        said = getattr(query, medium)
        return self.embed_texts([Path(str(said)).stem if medium != "text" else str(said)])[0]


class Toy:
    """An index folder to write to and read from."""

    def __init__(self, path: Path, encoders: dict[str, BagOfWords]) -> None:
        self.folder = IndexFolder.create(path, "")
        self.encoders = encoders
        corpus.write_encoders(self.folder, encoders)

    def add(
        self,
        name: str,
        *lines: tuple[float, float, str] | tuple[float, float, str, str],
        recorded_at: datetime | None = None,
        scenes: Sequence[tuple[float, float]] = (),
    ) -> str:
        """Lines are (start s, end s, text[, track]); returns the video's id."""
        texts = [
            TimedText(Span.seconds(line[0], line[1]), line[2], (*line, "caption")[3], "test")
            for line in lines
        ]
        spans = [Span.seconds(*scene) for scene in scenes]
        video = corpus.write_video(self.folder, name, texts, self.encoders, recorded_at, spans)
        return str(video.id)


@pytest.fixture
def make_index(tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    """``make_index(**encoders) -> Toy``; one text encoder called ``words`` if none is given."""
    made: list[Toy] = []

    def make(**encoders: BagOfWords) -> Toy:
        toy = Toy(tmp_path / f"index{len(made)}", encoders or {"words": BagOfWords()})
        made.append(toy)
        return toy

    yield make
    for toy in made:
        toy.folder.close()


@pytest.fixture
def bag_of_words() -> type[BagOfWords]:
    return BagOfWords
