"""Query by picture and near-duplicate search by classical vision: no training, no weights.

A frame is told by four histograms: lightness relative to its own mean and spread, on a 4 x 4 grid
(where it is brighter and darker); absolute lightness; colour (the a and b of CIE Lab jointly) on a
2 x 2 grid; directions of lightness gradients on a 6 x 6 grid, as in HOG (Dalal and Triggs, CVPR
2005). A scene is the mean of its frames' histograms, with a small part for motion. Square roots of
histograms make the inner product Bhattacharyya's coefficient (the Hellinger kernel; Arandjelović
and Zisserman, CVPR 2012).

It finds the same shot again after re-encoding, scaling, a slight crop or a change of brightness,
and pictures laid out alike. It does not know what is in a picture, and a mirrored, rotated or
heavily cropped one is another picture to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Available, FrameClip, Medium, Over, Vectors
from egorag.errors import SpaceError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import FrameSampling
from egorag.media.stills import read_picture
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

Image = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

SIDE = 96  # pixels: every frame is looked at as a square of this size
SHAPE_GRID, SHAPE_BINS, LEAST_SPREAD = 4, 8, 6.0  # a flat picture's noise is not stretched
LIGHT_BINS = 12
COLOUR_GRID, COLOUR_BINS, COLOUR_REACH = 2, 7, 50.0  # a and b beyond +-50 count as 50
EDGE_GRID, EDGE_BINS = 6, 8
EDGE_FLOOR = 0.5  # mean gradient added to each bin: a plain picture has no direction
MOTION_GRID, MOTION_BINS = 3, 5

SHAPE, LIGHT, COLOUR, EDGES = 0.4, 0.05, 0.15, 0.4  # share of each in the likeness; sum 1
MOTION = 0.1  # share of motion in the likeness of two scenes
APPEARANCE_DIM = (
    SHAPE_GRID**2 * SHAPE_BINS
    + LIGHT_BINS
    + COLOUR_GRID**2 * COLOUR_BINS**2
    + EDGE_GRID**2 * EDGE_BINS
)
DIM = APPEARANCE_DIM + MOTION_GRID**2 * MOTION_BINS


@dataclass(frozen=True)
class Picture:
    """Colour, gradient and motion statistics of a scene's frames.

    Attributes:
        rate: frames looked at a second.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    over: ClassVar[Over] = Over.SCENES

    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(self.rate, longest=160)

    @property
    def space(self) -> EmbeddingSpace:
        """669-d, unit length, queried by image.

        The last 45 components are motion. They are 0 in a query's vector, and every scene gives
        them the same share (one frame counts as a still), so that motion tells scenes apart but
        never changes how scenes rank for a picture.
        """
        return EmbeddingSpace("egorag/picture", "1", DIM, True, frozenset({"image"}))

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def skip_reason(self, available: Available) -> str | None:
        return None if available.frames else "no picture"

    def setup(self, device: str = "cpu") -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to give back."""

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, 669], unit rows."""
        rows = np.empty((len(data), DIM), np.float32)
        for row, clip in zip(rows, data, strict=True):
            labs = [_lab(frame.image) for frame in clip.frames]
            appearance = np.mean([_appearance(lab) for lab in labs], axis=0)
            pairs = pairwise(labs) if len(labs) > 1 else [(labs[0], labs[0])]
            motion = np.mean([_motion(*pair) for pair in pairs], axis=0)
            row[:] = np.sqrt(np.concatenate([(1 - MOTION) * appearance, MOTION * motion]))
        return rows

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [669], unit length, from the query's picture (upright, as EXIF says).

        Raises:
            SpaceError: the medium is not image, or the query has none.
            MediaError: the file cannot be read as a picture.
        """
        if medium != "image" or query.image is None:
            raise SpaceError(f"Picture embeds pictures, but the query was to enter by {medium!r}")
        vector = np.zeros(DIM, np.float32)
        vector[:APPEARANCE_DIM] = appearance(read_picture(query.image))
        return vector


def appearance(image: Image) -> Values:
    """What an RGB picture (uint8 [H, W, 3]) looks like: float64 [624], unit length."""
    return np.sqrt(_appearance(_lab(image)))


def _lab(image: Image) -> Plane:
    """CIE Lab float32 [3, SIDE, SIDE] of an RGB picture; L in 0..100."""
    import cv2

    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.ascontiguousarray(lab.transpose(2, 0, 1), np.float32)


def _appearance(lab: Plane) -> Values:
    """The four histograms of one frame, [624], all together summing to 1."""
    import cv2

    light, a, b = lab
    spread = max(float(light.std()), LEAST_SPREAD)  # a Python float, so that planes stay float32
    relative = _scale((light - light.mean()) / spread, -2.5, 2.5, SHAPE_BINS)
    absolute = _scale(light, 0, 100, LIGHT_BINS)
    green_red = _scale(a, -COLOUR_REACH, COLOUR_REACH, COLOUR_BINS)
    blue_yellow = _scale(b, -COLOUR_REACH, COLOUR_REACH, COLOUR_BINS)
    across, down = (cv2.Sobel(light, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    strength, angle = cv2.cartToPolar(across, down)
    direction = angle * np.float32(EDGE_BINS / np.pi) % EDGE_BINS  # opposite ways are one
    edges = _histogram(EDGE_GRID, EDGE_BINS, direction, weight=strength)
    parts = (
        (SHAPE, _histogram(SHAPE_GRID, SHAPE_BINS, relative)),
        (LIGHT, _histogram(1, LIGHT_BINS, absolute)),
        (COLOUR, _histogram(COLOUR_GRID, COLOUR_BINS, green_red, blue_yellow)),
        (EDGES, edges + EDGE_FLOOR * (SIDE // EDGE_GRID) ** 2),
    )
    return np.concatenate([share * (part / part.sum()) for share, part in parts])


def _motion(before: Plane, after: Plane) -> Values:
    """How much of the lightness changed, and where, between two frames: [45], sum 1."""
    change = np.log2(1 + np.abs(after[0] - before[0]))
    counts = _histogram(MOTION_GRID, MOTION_BINS, _scale(change, 0, 6, MOTION_BINS))
    counts /= counts.sum()
    return counts


def _scale(plane: Plane, low: float, high: float, bins: int) -> Plane:
    """Place values on an axis of bin centres 0 .. bins - 1."""
    position: Plane = np.clip((plane - low) * ((bins - 1) / (high - low)), 0, bins - 1)
    return position


def _histogram(grid: int, bins: int, *axes: Plane, weight: Plane | None = None) -> Values:
    """Soft histogram per cell of a ``grid`` x ``grid`` division: float64 [grid^2 * bins^axes].

    A pixel's weight is split linearly between the two nearest bins of each axis, so that a small
    change of value never moves a whole pixel. The last bin's neighbour is the first, which matters
    to circular axes only: elsewhere a value never passes the last bin.
    """
    row = np.arange(SIDE) * grid // SIDE
    corners = [(row[:, None] * grid + row, np.float32(1) if weight is None else weight)]
    for axis in axes:
        low = axis.astype(np.intp)
        above = axis - low
        corners = [
            (at * bins + (low + step) % bins, share * part)
            for at, share in corners
            for step, part in ((0, 1 - above), (1, above))
        ]
    counts = np.zeros(grid**2 * bins ** len(axes))
    for at, share in corners:
        counts += np.bincount(at.ravel(), share.ravel(), counts.size)
    return counts
