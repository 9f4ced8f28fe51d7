"""Sounds made by rule, as scenes and as files: for tests of any encoder that hears."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egorag.encode.base import SoundClip
from egorag.spans import Span

Sound = npt.NDArray[np.float32]


def sound(seed: int, seconds: float, rate: int) -> Sound:
    """A tone that another rises over, in noise; another seed, another sound."""
    dice = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    low, high = dice.uniform(100, 1000), dice.uniform(1000, 6000)
    mixed = 0.4 * np.sin(2 * np.pi * low * time)
    mixed += 0.3 * np.sin(2 * np.pi * (high + 500 * time) * time) * (time % 0.7 > 0.3)
    mixed += dice.uniform(0.01, 0.1) * dice.standard_normal(len(time))
    return np.clip(mixed, -1, 1).astype(np.float32)


def scene(samples: Sound, rate: int) -> SoundClip:
    """A scene with this sound."""
    return SoundClip(Span(0, max(1, len(samples) * 1_000_000 // rate)), samples, rate)


def scenes(*seconds: float, rate: int) -> list[SoundClip]:
    """One scene a length, each of another sound."""
    return [scene(sound(i, length, rate), rate) for i, length in enumerate(seconds)]


def write(path: Path, samples: Sound, rate: int) -> Path:
    """A WAV file, 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path
