"""What a predictor is shown: a span of its video, another file, frames, or an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from egorag.encode.base import FrameClip
from egorag.errors import ConfigError, MediaError
from egorag.media.reader import frames
from egorag.media.sampling import FrameSampling
from egorag.media.stretch import stretch
from egorag.spans import Span, to_us

Picture: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Footage:
    """A span of a file. Frames are taken at k / rate seconds with start <= k / rate < end."""

    path: Path
    span: Span


Clip: TypeAlias = Span | Footage | Path | FrameClip | npt.NDArray[np.uint8]
"""A span of the predictor's own video; a span of any file; a file of at most a minute; frames as an
encoder gets them; or uint8 [n, H, W, 3] at the encoder's rate."""

LONGEST = 60
"""Seconds of a file given without a span: all of its frames are held."""


def pictures(clip: Clip, sampling: FrameSampling, video: Path | None = None) -> Sequence[Picture]:
    """The frames of a clip in time order, each uint8 [H, W, 3]; nothing outside it is read.

    Args:
        sampling: the encoder's.
        video: the file that a bare span is of.

    Raises:
        ConfigError: a span without a video, a file that is too long to be meant as a whole, or an
            array that is no frames.
        MediaError: a file that cannot be read, or a span without a frame.
    """
    if isinstance(clip, Span):
        if video is None:
            raise ConfigError(
                f"{clip} is a span of no video; open the predictor with video=PATH, or give "
                "Footage(path, span)"
            )
        clip = Footage(video, clip)
    if isinstance(clip, Footage):
        found = [frame.image for frame in stretch(clip.path, clip.span, sampling)]
        if not found:
            raise MediaError(
                f"{str(clip.path)!r} has no frame in {clip.span} at {sampling.rate} a second"
            )
        return found
    if isinstance(clip, Path):
        return _whole(clip, sampling)
    if isinstance(clip, FrameClip):
        return [frame.image for frame in clip.frames]
    if not (isinstance(clip, np.ndarray) and clip.dtype == np.uint8 and clip.ndim == 4):
        given = f"{clip.dtype} {list(clip.shape)}" if isinstance(clip, np.ndarray) else repr(clip)
        raise ConfigError(f"a clip is a Span, Footage, Path or uint8 [n, H, W, 3], got {given}")
    if not len(clip) or clip.shape[3] != 3:
        raise ConfigError(f"frames are uint8 [n, H, W, 3] with n >= 1, got {list(clip.shape)}")
    return list(clip)


def _whole(path: Path, sampling: FrameSampling) -> Sequence[Picture]:
    most = int(LONGEST * (sampling.rate or 1))
    found = [frame.image for frame in islice(frames(path, sampling), most + 1)]
    if len(found) > most:
        raise ConfigError(
            f"{str(path)!r} is longer than {LONGEST} s; say which span of it is meant: "
            "Footage(path, Span.seconds(start, end))"
        )
    return found


def steps_in(seconds: float, rate: float, tubelet: int) -> int:
    """Steps of ``tubelet`` frames that cover so many seconds.

    Raises:
        ConfigError: not a positive number of seconds.

    >>> steps_in(1.0, rate=4, tubelet=2), steps_in(1.1, rate=4, tubelet=2)
    (2, 3)
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"seconds must be a positive number, got {seconds}")
    exact = Fraction(to_us(seconds), 1_000_000) * Fraction(rate) / tubelet
    return max(1, -(-exact.numerator // exact.denominator))
