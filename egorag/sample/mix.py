"""The sound of a scene: the narrator in front, the place's noise behind, a faint room tone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from egorag.sample import sounds, voice
from egorag.sample.truth import Scene, Truth
from egorag.spans import MICROSECONDS

RATE = 48_000
"""Samples a second."""


def mix(truth: Truth, scene: Scene) -> npt.NDArray[np.float32]:
    """Mono float32 sound of exactly ``scene``; the scenes' sounds put together have no seam."""
    start, end = (
        round(frame / truth.rate * RATE) for frame in (scene.first_frame, scene.end_frame)
    )
    rng = np.random.default_rng([truth.seed, scene.index, 4])
    sound = rng.normal(0, 0.0006, end - start).astype(np.float32)
    if scene.noise:
        span = scene.noise.span
        samples = span.duration * RATE // MICROSECONDS
        wave = sounds.noise(scene.noise.kind, samples, RATE, rng)
        _add(sound, wave, span.start * RATE // MICROSECONDS - start)
    for sentence in scene.narration:
        wave = voice.speak(sentence.text, RATE, rng)
        _add(sound, wave, sentence.span.start * RATE // MICROSECONDS - start)
    return sound


def _add(sound: npt.NDArray[np.float32], wave: npt.NDArray[np.float32], at: int) -> None:
    room = len(sound) - at
    sound[at : at + len(wave)] += wave[:room]
