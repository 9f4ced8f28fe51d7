"""What a benchmark is: questions with known answers, the media they are asked of, a reader.

A reader is a frozen dataclass of settings with ``read()``; it reads annotations as their owners
publish them and touches no media. ``run.py`` asks an index, ``score.py`` measures what came back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from egorag.errors import ConfigError, did_you_mean
from egorag.metrics.intervals import Interval
from egorag.spans import Span
from egorag.train.judged import Relevant
from egorag.types import TimedText

__all__ = ["KINDS", "Benchmark", "Dataset", "FromFile", "Item", "Media", "Relevant", "Scores"]

KINDS = ("retrieval", "choice", "moments", "scores", "boundaries")
"""What is done with an item: scenes are ranked, a question is answered, moments of one video are
ranked, class scores are read from a file, scene boundaries are compared."""


@dataclass(frozen=True)
class Item:
    """One question, query or annotated stretch.

    Attributes:
        id: as its owners call it; unique in the dataset.
        text: what is asked; "" where the media alone are the question.
        videos: names of the media it is asked of; empty means all.
        choices: texts to choose from; empty for an open question.
        answer: index into ``choices``, or a text, or None where nothing in the media answers it.
        public: False where the owners keep the answer; the item is run and not scored.
        relevant: where the answer lies, as far as the owners tell (the oracle's evidence).
        window: the stretch of the one video that it is asked of; None for all of it.
        until: the causal cut-off, see ``Query.until``.
        labels: categories that scores are broken down by, e.g. ``{"task": "counting"}``; an item
            of several labels counts for each.

    Raises:
        ValueError: an answer out of range, a window over several videos.
    """

    id: str
    text: str
    videos: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    answer: int | str | None = None
    public: bool = True
    relevant: tuple[Relevant, ...] = ()
    window: Span | None = None
    until: float | datetime | None = None
    labels: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.answer, int) and not 0 <= self.answer < len(self.choices):
            raise ValueError(f"the answer {self.answer} is none of {len(self.choices)} choices")
        if self.window is not None and len(self.videos) != 1:
            raise ValueError(f"a window is of one video, got {len(self.videos)}")
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    @property
    def needs(self) -> frozenset[str]:
        """Names of the media without which it cannot be run."""
        return frozenset(self.videos) or frozenset(one.video for one in self.relevant)

    @property
    def cluster(self) -> str:
        """What it shares with items that are no independent evidence: its video."""
        return min(self.needs, default=self.id)


@dataclass(frozen=True)
class Media:
    """One video as the annotations call it.

    Attributes:
        path: the file; None where the user lacks it.
        texts: timed text instead of a file.
        recorded_at: timezone-aware wall clock of time 0, where the annotations tell.
    """

    name: str
    path: Path | None = None
    texts: tuple[TimedText, ...] = ()
    recorded_at: datetime | None = None

    @property
    def here(self) -> bool:
        """Whether there is something to index."""
        return self.path is not None or bool(self.texts)


@dataclass(frozen=True)
class Dataset:
    """A benchmark as read, checked as a whole.

    Attributes:
        kind: one of ``KINDS``.
        sources: sha256 of each file that was read, by its name.
        notes: what a reader of the numbers must know of this data.

    Raises:
        ConfigError: no items, two of one id, two media of one name, an item of unknown media.
    """

    name: str
    kind: str
    items: tuple[Item, ...]
    media: tuple[Media, ...]
    sources: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no kind {self.kind!r}{did_you_mean(self.kind, KINDS)}")
        if not self.items:
            raise ConfigError(f"{self.name}: nothing in it fits these settings")
        _once(self.name, "items", (item.id for item in self.items))
        _once(self.name, "videos", (one.name for one in self.media))
        known = {one.name for one in self.media}
        for item in self.items:
            for video in sorted({*item.videos, *(one.video for one in item.relevant)} - known):
                raise ConfigError(f"{self.name}: item {item.id!r} names an unknown video {video!r}")

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the media that the user lacks."""
        return tuple(one.name for one in self.media if not one.here)


@dataclass(frozen=True)
class Scores:
    """What was measured.

    Attributes:
        main: the metric that heads a leaderboard.
        overall: by metric; a bare number where the official one is no mean over items.
        categories: the same by category and label, e.g. ``["task"]["counting"]["accuracy"]``.
        percent: whether the values are percent, as their owners report them.
    """

    main: str
    overall: Mapping[str, Interval | float]
    categories: Mapping[str, Mapping[str, Mapping[str, Interval | float]]] = field(
        default_factory=dict
    )
    percent: bool = False


class Benchmark(Protocol):
    """Settings of one benchmark; a frozen dataclass."""

    def read(self) -> Dataset:
        """The items, and which of their media are here.

        Raises:
            ConfigError: a file is missing (says where its owners publish it), is damaged, or
                contradicts itself; names file and line or id.
        """


@runtime_checkable
class FromFile(Protocol):
    """A benchmark whose owners score files of predictions."""

    def from_file(self, dataset: Dataset) -> Scores | None:
        """The official metrics of the file that the settings name; None where they name none."""


def _once(name: str, what: str, ids: Iterable[str]) -> None:
    for id, count in Counter(ids).most_common(1):
        if count > 1:
            raise ConfigError(f"{name}: {count} {what} are called {id!r}; each must be there once")
