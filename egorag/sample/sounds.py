"""The sounds of the places: six kinds that differ in spectrum, rhythm or both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float64]

KINDS = {
    "kettle": "a kettle whistling",
    "engine": "an engine humming",
    "rain": "rain falling",
    "phone": "a phone ringing",
    "bell": "a bell ringing",
    "hammer": "a hammer knocking",
}
"""Every kind and how a person would say it."""


LOUDNESS = 0.04
"""Root mean square of every kind, so that none drowns the narrator."""


def noise(kind: str, samples: int, rate: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """``samples`` (at least one) of ``kind`` at ``rate`` Hz: float32 in -1..1, faded in and out."""
    time = np.arange(samples) / rate
    wave = _MAKERS[kind](time, rng)
    level, peak = np.sqrt(np.mean(wave**2)), np.abs(wave).max()
    wave *= min(LOUDNESS / level, 0.5 / peak)
    fade = min(samples // 2, rate // 30)
    ramp = np.linspace(0, 1, fade)
    wave[:fade] *= ramp
    wave[samples - fade :] *= ramp[::-1]
    return wave.astype(np.float32)


def _kettle(time: Wave, rng: np.random.Generator) -> Wave:
    """A whistle that climbs from 1.6 to 2.6 kHz and trembles."""
    pitch = 2600 - 1000 * np.exp(-time / 1.2) + 25 * np.sin(2 * np.pi * 7 * time)
    phase = 2 * np.pi * _integral(pitch, time)
    return np.sin(phase) + 0.3 * np.sin(2 * phase) + 0.05 * rng.normal(size=len(time))


def _engine(time: Wave, rng: np.random.Generator) -> Wave:
    """Harmonics of 45 Hz that beat at the rate of firing."""
    base = 2 * np.pi * 45 * time
    wave = sum((np.sin(k * base + k * k) / k for k in range(1, 7)), np.zeros(len(time)))
    return wave * (1 + 0.3 * np.sin(base / 4)) + 0.02 * rng.normal(size=len(time))


def _rain(time: Wave, rng: np.random.Generator) -> Wave:
    """White noise with its low end taken off, and single drops in it."""
    white = rng.normal(size=len(time) + 1)
    drops = 6 * (rng.random(len(time)) < 40 / 48_000) * rng.random(len(time))
    return np.diff(white) * (1 + 0.15 * np.sin(2 * np.pi * 0.4 * time)) + drops


def _phone(time: Wave, rng: np.random.Generator) -> Wave:
    """Two tones that alternate twenty times a second; on for one second, off for a half."""
    del rng
    first = np.sin(2 * np.pi * 1050 * time)
    second = np.sin(2 * np.pi * 1320 * time)
    return np.where(time * 20 % 2 < 1, first, second) * (time % 1.5 < 1.0)


def _bell(time: Wave, rng: np.random.Generator) -> Wave:
    """Strokes every 1.3 s: partials at a bell's ratios, the higher the sooner gone."""
    del rng
    since = time % 1.3
    partials = [(1.0, 1.0, 2.0), (2.0, 0.7, 3.0), (2.76, 0.5, 4.5), (5.4, 0.35, 8.0)]
    waves = [
        gain * np.exp(-fall * since) * np.sin(2 * np.pi * 620 * ratio * since)
        for ratio, gain, fall in partials
    ]
    return np.asarray(sum(waves))


def _hammer(time: Wave, rng: np.random.Generator) -> Wave:
    """Knocks 2.5 times a second: a click and the short answer of the wood."""
    since = time % 0.4
    click = np.exp(-400 * since) * rng.normal(size=len(time))
    return click + 0.8 * np.exp(-45 * since) * np.sin(2 * np.pi * 320 * since)


def _integral(pitch: Wave, time: Wave) -> Wave:
    return np.cumsum(pitch) * (float(time[1]) if len(time) > 1 else 0.0)


_MAKERS: dict[str, Callable[[Wave, np.random.Generator], Wave]] = {
    "kettle": _kettle,
    "engine": _engine,
    "rain": _rain,
    "phone": _phone,
    "bell": _bell,
    "hammer": _hammer,
}
