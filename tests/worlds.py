"""A small sample world as a benchmark, and its index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egorag import config
from egorag.evaluate.base import Dataset, Media
from egorag.evaluate.corpus import Corpus, corpus
from egorag.evaluate.sample_world import SampleWorld
from egorag.pipeline.progress import Silent

WORLD: dict[str, Any] = {"videos": 2, "seconds": 24, "size": (160, 90)}


def read_world(folder: Path, task: str) -> Dataset:
    """Two short videos of the sample world."""
    return SampleWorld(task, folder=str(folder), **WORLD).read()


def indexed(media: tuple[Media, ...], cache: Path, *overrides: str) -> Corpus:
    """Indexed by its subtitles alone, which is quick."""
    given = ["benchmark=sample_world", "encoder=[subtitles]", *overrides]
    return corpus(media, config.compose("bench", given), cache, Silent())
