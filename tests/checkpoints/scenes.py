"""Scenes made of drawn pictures, and damage to a checkpoint: for tests of any visual encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.encode.base import FrameClip
from egorag.media.sampling import Frame
from egorag.spans import Span

Image = npt.NDArray[np.uint8]


def picture(seed: int, width: int = 32, height: int = 32) -> Image:
    """RGB blocks of colour; another seed, another picture."""
    dice = np.random.default_rng(seed)
    image = np.full((height, width, 3), dice.integers(256, size=3), np.uint8)
    for _ in range(6):
        y, x = dice.integers(height), dice.integers(width)
        image[y : y + height // 2, x : x + width // 2] = dice.integers(256, size=3)
    return image


def scene(*images: Image, step: int = 500_000) -> FrameClip:
    """A scene with these frames, ``step`` microseconds apart."""
    frames = tuple(Frame(i * step, i * step, i, image) for i, image in enumerate(images))
    return FrameClip(Span(0, len(images) * step), frames)


def scenes(*lengths: int, width: int = 32, height: int = 32) -> list[FrameClip]:
    """One scene a length, each of different pictures."""
    return [
        scene(*(picture(100 * i + k, width, height) for k in range(length)))
        for i, length in enumerate(lengths)
    ]


def without(folder: Path, part: str, file: str = "model.safetensors") -> str:
    """Delete the first tensor with ``part`` in its name from a checkpoint; returns its name."""
    from safetensors.torch import load_file, save_file

    tensors: dict[str, Any] = load_file(folder / file)
    name = next(name for name in sorted(tensors) if part in name)
    del tensors[name]
    save_file(tensors, folder / file, metadata={"format": "pt"})
    return name
