"""The things one can carry, each about one unit high and standing on (0, 0), and the hand."""

from __future__ import annotations

from collections.abc import Callable

from egorag.sample.pen import Pen, shade
from egorag.sample.places import RGB

SKIN: RGB = (222, 170, 136)
SLEEVE: RGB = (62, 78, 104)


def thing(pen: Pen, noun: str, colour: RGB) -> None:
    """Draw a ``noun`` in ``colour``; the middle, (0, -0.5), always shows the plain colour."""
    pen.oval((60, 52, 48), 0.06, -0.01, 0.5, 0.09)  # its shadow
    _SHAPES[noun](pen, colour)


def hand(pen: Pen) -> None:
    """A forearm that comes from below and a hand around the foot of what stands on (0, 0)."""
    pen.line(SLEEVE, [(0.75, 1.3), (1.9, 5.5)], 0.85)
    pen.line(SKIN, [(0.25, 0.25), (0.72, 1.2)], 0.6)
    for finger in range(4):
        x = -0.3 + 0.2 * finger
        pen.line(shade(SKIN, 0.93), [(x + 0.12, 0.3), (x, -0.06 - 0.03 * (finger % 3))], 0.17)
    pen.line(SKIN, [(0.4, 0.3), (0.52, -0.15)], 0.19)


def _mug(pen: Pen, colour: RGB) -> None:
    handle = [(0.3, -0.8), (0.62, -0.78), (0.66, -0.35), (0.3, -0.25)]
    pen.line(shade(colour, 0.8), handle, 0.11)
    pen.box(colour, -0.38, -0.95, 0.38, -0.08)
    pen.oval(colour, 0, -0.08, 0.38, 0.08)
    pen.box(shade(colour, 1.2), -0.32, -0.85, -0.22, -0.12)
    pen.oval(shade(colour, 1.25), 0, -0.95, 0.38, 0.09)
    pen.oval((70, 46, 32), 0, -0.94, 0.31, 0.06)


def _book(pen: Pen, colour: RGB) -> None:
    pen.box((236, 230, 214), -0.3, -0.98, 0.4, -0.02)
    pen.box(colour, -0.36, -1.0, 0.34, 0.0)
    pen.box(shade(colour, 0.7), -0.36, -1.0, -0.24, 0.0)
    pen.box((240, 226, 180), -0.12, -0.86, 0.22, -0.76)
    pen.box((240, 226, 180), -0.06, -0.2, 0.16, -0.14)


def _ball(pen: Pen, colour: RGB) -> None:
    pen.oval(shade(colour, 0.75), 0, -0.48, 0.48, 0.48)
    pen.oval(colour, -0.03, -0.51, 0.43, 0.43)
    pen.oval(shade(colour, 1.35), -0.16, -0.74, 0.13, 0.09)


def _box(pen: Pen, colour: RGB) -> None:
    side = [(0.42, -0.78), (0.6, -0.95), (0.6, -0.18), (0.42, 0)]
    top = [(-0.5, -0.78), (-0.3, -0.95), (0.6, -0.95), (0.42, -0.78)]
    pen.polygon(shade(colour, 0.65), side)
    pen.polygon(shade(colour, 1.2), top)
    pen.box(colour, -0.5, -0.78, 0.42, 0)
    pen.polygon((226, 204, 150), [(-0.1, -0.78), (0.1, -0.95), (0.2, -0.95), (0.02, -0.78)])
    pen.box((226, 204, 150), -0.1, -0.78, 0.02, -0.64)


def _bottle(pen: Pen, colour: RGB) -> None:
    pen.box(shade(colour, 0.8), -0.1, -1.12, 0.1, -0.75)
    pen.box((226, 210, 170), -0.11, -1.2, 0.11, -1.08)
    pen.polygon(colour, [(-0.27, -0.6), (-0.1, -0.82), (0.1, -0.82), (0.27, -0.6)])
    pen.box(colour, -0.27, -0.62, 0.27, 0)
    pen.box(shade(colour, 1.35), -0.21, -0.58, -0.15, -0.06)
    pen.box((244, 240, 226), -0.27, -0.32, 0.27, -0.12)


def _bowl(pen: Pen, colour: RGB) -> None:
    rim = [(-0.62, -0.72), (0.62, -0.72), (0.5, -0.3), (0.24, -0.02), (-0.24, -0.02), (-0.5, -0.3)]
    pen.polygon(colour, rim)
    pen.polygon(shade(colour, 0.8), [(0.5, -0.3), (0.24, -0.02), (-0.24, -0.02), (-0.1, -0.12)])
    pen.oval(shade(colour, 1.25), 0, -0.72, 0.62, 0.13)
    pen.oval(shade(colour, 0.55), 0, -0.71, 0.53, 0.09)


_SHAPES: dict[str, Callable[[Pen, RGB], None]] = {
    "mug": _mug,
    "book": _book,
    "ball": _ball,
    "box": _box,
    "bottle": _bottle,
    "bowl": _bowl,
}
