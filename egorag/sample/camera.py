"""Where the viewer's head points: a pan, a sway and the bob of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from egorag.sample.places import PLACES, Spot
from egorag.sample.truth import Thing
from egorag.spans import to_seconds

MARGIN = 1.25
"""The backdrop is this much larger than the picture, so that the camera has room to move."""

THING = 0.15
"""Height of an object, as a fraction of the backdrop's shorter side."""


def backdrop_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the backdrop for a picture of ``size``."""
    return round(size[0] * MARGIN), round(size[1] * MARGIN)


@dataclass(frozen=True, slots=True)
class Camera:
    """The head's motion in one scene; phases and directions come from the seed."""

    pan: float
    phase: float
    step: float

    @classmethod
    def of(cls, seed: int, scene: int) -> Camera:
        rng = np.random.default_rng([seed, scene, 1])
        side = -1.0 if rng.random() < 0.5 else 1.0
        return cls(side * rng.uniform(0.04, 0.06), rng.uniform(0, math.tau), rng.uniform(1.6, 2.1))

    def look(self, seconds: float, size: tuple[int, int]) -> tuple[float, float]:
        """The backdrop pixel in the middle of a picture of ``size``, ``seconds`` into the scene."""
        width, height = size
        slow = seconds * math.tau / 9 + self.phase
        step = seconds * math.tau * self.step
        walking = 0.3 + 0.7 * math.exp(-seconds / 1.5)  # one walks in, then stands
        x = width * (self.pan * math.sin(slow) + 0.005 * walking * math.sin(step / 2))
        y = height * (0.03 * math.cos(slow * 0.7) + 0.009 * walking * math.sin(step))
        back_x, back_y = backdrop_size(size)
        return back_x / 2 + x, back_y / 2 + y


def place_of(thing: Thing, place: str, us: int) -> tuple[float, float]:
    """Where ``thing`` stands at ``us`` microseconds, in fractions of the backdrop."""
    spots: dict[str, Spot] = {spot.name: spot for spot in PLACES[place].spots}
    start, end = spots[thing.at], spots[thing.to]
    if thing.moved is None:
        return start.x, start.y
    along = min(1.0, max(0.0, (us - thing.moved.start) / thing.moved.duration))
    eased = along * along * (3 - 2 * along)
    lift = 0.09 * math.sin(math.pi * eased)
    return start.x + (end.x - start.x) * eased, start.y + (end.y - start.y) * eased - lift


def in_picture(
    thing: Thing, place: str, us: int, start: int, camera: Camera, size: tuple[int, int]
) -> tuple[float, float]:
    """Where the middle of ``thing`` is seen at ``us``, in fractions of the picture.

    ``start`` is when the scene starts, in microseconds.
    """
    width, height = backdrop_size(size)
    x, y = place_of(thing, place, us)
    middle = camera.look(to_seconds(us - start), size)
    up = THING * min(width, height) / 2
    return (x * width - middle[0]) / size[0] + 0.5, (y * height - up - middle[1]) / size[1] + 0.5
