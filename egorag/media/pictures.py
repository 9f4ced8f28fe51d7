"""Pictures from decoded frames: scaled and converted in one step, and only where one is asked for.

Converting every frame at full size costs a third of decoding it. A sampled frame goes through
swscale once, straight to the size and colours wanted; a shot detector's picture is picked out of
the decoded planes.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from egorag.media.orientation import Orientation
from egorag.media.sampling import FrameSampling, ShotSampling

Image: TypeAlias = npt.NDArray[np.uint8]

SHOT_LONGEST = 128
"""About how many pixels the longer side of a fast shot picture has."""

EXACT_LONGEST = 256
"""PySceneDetect's ``DEFAULT_MIN_WIDTH``: larger frames are scaled down to this longer side."""


class SampledPictures:
    """Upright pictures for one frame reader, all of the size that the first one gets.

    Scaling is area averaging, colours as the stream declares them (BT.601 where it does not).
    Pixels that are not square are made square. High dynamic range is not tone-mapped.
    """

    def __init__(self, sampling: FrameSampling, pixel_aspect: Fraction | None) -> None:
        self._sampling = sampling
        self._aspect = plausible_aspect(pixel_aspect)
        self._format = "rgb24" if sampling.colour == "rgb" else "gray"
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._orientation = Orientation()

    def __call__(self, frame: VideoFrame) -> Image:
        """uint8 [H, W, 3] or [H, W]; a new array."""
        if self._size is None:
            self._orientation = Orientation.of(frame)
            self._size = self._stored_size(frame)
        width, height = self._size
        small = self._reformatter.reformat(
            frame,
            width,
            height,
            self._format,
            interpolation=Interpolation.AREA,
            dst_color_range="JPEG",
            threads=1,
        )
        return self._orientation.upright(_pixels(small))

    def _stored_size(self, frame: VideoFrame) -> tuple[int, int]:
        """The size to scale to before turning upright."""
        if self._sampling.size is not None:
            size = self._sampling.size
            return size[::-1] if self._orientation.transposed else size
        width, height = frame.width * self._aspect, Fraction(frame.height)
        if self._sampling.longest is not None:
            scale = min(Fraction(1), self._sampling.longest / max(width, height))
            width, height = width * scale, height * scale
        if self._sampling.shortest is not None:
            scale = self._sampling.shortest / min(width, height)
            width, height = width * scale, height * scale
        return max(1, round(width)), max(1, round(height))


def plausible_aspect(pixel_aspect: Fraction | None) -> Fraction:
    """Width over height of one pixel; 1 where it is unknown or nonsense."""
    if not pixel_aspect or not Fraction(1, 10) <= Fraction(pixel_aspect) <= 10:
        return Fraction(1)
    return Fraction(pixel_aspect)


def shot_pictures(sampling: ShotSampling) -> Callable[[VideoFrame], Image]:
    """What turns frames into small BGR pictures, not turned upright, all of one size."""
    return _ExactShotPictures() if sampling.exact else _FastShotPictures()


class _FastShotPictures:
    """Every n-th pixel of every n-th row, read straight from the decoder's planes.

    Colours are converted as BT.601, which is near enough for telling shots apart.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: VideoFrame) -> Image:
        """uint8 [H, W, 3]; a new array."""
        step = max(1, round(max(frame.width, frame.height) / SHOT_LONGEST))
        size = frame.width // (2 * step) * 2, frame.height // (2 * step) * 2
        self._size = self._size or (max(size[0], 1), max(size[1], 1))
        if frame.format.name == "yuv420p" and size == self._size and frame.color_range != 2:
            return _strided(frame, step, *size)
        # Other formats (10-bit, RGB, full range, ...) and a changed size: swscale picks the pixels.
        small = self._reformatter.reformat(
            frame, *self._size, "bgr24", interpolation=Interpolation.POINT, threads=1
        )
        return _pixels(small)


def _strided(frame: VideoFrame, step: int, width: int, height: int) -> Image:
    """Both chroma planes are half size, so the same step gives the small picture's own planes."""
    import cv2

    packed = np.empty((height * 3 // 2, width), np.uint8)
    chroma = packed[height:].reshape(2, height // 2, width // 2)
    for plane, small in zip(frame.planes, (packed[:height], *chroma), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        small[:] = rows[: small.shape[0] * step : step, : small.shape[1] * step : step]
    return np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420), np.uint8)


class _ExactShotPictures:
    """The very pixels that PySceneDetect 0.7's ``SceneManager`` hands its detectors: the whole
    frame to BGR, then bilinear scaling to 256 pixels on the longer side."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: VideoFrame) -> Image:
        """uint8 [H, W, 3]; a new array."""
        import cv2

        picture = _pixels(self._reformatter.reformat(frame, format="bgr24", threads=1))
        if self._size is None:
            factor = max(1.0, max(frame.width, frame.height) / EXACT_LONGEST)
            self._size = max(1, round(frame.width / factor)), max(1, round(frame.height / factor))
        if (frame.width, frame.height) == self._size:
            return picture
        small = cv2.resize(picture, self._size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(small, np.uint8)


def _pixels(frame: VideoFrame) -> Image:
    return np.asarray(frame.to_ndarray(), np.uint8)
