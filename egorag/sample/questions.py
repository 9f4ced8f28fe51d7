"""Questions about a script, with answers that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from egorag.sample.places import ABSENT, PLACES
from egorag.sample.sounds import KINDS
from egorag.sample.truth import Kind, Question, Scene
from egorag.spans import Span

SIGHTS = {spot.name: spot.phrase for place in PLACES.values() for spot in place.spots}
DEEDS = {deed.sentence: deed for place in PLACES.values() for deed in place.deeds}


def ask(scenes: tuple[Scene, ...], rng: np.random.Generator) -> tuple[Question, ...]:
    """Every question whose answer is unique in ``scenes``, then three that have none."""
    absent = rng.permutation(list(ABSENT))[:3].tolist()
    return (
        *_moves(scenes, rng),
        *_deeds(scenes),
        *_boards(scenes, rng),
        *_noises(scenes, rng),
        *_order(scenes, rng),
        *(Question(text, "nowhere", None, None) for text in absent),
    )


def _moves(scenes: tuple[Scene, ...], rng: np.random.Generator) -> Iterator[Question]:
    moves = [
        (scene, thing, thing.moved) for scene in scenes for thing in scene.things if thing.moved
    ]
    times = Counter(thing.name for _, thing, _ in moves)
    for _, thing, moved in moves:
        if times[thing.name] == 1:
            text = f"Where did I put the {thing.name}?"
            yield _choose(text, "speech", SIGHTS[thing.to], moved, SIGHTS.values(), rng)


def _deeds(scenes: tuple[Scene, ...]) -> Iterator[Question]:
    said = [s for scene in scenes for s in scene.narration if s.text in DEEDS]
    times = Counter(sentence.text for sentence in said)
    for sentence in said:
        deed = DEEDS[sentence.text]
        if times[sentence.text] == 1:
            yield Question(deed.question, "speech", deed.answer, sentence.span)


def _boards(scenes: tuple[Scene, ...], rng: np.random.Generator) -> Iterator[Question]:
    shown = [(scene.place, scene.board) for scene in scenes if scene.board]
    times = Counter(place for place, _ in shown)
    for place, board in shown:
        if times[place] == 1:
            word = board.text.split()[0]
            others = (f"{word} {n}" for n in range(11, 100) if n % 10)
            text = f"What does the board in the {place} say?"
            yield _choose(text, "screen", board.text, board.span, others, rng)


def _noises(scenes: tuple[Scene, ...], rng: np.random.Generator) -> Iterator[Question]:
    heard = {scene.place: scene.noise for scene in scenes if scene.noise}
    for place, noise in heard.items():
        if sum(scene.place == place for scene in scenes) == 1:
            text = f"What can be heard in the {place}?"
            yield _choose(text, "sound", KINDS[noise.kind], noise.span, KINDS.values(), rng)


def _order(scenes: tuple[Scene, ...], rng: np.random.Generator) -> Iterator[Question]:
    visits = Counter(scene.place for scene in scenes)
    for scene, following in pairwise(scenes):
        if visits[scene.place] == 1:
            others = set(PLACES) - {scene.place}
            text = f"Where did I go right after the {scene.place}?"
            yield _choose(
                text, "order", f"the {following.place}", following.span,
                (f"the {place}" for place in sorted(others)), rng,
            )  # fmt: skip


def _choose(
    text: str,
    kind: Kind,
    answer: str,
    span: Span | None,
    pool: Iterable[str],
    rng: np.random.Generator,
) -> Question:
    """A multiple-choice question: the answer among up to three wrong ones from ``pool``."""
    wrong = rng.permutation(sorted({choice for choice in pool if choice != answer}))[:3].tolist()
    choices = rng.permutation([answer, *wrong]).tolist()
    return Question(text, kind, answer, span, tuple(choices), choices.index(answer))
