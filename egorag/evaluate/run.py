"""Ask an index every item of a dataset, one row an item. Readers and scores are elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from egorag.asked import make_query
from egorag.errors import MediaError
from egorag.evaluate.base import Dataset, Item, Media
from egorag.evaluate.corpus import Corpus
from egorag.evaluate.record import Outcome, RunFolder
from egorag.evaluate.score import Row, grades, of_answer, of_cuts, of_moments, of_ranking
from egorag.spans import to_seconds, to_us
from egorag.types import LEVELS, Answer, Citation, Hit, Query, Scene

if TYPE_CHECKING:
    from egorag.api import Index
    from egorag.generate.base import Answerer

MAIN = {"retrieval": "ndcg@{k}", "choice": "accuracy", "moments": "R1@0.5", "boundaries": "f1"}
"""The metric that heads a leaderboard, by kind of dataset."""

Measured = tuple[dict[str, float], dict[str, Any]]
Condition = Callable[[Item], Measured]
"""One way to do an item: what it scored, and what came out."""


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


def measured(
    items: Sequence[Item],
    conditions: Mapping[str, Condition],
    folder: RunFolder,
    watch: Callable[[str, int], None] = lambda _, __: None,
    shared: Mapping[str, Path] = MappingProxyType({}),
    fresh: bool = False,
) -> dict[str, list[Row]]:
    """A row for each item under each condition, in order; what ``folder`` holds is not done again.

    Args:
        watch: told the condition and the number of the row before each that is done.
        shared: folders by condition, where rows are kept that are the same for other runs too.
        fresh: forget what is kept there.

    Raises:
        ConfigError, SpaceError, ServerError: as ``Index.search`` and ``Index.ask``.
        StoreError: a row cannot be kept; those before are.
    """
    folder.keep(items)
    for name, condition in conditions.items():
        lacking = [item for item in items if (name, item.id) not in folder.outcomes]
        if lacking and name in shared:
            with RunFolder.open(shared[name], fresh=fresh) as common:
                _ask(items, name, condition, common, watch)
            for item in lacking:
                folder.put(name, item.id, common.outcomes[name, item.id])
        _ask(items, name, condition, folder, watch)
    return folder.rows(items, list(conditions))


def _ask(
    items: Sequence[Item],
    name: str,
    condition: Condition,
    folder: RunFolder,
    watch: Callable[[str, int], None],
) -> None:
    for number, item in enumerate(items):
        if (name, item.id) not in folder.outcomes:
            watch(name, number)
            began = time.monotonic()
            values, output = condition(item)
            if not item.public:
                values = {}
            folder.put(name, item.id, Outcome(values, output, time.monotonic() - began))


@dataclass(frozen=True)
class Session:
    """An index that is asked the items of a dataset."""

    dataset: Dataset
    index: Index
    corpus: Corpus
    asking: Asking

    def measure(self, item: Item) -> Measured:
        """What the item scored, and what the index gave."""
        by: dict[str, Callable[[Item], Measured]] = {
            "retrieval": self._rank,
            "choice": self._answer,
            "moments": self._rank,
            "boundaries": self._cuts,
        }
        return by[self.dataset.kind](item)

    @cached_property
    def _media(self) -> dict[str, Media]:
        return {one.name: one for one in self.dataset.media}

    @cached_property
    def scenes(self) -> dict[str, list[Scene]]:
        """Scenes of the level that is searched, by name in the annotations."""
        level = self.asking.level if self.asking.level in LEVELS else "scene"
        return {name: self.index.scenes(id, level) for name, id in self.corpus.ids.items()}

    def limits(self, item: Item) -> dict[str, Any]:
        """What binds a search for the item, as ``Index.search`` takes it."""
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
        scenes = [scene.span for scene in self.scenes[item.videos[0]]]
        touched = [span for span in scenes if span.overlap(item.window)] or [item.window]
        return to_seconds(touched[0].start), to_seconds(touched[-1].end)

    def query(self, item: Item, text: str | None = None) -> Query:
        """The item, or another ``text`` under its limits, as a query."""
        limits = {name: self.limits(item)[name] for name in ("after", "before", "until", "videos")}
        media = {"text": item.text if text is None else text}
        return make_query(self.index.folder.catalog, media, level=self.asking.level, **limits)

    @property
    def answerer(self) -> Answerer:
        """Who answers."""
        from egorag.generate.extractive import Extractive

        return Extractive() if self.asking.answerer is None else self.asking.answerer

    def search(self, item: Item, **changed: Any) -> list[Hit]:
        """The best scenes for the item; ``changed`` goes over its ``limits``."""
        asked = {**self.limits(item), **changed}
        return list(self.index.search(item.text, level=self.asking.level, **asked))

    def grades(self, item: Item) -> dict[int, float]:
        """Grade by id of the scenes with the answer."""
        return grades(item.relevant, self.scenes)

    def of_hits(self, item: Item, hits: Sequence[Hit]) -> Measured:
        """What a ranking of scenes is worth for the item."""
        right = self.grades(item)
        if self.dataset.kind == "moments":
            values = of_moments(hits, item.relevant)
        else:
            values = of_ranking(hits, right, self.asking.k) if right else {}
        return values, {"hits": _graded(hits, right), "relevant": len(right)}

    def _rank(self, item: Item) -> Measured:
        return self.of_hits(item, self.search(item))

    def _answer(self, item: Item) -> Measured:
        answer = self.index.ask(
            item.text,
            choices=item.choices or None,
            answerer=self.asking.answerer,
            **self.limits(item),
        )
        return self.of_answer(item, answer)

    def of_answer(self, item: Item, answer: Answer) -> Measured:
        """What an answer is worth, stage by stage: ``evidence``, whether a scene with the answer
        was read; ``used``, whether it cites a stretch with the answer; ``accuracy``, and that
        where the evidence was read."""
        values = of_answer(answer, item)
        right = self.grades(item)
        if right:
            read = any(hit.scene.id in right for hit in answer.evidence)
            values["evidence"] = float(read)
            values["used"] = float(any(self._there(c, item) for c in answer.citations))
            if read:
                values["accuracy|evidence"] = values["accuracy"]
        found = {"evidence": _graded(answer.evidence, right), "relevant": len(right)}
        return values, {**answer.to_json(), **found}

    def _there(self, citation: Citation, item: Item) -> bool:
        """Whether a citation touches a stretch with the answer."""
        return any(
            self.corpus.ids.get(one.video) == citation.video
            and (one.span.overlap(citation.span) > 0 or citation.span.start in one.span)
            for one in item.relevant
        )

    def _cuts(self, item: Item) -> Measured:
        (name,) = item.videos
        scenes = self.scenes[name]
        cuts = [to_seconds(scene.span.start) for scene in scenes]
        return of_cuts(scenes, item, self.asking.tolerance), {"starts": cuts}


def _graded(hits: Sequence[Hit], right: Mapping[int, float]) -> list[dict[str, Any]]:
    """Hits as plain data, each with its grade."""
    return [{**hit.to_json(), "grade": right.get(hit.scene.id, 0.0)} for hit in hits]
