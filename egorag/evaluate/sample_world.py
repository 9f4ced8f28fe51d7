"""The sample world: videos that are made here, so that all there is to know of them is known.

``egorag.sample`` writes a script and renders it; the same settings give the same videos, which are
kept in ``folder``. Nothing is downloaded, no model is needed.

Kinds of queries, by where the answer is to be found (``task=retrieval``): ``spoken``, ``written``
on a board, ``audible``, ``visible`` (a thing that no sentence of its video names), ``motion`` (a
hand moves a thing; the narration tells of it, too, unless ``subtitles=none``), ``order`` (what
followed the one visit of a place). Questions (``task=questions``): those of the script, multiple
choice and open, some without an answer; ``counting``; and ``causal``, the same question asked
before the deed, when nothing answers it, and after. ``task=boundaries``: the scenes themselves.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import check_limit, draw
from egorag.evaluate.base import Dataset, Item, Media, Relevant
from egorag.sample import Truth, make
from egorag.sample.sounds import KINDS
from egorag.sample.write import written
from egorag.spans import Span, to_seconds

TASKS = {"retrieval": "retrieval", "questions": "choice", "boundaries": "boundaries"}
"""The kind of dataset, by task."""

CHOICES = 4
AFTERWARDS = 1.0
"""Seconds after the scene of a deed at which it is surely known, however the scene was cut."""


@dataclass(frozen=True)
class SampleWorld:
    """See the module.

    Attributes:
        task: one of ``TASKS``.
        videos: how many; one is asked about among all others.
        seconds: length of each. Longer is harder: more scenes, visits come again.
        scenes: of each video; one for every 7.5 seconds unless given.
        size: width and height of the picture.
        subtitles: ``stream``, ``sidecar``, or ``none``: then what is said can only be heard, by a
            voice that no recogniser understands.
        folder: where the videos are kept.
        limit: how many items to run, drawn by ``seed``.
        seed: the first video's; the next ones count up.
    """

    task: str = "retrieval"
    videos: int = 4
    seconds: float = 60
    scenes: int | None = None
    size: tuple[int, int] = (480, 270)
    subtitles: str = "stream"
    folder: str = "runs/sample_world"
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_limit(self.limit, self.seed)
        if self.task not in TASKS:
            raise ValueError(f"no task {self.task!r}{did_you_mean(str(self.task), TASKS)}")
        if not isinstance(self.videos, int) or not 1 <= self.videos <= 10_000:
            raise ValueError(f"videos must be a whole number from 1 up, got {self.videos!r}")
        if not isinstance(self.size, (list, tuple)) or [*map(type, self.size)] != [int, int]:
            raise ValueError(f"size must be [width, height] in pixels, got {self.size!r}")
        object.__setattr__(self, "size", tuple(self.size))

    def read(self) -> Dataset:
        """The items of the task; videos that are not in the folder yet are made.

        Raises:
            ConfigError: settings out of range, see ``egorag.sample.make``.
        """
        made = [self._made(self.seed + number) for number in range(self.videos)]
        names = [path.stem for path, _ in made]
        worlds = [_World(name, truth) for name, (_, truth) in zip(names, made, strict=True)]
        if self.task == "retrieval":
            items = queries(worlds)
        elif self.task == "questions":
            items = [item for world in worlds for item in world.questions()]
        else:
            items = [world.boundaries() for world in worlds]
        media = tuple(Media(name, path) for name, (path, _) in zip(names, made, strict=True))
        told = json.dumps([truth.to_json() for _, truth in made], sort_keys=True)
        sources = {"script": hashlib.sha256(told.encode()).hexdigest()}
        chosen = draw(items, self.limit, self.seed)
        return Dataset("sample_world", TASKS[self.task], chosen, media, sources)

    def _made(self, seed: int) -> tuple[Path, Truth]:
        """One video and its script; rendered unless it is there, of this very script."""
        told = [self.seconds, seed, self.size, self.scenes, self.subtitles]
        key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]
        folder = Path(self.folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make the folder {self.folder!r}: {error.strerror}") from None
        path = folder / f"day{seed}-{key}.mp4"
        wanted: dict[str, Any] = {
            "seconds": self.seconds,
            "seed": seed,
            "size": self.size,
            "scenes": self.scenes,
            "subtitles": self.subtitles,
        }
        return path, written(path, **wanted) or make(path, **wanted, overwrite=True)


def queries(worlds: Sequence[_World]) -> list[Item]:
    """One query a text, asked of all videos; right is every place in any of them."""
    found: dict[tuple[str, str], list[Relevant]] = defaultdict(list)
    for world in worlds:
        for kind, text, span in world.sights():
            found[kind, text].append(Relevant(world.name, span, 1.0))
    named = " ".join(said.text for world in worlds for said in world.truth.narration)
    return [
        Item(f"{kind}: {text}", text, relevant=tuple(places), labels={"kind": kind})
        for (kind, text), places in found.items()
        if kind != "visible" or text.removeprefix("a ") not in named
    ]


@dataclass(frozen=True)
class _World:
    """A video's name and script."""

    name: str
    truth: Truth

    def sights(self) -> Iterator[tuple[str, str, Span]]:
        """What can be looked for: kind, query, and a stretch that answers it."""
        for scene in self.truth.scenes:
            for said in scene.narration:
                yield "spoken", said.text, said.span
            if scene.board:
                yield "written", f"a board that says {scene.board.text}", scene.board.span
            if scene.noise:
                yield "audible", KINDS[scene.noise.kind], scene.noise.span
            for thing in scene.things:
                yield "visible", f"a {thing.name}", scene.span
                if thing.moved:
                    yield "motion", f"a hand carries the {thing.name}", thing.moved
        for scene, following in pairwise(self.truth.scenes):
            yield "order", f"the place that comes right after the {scene.place}", following.span

    def questions(self) -> Iterator[Item]:
        """The script's questions, then counting, then each deed before and after it is done."""
        for number, asked in enumerate(self.truth.questions, 1):
            span = asked.span
            relevant = (Relevant(self.name, span, 1.0),) if span else ()
            answer = asked.answer if asked.correct is None else asked.correct
            item = Item(
                f"{self.name} {number}",
                asked.text,
                (self.name,),
                asked.choices,
                answer,
                relevant=relevant,
                labels={"kind": asked.kind},
            )
            yield item
            if span and asked.text.startswith("Where did I put"):
                scene = next(one.span for one in self.truth.scenes if span.start in one.span)
                early, late = to_seconds(span.start), to_seconds(scene.end) + AFTERWARDS
                yield replace(
                    item,
                    id=f"{item.id} before",
                    answer=None,
                    relevant=(),
                    until=early,
                    labels={"kind": "causal, before"},
                )
                yield replace(
                    item, id=f"{item.id} after", until=late, labels={"kind": "causal, after"}
                )
        yield from self._counting()

    def _counting(self) -> Iterator[Item]:
        scenes = self.truth.scenes
        told: dict[str, list[Span]] = {
            f"How many times was I in the {place}?": [s.span for s in scenes if s.place == place]
            for place in sorted({scene.place for scene in scenes})
        }
        told = {text: spans for text, spans in told.items() if len(spans) > 1}
        told["How many things did I move?"] = [
            thing.moved for scene in scenes for thing in scene.things if thing.moved
        ]
        told["How many boards were lit?"] = [scene.board.span for scene in scenes if scene.board]
        for text, spans in told.items():
            dice = random.Random(f"{self.truth.seed} {text}")
            near = [n for n in range(max(0, len(spans) - 3), len(spans) + 4) if n != len(spans)]
            choices = [len(spans), *dice.sample(near, CHOICES - 1)]
            dice.shuffle(choices)
            yield Item(
                f"{self.name} {text}",
                text,
                (self.name,),
                tuple(map(str, choices)),
                choices.index(len(spans)),
                relevant=tuple(Relevant(self.name, span, 1.0) for span in spans),
                labels={"kind": "counting"},
            )

    def boundaries(self) -> Item:
        """The scenes of the whole video."""
        spans = [Relevant(self.name, scene.span, 1.0) for scene in self.truth.scenes]
        return Item(self.name, "", (self.name,), relevant=tuple(spans))
