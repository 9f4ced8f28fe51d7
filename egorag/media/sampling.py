"""What a reader of one decode pass wants delivered, and what it gets.

A pass decodes a file once (see ``reader.py``) and hands every reader its own view: frames at a
rate and size, pictures for shot finding, sound at a rate, subtitle cues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from egorag.spans import Span


@dataclass(frozen=True)
class FrameSampling:
    """Frames on an exact time grid: the frame on show at k / rate seconds, k = 0, 1, 2, ...

    Attributes:
        rate: frames per second of video time; None delivers every frame at its own time.
        longest: the longer side is scaled down to at most this many pixels (aspect kept, never
            scaled up); None keeps the size.
        shortest: the shorter side is scaled to exactly this many pixels (aspect kept, up or
            down) instead: what a centre crop of a model is taken from.
        size: exact (width, height) instead, aspect not kept.
        colour: ``rgb`` gives uint8 [H, W, 3], ``gray`` uint8 [H, W].
    """

    rate: float | None = 1.0
    longest: int | None = None
    size: tuple[int, int] | None = None
    shortest: int | None = None
    colour: Literal["rgb", "gray"] = "rgb"

    def __post_init__(self) -> None:
        if self.rate is not None and not self.rate > 0:
            raise ValueError(f"rate must be positive frames per second, got {self.rate}")
        if sum(value is not None for value in (self.longest, self.shortest, self.size)) > 1:
            raise ValueError("give one of longest, shortest and size")


@dataclass(frozen=True)
class ShotSampling:
    """Every frame, as a small BGR picture for shot detectors.

    Attributes:
        exact: True scales as PySceneDetect's own loop does (golden cuts match frame for frame);
            False takes a strided view of the decoded planes, several times cheaper.
    """

    exact: bool = False


@dataclass(frozen=True)
class SoundSampling:
    """Mono float32 sound in -1..1 at ``rate`` Hz, in chunks of the decoder's choosing."""

    rate: int = 16_000

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"rate must be positive Hz, got {self.rate}")


@dataclass(frozen=True)
class CueSampling:
    """Cues of the subtitle streams inside the file."""


Sampling: TypeAlias = FrameSampling | ShotSampling | SoundSampling | CueSampling


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        time: microseconds on the reader's grid (equals ``shown_at`` when rate is None).
        shown_at: the frame's own presentation time in microseconds.
        index: number of the decoded frame it comes from, counted from 0.
        image: uint8 [H, W, 3] or [H, W], upright (rotation applied), owned by the receiver.
    """

    time: int
    shown_at: int
    index: int
    image: npt.NDArray[np.uint8]

    def __repr__(self) -> str:
        return f"Frame({self.time} us, #{self.index}, {'x'.join(map(str, self.image.shape))})"


@dataclass(frozen=True, eq=False)
class SoundChunk:
    """Consecutive mono samples; ``start`` is the exact sample position over the rate.

    Attributes:
        start: number of the first sample at ``rate``, counted from video time 0. Chunks of one
            reader are contiguous: gaps are filled with silence, overlaps trimmed.
        samples: float32 [n] in -1..1.
    """

    start: int
    rate: int
    samples: npt.NDArray[np.float32]

    @property
    def span(self) -> Span:
        """Its time in microseconds."""
        us = 1_000_000
        return Span(
            self.start * us // self.rate, (self.start + len(self.samples)) * us // self.rate
        )


@dataclass(frozen=True)
class Cue:
    """One subtitle cue: plain text, tags removed.

    Attributes:
        source: ``stream:2`` or the file name.
        language: as the file or stream states it (``eng``, ``en``), None if unsaid.
    """

    span: Span
    text: str
    source: str
    language: str | None = None


Item: TypeAlias = Frame | SoundChunk | Cue
