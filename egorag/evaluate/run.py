"""Ask an index every item of a dataset, one row an item. Readers and scores are elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from egorag.errors import MediaError
from egorag.evaluate.base import Dataset, Item, Media
from egorag.evaluate.corpus import Corpus
from egorag.evaluate.score import Row, grades, of_answer, of_cuts, of_moments, of_ranking
from egorag.spans import to_seconds, to_us
from egorag.types import LEVELS, Hit, Scene

if TYPE_CHECKING:
    from egorag.api import Index
    from egorag.generate.base import Answerer

MAIN = {"retrieval": "ndcg@{k}", "choice": "accuracy", "moments": "R1@0.5", "boundaries": "f1"}
"""The metric that heads a leaderboard, by kind of dataset."""

Measured = tuple[dict[str, float], dict[str, Any]]


@dataclass(frozen=True)
class Asking:
    """How items are asked; the names are those of ``search`` and ``ask``.

    Attributes:
        methods: plugins that both take, by keyword: ``{"fuser": ReciprocalRank()}``.
        tolerance: microseconds by which a scene boundary may be missed.
    """

    k: int = 10
    level: str = "scene"
    without: tuple[str, ...] = ()
    methods: Mapping[str, Any] = field(default_factory=dict)
    answerer: Answerer | None = None
    tolerance: int = to_us(0.5)


@dataclass(frozen=True)
class Run:
    """Rows of the items that could be asked, and why the others could not, by item."""

    rows: tuple[Row, ...]
    left_out: Mapping[str, str]


def ready(dataset: Dataset, corpus: Corpus) -> tuple[list[Item], dict[str, str]]:
    """The items whose media are indexed, and why each other is left out.

    An item needs all videos that it is asked of; one asked of all videos needs one with an answer.

    Raises:
        MediaError: no item is left.
    """
    items, left_out = [], {}
    for item in dataset.items:
        lacking = item.needs - corpus.ids.keys()
        if lacking and (item.videos or lacking == item.needs):
            name = min(lacking)
            left_out[item.id] = (
                f"{name} could not be indexed: {corpus.failed[name]}"
                if name in corpus.failed
                else f"the media lack {name}"
            )
        else:
            items.append(item)
    if not items:
        (why, count), *_ = Counter(left_out.values()).most_common(1)
        raise MediaError(
            f"{dataset.name}: none of {len(dataset.items)} items can be run; {count}: {why}"
        )
    return items, left_out


def ask_all(
    dataset: Dataset,
    items: Sequence[Item],
    index: Index,
    corpus: Corpus,
    asking: Asking,
    done: Callable[[Row], None] = lambda _: None,
) -> list[Row]:
    """A row for each item, in order; ``done`` is told each as it comes.

    Raises:
        ConfigError, SpaceError, ServerError: as ``Index.search`` and ``Index.ask``.
    """
    session = _Session(dataset, index, corpus, asking)
    rows = []
    for item in items:
        began = time.monotonic()
        values, output = session.measure(item)
        row = Row(item, values if item.public else {}, output, time.monotonic() - began)
        done(row)
        rows.append(row)
    return rows


@dataclass(frozen=True)
class _Session:
    dataset: Dataset
    index: Index
    corpus: Corpus
    asking: Asking

    def measure(self, item: Item) -> Measured:
        """What the item scored, and what the index gave."""
        by: dict[str, Callable[[Item], Measured]] = {
            "retrieval": self._retrieve,
            "choice": self._answer,
            "moments": self._moments,
            "boundaries": self._cuts,
        }
        return by[self.dataset.kind](item)

    @cached_property
    def _media(self) -> dict[str, Media]:
        return {one.name: one for one in self.dataset.media}

    @cached_property
    def _scenes(self) -> dict[str, list[Scene]]:
        """Scenes of the level that is searched, by name in the annotations."""
        level = self.asking.level if self.asking.level in LEVELS else "scene"
        return {name: self.index.scenes(id, level) for name, id in self.corpus.ids.items()}

    def _limits(self, item: Item) -> dict[str, Any]:
        after, before = self._window(item)
        return {
            "k": self.asking.k,
            "videos": [self.corpus.ids[name] for name in item.videos],
            "after": after,
            "before": before,
            "until": item.until,
            "without": self.asking.without,
            **self.asking.methods,
        }

    def _window(self, item: Item) -> tuple[float | None, float | None]:
        """The stretch it is asked of, widened to the scenes that touch it: only whole scenes are
        searched, and a stretch is often shorter than one."""
        if item.window is None:
            return None, None
        scenes = [scene.span for scene in self._scenes[item.videos[0]]]
        touched = [span for span in scenes if span.overlap(item.window)] or [item.window]
        return to_seconds(touched[0].start), to_seconds(touched[-1].end)

    def _search(self, item: Item) -> list[Hit]:
        found = self.index.search(item.text, level=self.asking.level, **self._limits(item))
        return list(found)

    def _retrieve(self, item: Item) -> Measured:
        hits = self._search(item)
        right = grades(item.relevant, self._scenes)
        values = of_ranking(hits, right, self.asking.k) if right else {}
        return values, {"hits": [hit.to_json() for hit in hits]}

    def _moments(self, item: Item) -> Measured:
        hits = self._search(item)
        return of_moments(hits, item.relevant), {"hits": [hit.to_json() for hit in hits]}

    def _answer(self, item: Item) -> Measured:
        answer = self.index.ask(
            item.text,
            choices=item.choices or None,
            answerer=self.asking.answerer,
            **self._limits(item),
        )
        values = of_answer(answer, item)
        right = grades(item.relevant, self._scenes)
        if right:
            values["evidence"] = float(any(h.scene.id in right for h in answer.evidence))
        return values, answer.to_json()

    def _cuts(self, item: Item) -> Measured:
        (name,) = item.videos
        scenes = self._scenes[name]
        cuts = [to_seconds(scene.span.start) for scene in scenes]
        return of_cuts(scenes, item, self.asking.tolerance), {"starts": cuts}
