"""A place without its things: wall, floor, furniture, light and texture, painted once a scene."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from egorag.sample.pen import Image, Pen, shade
from egorag.sample.places import PLACES, RGB, Place, Spot
from egorag.sample.truth import Board

HORIZON = 0.60
WOOD: RGB = (150, 104, 66)


def paint(name: str, size: tuple[int, int], seed: int) -> Image:
    """The backdrop of place ``name``, BGR uint8 [height, width, 3]; same seed, same picture."""
    place = PLACES[name]
    rng = np.random.default_rng([seed, list(PLACES).index(name), 2])
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = place.wall[::-1]
    pen = Pen.over(image)
    _wall(pen, place, rng)
    _floor(pen, place, rng)
    for spot in sorted(place.spots, key=lambda spot: spot.y):
        _FURNITURE[spot.furniture](pen, spot, rng)
    return _light(image, rng)


def board(image: Image, place: str, text: Board | None) -> None:
    """Hang the board of ``place`` on the wall, dark or lit with its text."""
    pen = Pen.over(image)
    x, y = PLACES[place].board_at
    pen.box((40, 36, 34), x - 0.122, y - 0.075, x + 0.122, y + 0.075)
    pen.box((250, 248, 238) if text else (66, 70, 74), x - 0.115, y - 0.064, x + 0.115, y + 0.064)
    if text:
        pen.text((18, 22, 30), text.text, x, y, 0.185, 0.065)


def _wall(pen: Pen, place: Place, rng: np.random.Generator) -> None:
    if place.pattern == "grass":  # outdoors: clouds above a fence
        for _ in range(7):
            x, y = rng.uniform(0, 1), rng.uniform(0.05, 0.3)
            pen.oval((236, 242, 246), x, y, rng.uniform(0.05, 0.12), rng.uniform(0.02, 0.05))
        for x in np.arange(0, 1, 0.034):
            tone = shade((168, 130, 92), rng.uniform(0.88, 1.08))
            top = 0.40 + rng.uniform(-0.006, 0.006)
            pen.polygon(tone, [(x, top), (x + 0.015, top - 0.02), (x + 0.03, top),
                               (x + 0.03, HORIZON + 0.02), (x, HORIZON + 0.02)])  # fmt: skip
    elif place.pattern == "tiles":
        for x in np.arange(0, 1, 0.045):
            for y in np.arange(0.0, HORIZON, 0.08):
                tone = shade(place.wall, rng.uniform(0.96, 1.06))
                pen.box(tone, x + 0.001, y + 0.002, x + 0.044, y + 0.078)
    else:
        for x in np.arange(0, 1, 0.08):
            pen.box(shade(place.wall, 0.96), x, 0, x + 0.04, HORIZON)
        pen.box(shade(place.wall, 0.72), 0, HORIZON - 0.03, 1, HORIZON)


def _floor(pen: Pen, place: Place, rng: np.random.Generator) -> None:
    pen.box(place.floor, 0, HORIZON, 1, 1)
    rows = HORIZON + (1 - HORIZON) * np.linspace(0, 1, 9) ** 1.7
    columns = np.linspace(-1.2, 2.2, 18 if place.pattern == "planks" else 15)

    def across(x: float, y: float) -> float:
        """Lines of the floor meet in a vanishing point above the horizon."""
        depth = (y - 0.35) / (1 - 0.35)
        return 0.5 + (x - 0.5) * depth

    if place.pattern == "grass":
        for _ in range(900):
            x, y = rng.uniform(0, 1), HORIZON + 0.4 * rng.uniform(0, 1)
            tone = shade(place.floor, rng.uniform(0.75, 1.3))
            pen.line(tone, [(x, y), (x + rng.uniform(-0.006, 0.006), y - 0.02)], 0.004)
        return
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            spread = (0.85, 1.15) if place.pattern != "plain" else (0.96, 1.04)
            tone = shade(place.floor, rng.uniform(*spread))
            pen.polygon(tone, [(across(x, y), y) for x, y in corners])


def _shelf(pen: Pen, spot: Spot, rng: np.random.Generator) -> None:
    x, y = spot.x, spot.y
    pen.box((96, 70, 48), x - 0.13, y + 0.03, x + 0.13, y + 0.045)
    for side in (-0.1, 0.1):
        pen.box((84, 60, 42), x + side - 0.006, y + 0.03, x + side + 0.006, y + 0.09)
    pen.box(shade(WOOD, 1.15), x - 0.14, y - 0.012, x + 0.14, y + 0.03)
    pen.box(shade(WOOD, 0.8), x - 0.14, y + 0.02, x + 0.14, y + 0.03)
    for at in (-0.118, 0.105):  # a plant at either end
        pen.box((150, 92, 70), x + at - 0.008, y - 0.05, x + at + 0.008, y - 0.012)
        for _ in range(7):
            leaf = x + at + rng.uniform(-0.013, 0.013), y - 0.07 + rng.uniform(-0.025, 0.02)
            pen.oval(shade((82, 128, 84), rng.uniform(0.8, 1.2)), *leaf, 0.008, 0.016)


def _window(pen: Pen, spot: Spot, rng: np.random.Generator) -> None:
    x, y = spot.x, spot.y
    pen.box((244, 242, 236), x - 0.13, y - 0.36, x + 0.13, y)
    pen.box((166, 206, 234), x - 0.115, y - 0.335, x + 0.115, y - 0.02)
    hills = np.linspace(-0.115, 0.115, 24)
    skyline = [(x + h, y - 0.13 - 0.04 * np.sin(h * 40 + rng.uniform(0, 0.6))) for h in hills]
    ground = [(x + 0.115, y - 0.02), (x - 0.115, y - 0.02)]
    pen.polygon((120, 160, 104), [*skyline, *ground])
    pen.box((244, 242, 236), x - 0.005, y - 0.335, x + 0.005, y - 0.02)
    pen.box((244, 242, 236), x - 0.115, y - 0.19, x + 0.115, y - 0.18)
    pen.box((214, 206, 192), x - 0.145, y - 0.012, x + 0.145, y + 0.022)


def _table(pen: Pen, spot: Spot, rng: np.random.Generator) -> None:
    del rng
    x, y = spot.x, spot.y
    for leg in (-0.14, 0.14):
        pen.box(shade(WOOD, 0.62), x + leg - 0.011, y + 0.03, x + leg + 0.011, y + 0.29)
    pen.polygon(WOOD, [(x - 0.15, y - 0.03), (x + 0.15, y - 0.03),
                       (x + 0.18, y + 0.03), (x - 0.18, y + 0.03)])  # fmt: skip
    pen.box(shade(WOOD, 0.75), x - 0.18, y + 0.03, x + 0.18, y + 0.055)


def _counter(pen: Pen, spot: Spot, rng: np.random.Generator) -> None:
    del rng
    x, y = spot.x, spot.y
    pen.box((196, 190, 178), x - 0.25, y + 0.03, x + 0.25, y + 0.28)
    for door in (-0.23, -0.07, 0.09):
        pen.box((216, 212, 202), x + door, y + 0.075, x + door + 0.145, y + 0.265)
        pen.box((120, 116, 110), x + door + 0.12, y + 0.13, x + door + 0.128, y + 0.18)
    pen.polygon((94, 98, 104), [(x - 0.25, y - 0.03), (x + 0.25, y - 0.03),
                                (x + 0.27, y + 0.03), (x - 0.27, y + 0.03)])  # fmt: skip
    pen.box((66, 70, 76), x - 0.27, y + 0.03, x + 0.27, y + 0.05)


def _crate(pen: Pen, spot: Spot, rng: np.random.Generator) -> None:
    x, y = spot.x, spot.y
    pen.polygon(shade(WOOD, 1.2), [(x - 0.10, y - 0.03), (x + 0.10, y - 0.03),
                                   (x + 0.12, y + 0.02), (x - 0.12, y + 0.02)])  # fmt: skip
    for row in range(3):
        tone = shade(WOOD, rng.uniform(0.85, 1.05))
        top = y + 0.024 + 0.06 * row
        pen.box(tone, x - 0.12, top, x + 0.12, top + 0.052)


def _rug(pen: Pen, spot: Spot, rng: np.random.Generator) -> None:
    del rng
    pen.oval((132, 96, 108), spot.x, spot.y, 0.22, 0.075)
    pen.oval((176, 150, 148), spot.x, spot.y, 0.19, 0.06)
    pen.oval((150, 116, 124), spot.x, spot.y, 0.15, 0.045)


def _light(image: Image, rng: np.random.Generator) -> Image:
    """Blotches, grain and a darker rim, so that no area is flat."""
    height, width = image.shape[:2]
    blotches = cv2.resize(
        rng.normal(0, 5, (9, 16, 1)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    grain = cv2.GaussianBlur(rng.normal(0, 6, (height, width)), (3, 3), 0)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    rim = 1.04 - 0.22 * (x**2 + y**2) / 2
    lit = image * rim[..., None] + (blotches + grain)[..., None]
    painted: Image = np.clip(lit, 0, 255).astype(np.uint8)
    return painted


_FURNITURE = {
    "shelf": _shelf,
    "window": _window,
    "table": _table,
    "counter": _counter,
    "crate": _crate,
    "rug": _rug,
}
