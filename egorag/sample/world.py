"""The script: from a seed to everything that will be seen and heard, before any of it is drawn."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from egorag.sample import voice
from egorag.sample.camera import Camera, in_picture
from egorag.sample.places import COLOURS, NOUNS, PLACES, Place
from egorag.sample.questions import ask
from egorag.sample.truth import Board, Noise, Scene, Sentence, Thing, Truth
from egorag.spans import Span, to_seconds, to_us

MILLISECOND = 1_000
HOME = "kitchen"
PAUSE = to_us(0.5)

State = dict[str, dict[str, str]]
"""Where things are now: place -> thing -> spot."""


def script(
    seconds: float, scenes: int, seed: int, size: tuple[int, int], rate: Fraction, subtitles: str
) -> Truth:
    """Write the day down in ``scenes`` scenes. The same arguments give the same Truth."""
    rng = np.random.default_rng([seed, 0])
    frames = round(seconds * rate)
    bounds = _bounds(frames, scenes, rng)
    state = _furnish(rng)
    said: set[str] = set()
    played: list[Scene] = []
    for index, place in enumerate(_walk(scenes, rng)):
        span = Span(to_us(bounds[index] / rate), to_us(bounds[index + 1] / rate))
        scene = Scene(index, span, bounds[index], bounds[index + 1], place, (), None, (), None)
        played.append(_play(scene, state, said, rng))
        said.update((place, *(sentence.text for sentence in played[-1].narration)))
    finished = tuple(_trace(scene, seed, size, rate) for scene in played)
    questions = ask(finished, rng)
    return Truth(seed, frames, rate, size, subtitles, finished, questions)


def _bounds(frames: int, scenes: int, rng: np.random.Generator) -> list[int]:
    """First frame of every scene, and the end; lengths vary by a quarter, none is empty."""
    weights = rng.uniform(0.75, 1.25, scenes)
    spread = np.round(np.cumsum(weights) / weights.sum() * (frames - scenes)).astype(int)
    return [0, *(spread + np.arange(1, scenes + 1)).tolist()]


def _walk(scenes: int, rng: np.random.Generator) -> list[str]:
    """The places in order: from home through all the others, home again, and so on; home last."""
    others = [name for name in PLACES if name != HOME]
    route = [HOME]
    while len(route) < scenes:
        route += [*rng.permutation(others).tolist(), HOME]
    route = route[:scenes]
    if scenes > 2 and route[-2] != HOME:
        route[-1] = HOME
    return route


def _furnish(rng: np.random.Generator) -> State:
    """Two things in every place, no two of the same name anywhere; one spot stays free."""
    names = [f"{colour} {noun}" for colour in COLOURS for noun in NOUNS]
    chosen = iter(rng.permutation(names).tolist())
    state: State = {}
    for name, place in PLACES.items():
        spots = rng.permutation([spot.name for spot in place.spots]).tolist()
        state[name] = {next(chosen): spot for spot in spots[:2]}
    return state


def _play(scene: Scene, state: State, said: set[str], rng: np.random.Generator) -> Scene:
    """Fill one scene: what is said, moved, shown on the board and heard. Updates ``state``.

    ``said`` holds the places and sentences that have been, so that what is said stays new.
    """
    place = PLACES[scene.place]
    things = state[scene.place]
    mover = str(rng.choice(sorted(things)))
    free = [spot for spot in place.spots if spot.name not in things.values()]
    target = free[int(rng.integers(len(free)))]
    verb = rng.choice(["put", "leave", "place", "set"])
    move = f"I {verb} the {mover} {target.phrase}."
    arrive = rng.choice(["Now I am in the", "I walk into the", "I step into the"])
    intro = f"{'I am back in the' if scene.place in said else arrive} {scene.place}."
    deeds = [deed.sentence for deed in place.deeds]
    deed = str(rng.choice([deed for deed in deeds if deed not in said] or deeds))

    narration = _say([intro, move, deed], scene.span)
    when = next((s.span for s in narration if s.text == move), None)
    before = dict(things)
    if when:
        things[mover] = target.name
    shown = tuple(
        Thing(name, COLOURS[name.split()[0]], spot, things[name], when if name == mover else None)
        for name, spot in before.items()
    )
    return replace(
        scene,
        things=shown,
        narration=narration,
        board=_board(place, scene, rng),
        noise=_noise(place, scene, rng),
    )


def _say(wanted: list[str], scene: Span) -> tuple[Sentence, ...]:
    """Place as many sentences as fit, in order; the second, which moves a thing, goes first."""
    room = scene.duration - to_us(0.7)
    lengths = {text: to_us(voice.duration(text)) for text in wanted}
    kept: list[str] = []
    for text in [wanted[1], wanted[0], *wanted[2:]]:
        if sum(lengths[k] + PAUSE for k in [*kept, text]) - PAUSE <= room:
            kept.append(text)
    # Spread what is left over, a pause before each; cues are kept to milliseconds.
    spare = (room - sum(lengths[k] + PAUSE for k in kept)) // (len(kept) + 1)
    cursor = scene.start + to_us(0.4)
    said = []
    for text in [text for text in wanted if text in kept]:
        start = -(-cursor // MILLISECOND) * MILLISECOND
        said.append(Sentence(text, Span(start, start + lengths[text])))
        cursor = start + lengths[text] + PAUSE + max(0, spare)
    return tuple(said)


def _board(place: Place, scene: Scene, rng: np.random.Generator) -> Board | None:
    """Three scenes in four have a lit board, half of those only from some moment on."""
    tens, ones = rng.integers(1, 10, 2)  # no zero: it looks like an O
    lit, late = rng.random() < 0.75, rng.random() < 0.5
    if not lit:
        return None
    start = scene.span.start + (scene.span.duration // 3 if late else 0)
    return Board(f"{place.board} {tens}{ones}", Span(start, scene.span.end))


def _noise(place: Place, scene: Scene, rng: np.random.Generator) -> Noise | None:
    """The sound of the place, over the larger part of the scene."""
    if place.noise is None:
        return None
    lead = to_us(rng.uniform(0.05, 0.2) * scene.span.duration / 1e6)
    tail = to_us(rng.uniform(0.05, 0.2) * scene.span.duration / 1e6)
    return Noise(place.noise, Span(scene.span.start + lead, scene.span.end - tail))


def _trace(scene: Scene, seed: int, size: tuple[int, int], rate: Fraction) -> Scene:
    """Add to every thing the path on which it is seen, at frames half a second apart."""
    camera = Camera.of(seed, scene.index)
    numbers = range(scene.first_frame, scene.end_frame, max(1, round(rate / 2)))

    def seen(thing: Thing, us: int) -> tuple[float, float, float]:
        x, y = in_picture(thing, scene.place, us, scene.span.start, camera, size)
        return to_seconds(us), round(x, 4), round(y, 4)

    times = [to_us(number / rate) for number in numbers]
    paths = (tuple(seen(thing, us) for us in times) for thing in scene.things)
    things = (replace(t, path=path) for t, path in zip(scene.things, paths, strict=True))
    return replace(scene, things=tuple(things))
