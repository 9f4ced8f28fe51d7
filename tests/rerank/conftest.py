"""A small index and hits of it, to rerank and to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from retrieve.conftest import BagOfWords, Toy

from egorag.types import Hit, Part

Hits = Callable[..., list[Hit]]


@pytest.fixture
def make_index(tmp_path: Any) -> Iterator[Callable[..., Toy]]:
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
def all_hits() -> Hits:
    """``all_hits(toy)``: every scene of the lowest level as a hit, by video and time."""

    def hits(toy: Toy, level: int = 0) -> list[Hit]:
        found = toy.folder.catalog.scenes(level=level)
        return [
            Hit(s, toy.folder.catalog.video(s.video).path, 1 / i, {"bm25": Part(i, 1 / i)}, "")
            for i, s in enumerate(found, 1)
        ]

    return hits
