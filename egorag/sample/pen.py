"""Drawing with OpenCV in units of one's own choosing, antialiased and to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from egorag.sample.places import RGB

Image = npt.NDArray[np.uint8]
Point = tuple[float, float]

BITS = 4
"""Fractional bits of a coordinate: things that move slowly must not jump by whole pixels."""


def shade(colour: RGB, by: float) -> RGB:
    """``colour`` lighter (``by`` > 1) or darker.

    >>> shade((100, 50, 200), 1.5)
    (150, 75, 255)
    """
    red, green, blue = (min(255, round(channel * by)) for channel in colour)
    return red, green, blue


@dataclass(frozen=True)
class Pen:
    """Draws on ``image`` (BGR); a point (x, y) lies at origin + (x, y) * scale in pixels."""

    image: Image
    origin: Point
    scale: Point

    @classmethod
    def over(cls, image: Image) -> Pen:
        """A pen whose units are the whole picture's width and height."""
        height, width = image.shape[:2]
        return cls(image, (0.0, 0.0), (width, height))

    def at(self, x: float, y: float, unit: float) -> Pen:
        """A pen with its zero at (x, y) of this one, where 1 is ``unit`` pixels both ways."""
        zero = (self.origin[0] + x * self.scale[0], self.origin[1] + y * self.scale[1])
        return replace(self, origin=zero, scale=(unit, unit))

    def polygon(self, colour: RGB, points: Sequence[Point]) -> None:
        """A filled polygon."""
        cv2.fillPoly(self.image, [self._pixels(points)], colour[::-1], cv2.LINE_AA, BITS)

    def box(self, colour: RGB, left: float, top: float, right: float, bottom: float) -> None:
        """A filled rectangle."""
        self.polygon(colour, [(left, top), (right, top), (right, bottom), (left, bottom)])

    def oval(self, colour: RGB, x: float, y: float, across: float, down: float) -> None:
        """A filled ellipse with its middle at (x, y); ``across`` and ``down`` are radii."""
        turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        points = zip(x + across * np.cos(turn), y + down * np.sin(turn), strict=True)
        self.polygon(colour, list(points))

    def line(self, colour: RGB, points: Sequence[Point], thick: float) -> None:
        """A line through ``points``, ``thick`` in units of y, with round ends."""
        width = max(1, round(thick * self.scale[1]))
        pixels = [self._pixels(points)]
        cv2.polylines(self.image, pixels, False, colour[::-1], width, cv2.LINE_AA, BITS)

    def text(
        self, colour: RGB, words: str, x: float, y: float, width: float, height: float
    ) -> None:
        """``words`` as large as fits in a ``width`` x ``height`` box centred on (x, y)."""
        font, thick = cv2.FONT_HERSHEY_DUPLEX, max(1, round(height * self.scale[1] / 14))
        (wide, high), _ = cv2.getTextSize(words, font, 1.0, thick)
        size = min(width * self.scale[0] / wide, height * self.scale[1] / high)
        left = self.origin[0] + x * self.scale[0] - wide * size / 2
        base = self.origin[1] + y * self.scale[1] + high * size / 2
        at = (round(left), round(base))
        cv2.putText(self.image, words, at, font, size, colour[::-1], thick, cv2.LINE_AA)

    def _pixels(self, points: Sequence[Point]) -> npt.NDArray[np.int32]:
        pixels = np.array(points) * self.scale + self.origin
        return np.round(pixels * (1 << BITS)).astype(np.int32)
