"""Queries whose evidence is in one place only: said, written, seen, heard, done, or in the order.

Each is asked of one video that holds its answer and of every other one in which nothing answers
it, so what is right is known and a place to look is not given away. Pictures, sounds and clips are
made from days that are not indexed (seeds from ``ELSEWHERE`` on): nothing is found by being a copy.

- ``spoken``: a question about a deed in other words than the narrator's; no deed is drawn.
- ``written``: what a lit board says; no sentence of any video holds its words.
- ``visible``: the same place on another day, as a picture. ``visible, a thing``: a thing drawn on a
  plain ground; ``in words``: its name, which no sentence of the videos asked holds.
- ``audible``: the sound of a place, made with another seed; ``in words``: nobody says it.
- ``motion``: a hand carries something from one spot to another, filmed on another day; other
  scenes of that place differ from it in the movement alone. ``one frame``: its middle.
- ``order``: what came after a deed; the scene that did shares no word with the question.
  ``order, of places``: where one was after a place visited once.
"""

from __future__ import annotations

import io
import os
import wave
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from egorag.retrieve.words import content_words
from egorag.sample import Truth
from egorag.sample.draw import frames
from egorag.sample.mix import RATE
from egorag.sample.pen import Pen
from egorag.sample.places import COLOURS
from egorag.sample.props import thing as draw_thing
from egorag.sample.questions import DEEDS
from egorag.sample.sounds import KINDS, noise
from egorag.sample.truth import Scene
from egorag.sample.world import script
from egorag.spans import Span
from egorag.store.files import write_whole

ELSEWHERE = 1000
DAYS = 40
"""Days that are looked through for the same movement."""
SOUND_SECONDS = 3
CLIP_RATE = 10


@dataclass(frozen=True)
class Asked:
    """One query.

    Attributes:
        kind: where its evidence is.
        media: as ``Index.search`` takes it.
        video: the one that answers it.
        among: the videos it is asked of, that one first.
        right: where the answer is, in ``video``.
        answer: in words, where the query is a question that has one.
    """

    kind: str
    media: Mapping[str, str]
    video: str
    among: tuple[str, ...]
    right: tuple[Span, ...]
    answer: str | None = None


@dataclass(frozen=True)
class _Sight:
    """Something in one video: ``key`` tells what, ``fit`` whether it can be asked about."""

    kind: str
    key: str
    span: Span
    fit: bool = True


def queries(truths: Mapping[str, Truth], folder: Path) -> list[Asked]:
    """Every query the scripts give, by kind; pictures, sounds and clips are kept in ``folder``.

    Args:
        truths: by name of the video.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held: dict[tuple[str, str], dict[str, list[_Sight]]] = defaultdict(lambda: defaultdict(list))
    for name, truth in truths.items():
        for sight in _sights(truth):
            held[sight.kind, sight.key][name].append(sight)
    found = []
    for (kind, key), by in held.items():
        others = tuple(name for name in truths if name not in by)
        for name, sights in by.items():
            if all(sight.fit for sight in sights):
                right = tuple(sight.span for sight in sights)
                answer = DEEDS[key].answer if kind == "spoken" else None
                for variant, media in _media(kind, key, truths[name], folder):
                    found.append(Asked(variant, media, name, (name, *others), right, answer))
    return sorted(found, key=lambda one: list(_ORDER).index(one.kind))


_ORDER = (
    "spoken",
    "written",
    "visible",
    "visible, a thing",
    "visible, a thing in words",
    "audible",
    "audible, in words",
    "motion",
    "motion, one frame",
    "order",
    "order, of places",
)


def _sights(truth: Truth) -> Iterator[_Sight]:
    told = " ".join(said.text for said in truth.narration)
    for scene in truth.scenes:
        for said in scene.narration:
            if said.text in DEEDS:
                yield _Sight("spoken", said.text, said.span)
        if scene.board:
            yield _Sight("written", scene.board.text, scene.board.span)
        yield _Sight("visible", scene.place, scene.span)
        if scene.noise:
            yield _Sight("audible", scene.noise.kind, scene.noise.span)
        for one in scene.things:
            yield _Sight("visible, a thing", one.name, scene.span, one.name not in told)
            if one.moved:
                yield _Sight("motion", f"{scene.place}: {one.at} > {one.to}", one.moved)
    visits = [scene.place for scene in truth.scenes]
    for scene, after in pairwise(truth.scenes):
        once = visits.count(scene.place) == 1
        apart = scene.place != after.place
        yield _Sight("order, of places", scene.place, after.span, once and apart)
        for said in scene.narration:
            if said.text in DEEDS:
                last = said == scene.narration[-1] and " before " not in said.text
                yield _Sight("order", said.text, after.span, last and _strange(said.text, after))


def _strange(text: str, scene: Scene) -> bool:
    """Whether nothing that is said or written in the scene shares a word with the text."""
    told = [said.text for said in scene.narration]
    words, other = content_words([text, " ".join([*told, scene.board.text if scene.board else ""])])
    return not words & other


def _media(kind: str, key: str, truth: Truth, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The ways to ask: kind and query; none where no other day shows the same."""
    stem = f"{kind.split(',')[0]}-{truth.seed}-{key.replace(' ', '_').replace(':', '')}"
    path = folder / stem.replace(">", "to")
    if kind == "spoken":
        yield kind, {"query": DEEDS[key].question}
    elif kind == "written":
        yield kind, {"query": f"a board that says {key}"}
    elif kind == "visible":
        other = _day(ELSEWHERE + truth.seed, truth.size)
        scene = next(scene for scene in other.scenes if scene.place == key)
        middle = (scene.first_frame + scene.end_frame) // 2
        yield kind, {"image": _picture(path, _frame(other, scene, middle))}
    elif kind == "visible, a thing":
        yield kind, {"image": _picture(path, _drawn(key, truth.size))}
        yield f"{kind} in words", {"query": f"a {key}"}
    elif kind == "audible":
        yield kind, {"sound": _sound(path, key, truth.seed)}
        yield "audible, in words", {"query": KINDS[key]}
    elif kind == "motion":
        if (same := _same(key, truth)) is not None:
            day, scene, span = same
            first, last = (round(us * day.rate / 1_000_000) for us in (span.start, span.end))
            yield kind, {"video": _clip(path, day, scene, first, last)}
            middle = _frame(day, scene, (first + last) // 2)
            yield "motion, one frame", {"image": _picture(path, middle)}
    elif kind == "order":
        yield kind, {"query": f"What happened right after {key.rstrip('.')}?"}
    else:
        yield kind, {"query": f"Where was I right after the {key}?"}


@cache
def _day(seed: int, size: tuple[int, int]) -> Truth:
    return script(60, 8, seed, size, Fraction(30), "none")


def _same(key: str, truth: Truth) -> tuple[Truth, Scene, Span] | None:
    """The first movement from and to the same spots on another day."""
    for seed in range(ELSEWHERE, ELSEWHERE + DAYS):
        day = _day(seed, truth.size)
        for scene in day.scenes:
            for one in scene.things:
                if one.moved and f"{scene.place}: {one.at} > {one.to}" == key:
                    return day, scene, one.moved
    return None


def _frame(truth: Truth, scene: Scene, number: int) -> Any:
    (planes,) = frames(truth, replace(scene, first_frame=number, end_frame=number + 1))
    return cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)


def _drawn(name: str, size: tuple[int, int]) -> Any:
    """A thing alone, large, on grey."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    colour, noun = name.split()
    draw_thing(Pen.over(image).at(0.5, 0.75, size[1] / 2), noun, COLOURS[colour])
    return image


def _picture(path: Path, image: Any) -> str:
    _, data = cv2.imencode(".png", image)
    target = Path(f"{path}.png")
    write_whole(target, data.tobytes())
    return str(target)


def _sound(path: Path, kind: str, seed: int) -> str:
    dice = np.random.default_rng([ELSEWHERE + seed, 4])
    samples = noise(kind, SOUND_SECONDS * RATE, RATE, dice)
    data = io.BytesIO()
    with wave.open(data, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    target = Path(f"{path}.wav")
    write_whole(target, data.getvalue())
    return str(target)


def _clip(path: Path, truth: Truth, scene: Scene, first: int, last: int) -> str:
    target, partial = f"{path}.avi", f"{path}.{os.getpid()}.avi"
    every = frames(truth, replace(scene, first_frame=first, end_frame=last))
    out = cv2.VideoWriter(partial, cv2.VideoWriter.fourcc(*"MJPG"), CLIP_RATE, truth.size)
    for planes in islice(every, 0, None, round(truth.rate / CLIP_RATE)):
        out.write(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420))
    out.release()
    Path(partial).replace(target)
    return target
