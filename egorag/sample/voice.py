"""A formant voice: speech-like sound from text, by source and filter, in numpy alone.

Each letter (or pair such as "sh") becomes a phone: three formants, how much of it is voiced, how
much is hiss, and a length. A pulse train and white noise are then filtered frame by frame. It has
the rhythm, pitch and spectrum that voice-activity detectors look for (Silero fires on it), but a
recogniser or a person will make out little: it stands in for a narrator, it isn't one.

The method is the classic one of D. Klatt, "Software for a cascade/parallel formant synthesizer",
JASA 67 (1980); vowel formants after Peterson and Barney (1952), rounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HOP = 0.005
"""Seconds between filter frames."""

PAUSE = {" ": 0.05, ",": 0.18, ".": 0.12, "-": 0.05}


@dataclass(frozen=True, slots=True)
class Phone:
    """One sound: formants in Hz, voiced and hiss amplitude, hiss centre in Hz, seconds."""

    formants: tuple[int, int, int]
    voiced: float
    hiss: float = 0.0
    centre: int = 0
    seconds: float = 0.08


def _vowel(f1: int, f2: int, f3: int, seconds: float = 0.11) -> Phone:
    return Phone((f1, f2, f3), voiced=1.0, seconds=seconds)


def _stop(f2: int, centre: int, voiced: float) -> Phone:
    return Phone((300, f2, 2500), voiced=voiced, hiss=0.25, centre=centre, seconds=0.055)


PHONES: dict[str, Phone] = {
    "a": _vowel(700, 1700, 2450),
    "e": _vowel(550, 1800, 2500),
    "i": _vowel(400, 2000, 2600, 0.09),
    "o": _vowel(580, 950, 2400),
    "u": _vowel(620, 1200, 2400),
    "y": _vowel(350, 2150, 2750, 0.08),
    "ee": _vowel(280, 2250, 2950, 0.14),
    "ea": _vowel(300, 2200, 2900, 0.14),
    "oo": _vowel(320, 900, 2250, 0.14),
    "ou": _vowel(650, 1000, 2350, 0.15),
    "ow": _vowel(600, 950, 2350, 0.15),
    "ai": _vowel(500, 1950, 2600, 0.14),
    "ar": _vowel(720, 1100, 2300, 0.15),
    "er": _vowel(480, 1300, 1700, 0.12),
    "or": _vowel(560, 850, 2300, 0.15),
    "b": _stop(900, 500, 0.35),
    "d": _stop(1700, 3000, 0.35),
    "g": _stop(2000, 1800, 0.35),
    "p": _stop(900, 900, 0.0),
    "t": _stop(1700, 3800, 0.0),
    "k": _stop(2000, 2000, 0.0),
    "ck": _stop(2000, 2000, 0.0),
    "l": Phone((360, 1200, 2700), 0.6, seconds=0.07),
    "r": Phone((400, 1150, 1600), 0.65, seconds=0.07),
    "w": Phone((320, 700, 2200), 0.6, seconds=0.07),
    "m": Phone((270, 1000, 2200), 0.45, seconds=0.08),
    "n": Phone((280, 1600, 2500), 0.45, seconds=0.07),
    "ng": Phone((280, 2000, 2600), 0.45, seconds=0.09),
    "s": Phone((350, 1700, 2600), 0.0, 0.30, 5500, 0.10),
    "sh": Phone((350, 1800, 2500), 0.0, 0.35, 3200, 0.11),
    "ch": Phone((350, 1800, 2500), 0.0, 0.35, 3400, 0.10),
    "f": Phone((350, 1100, 2300), 0.0, 0.15, 4500, 0.09),
    "th": Phone((330, 1400, 2500), 0.25, 0.12, 4500, 0.06),
    "h": Phone((550, 1500, 2500), 0.15, 0.20, 1500, 0.06),
    "v": Phone((330, 1100, 2300), 0.5, 0.08, 4000, 0.07),
    "z": Phone((330, 1700, 2600), 0.45, 0.20, 5000, 0.08),
    "j": Phone((320, 2000, 2700), 0.35, 0.20, 3000, 0.08),
}
SPELLED_AS = {"c": "k", "q": "k", "x": "s", "ph": "f", "wh": "w"}
DIGITS = ("zeero", "wun", "too", "three", "fower", "fiv", "siks", "seven", "ait", "nin")
_UNITS = re.compile("|".join(sorted([*PHONES, *SPELLED_AS], key=len, reverse=True)) + "|[ ,.-]")


def phones(text: str) -> list[Phone | float]:
    """The phones of ``text`` in order, pauses as plain seconds between them."""
    spelled = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text.lower())
    spelled = re.sub(r"([bcdfgklmnprstz])\1", r"\1", spelled)
    spelled = re.sub(r"(?<=[a-z]{2})e\b", "", spelled)  # the silent e of "place"
    units = _UNITS.findall(re.sub(r"\s+", " ", spelled.strip()))
    return [PAUSE[u] if u in PAUSE else PHONES[SPELLED_AS.get(u, u)] for u in units]


def duration(text: str) -> float:
    """Seconds that ``speak(text, rate)`` lasts."""
    return len(_frames(text)[0]) * HOP


def speak(text: str, rate: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Mono sound of ``text``, float32 [n] within -1..1, at ``rate`` Hz.

    ``rng`` gives the hiss and the jitter of the pitch.
    """
    track, voiced, hiss, centre = _frames(text)
    count = len(track)
    if not count:
        return np.zeros(0, np.float32)
    hop = round(HOP * rate)
    # Pitch falls over the sentence and wavers with the syllables, as in plain reading.
    line = np.linspace(0, 1, count)
    waver = 9 * np.sin(np.arange(count) * HOP * 2 * np.pi * 2.6)
    pitch = 128 - 34 * line + waver + 0.3 * np.cumsum(rng.normal(0, 0.25, count))
    phase = np.cumsum(np.repeat(pitch, hop)) / rate
    pulses = np.diff(np.floor(phase), prepend=0.0) * np.sqrt(rate / 100)
    noise = rng.normal(0, 1, count * hop)

    bins = np.asarray(np.fft.rfftfreq(4 * hop, 1 / rate), np.float64)
    voice_filter = _vocal_tract(bins, track) * voiced[:, None]
    hiss_filter = np.exp(-(((bins - centre[:, None]) / 1100) ** 2)) * hiss[:, None] * 0.25
    sound = _filter(pulses, voice_filter, hop) + _filter(noise, hiss_filter, hop)
    loudest = max(1e-9, float(np.abs(sound).max()))
    return np.asarray(0.5 * sound / loudest, np.float32)


def _frames(text: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Formants [n, 3], voiced [n], hiss [n] and hiss centre [n], one row every HOP, smoothed."""
    rows: list[tuple[float, ...]] = []
    last = (500, 1500, 2500)
    for unit in phones(text):
        if isinstance(unit, Phone):
            row = (*unit.formants, unit.voiced, unit.hiss, unit.centre)
            rows += [row] * round(unit.seconds / HOP)
            last = unit.formants
        else:
            rows += [(*last, 0.0, 0.0, 2000)] * round(unit / HOP)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 6)
    # The mouth moves from one phone to the next in about 40 ms.
    window = np.hanning(11)[1:-1] / np.hanning(11).sum()
    padded = np.pad(table, ((4, 4), (0, 0)), mode="edge") if len(rows) else table
    for column in range(6 if rows else 0):
        table[:, column] = np.convolve(padded[:, column], window, mode="valid")
    return table[:, :3], table[:, 3], table[:, 4], table[:, 5]


def _vocal_tract(bins: Floats, formants: Floats) -> Floats:
    """Gain [n, len(bins)]: resonances at the formants times the fall of a glottal pulse."""
    gain = 1 / (1 + (bins / 250) ** 2) * np.minimum(1, bins / 80)
    total: Floats = np.repeat(gain[None], len(formants), axis=0)
    fixed = np.full(len(formants), 3500.0)
    tracks = [(formants[:, 0], 80.0), (formants[:, 1], 110.0), (formants[:, 2], 170.0)]
    for centre, width in [*tracks, (fixed, 250.0)]:
        f2 = bins[None] ** 2
        c2 = (centre**2)[:, None]
        total = total * c2 / np.sqrt((f2 - c2) ** 2 + f2 * width**2)
    return total


def _filter(source: Floats, gains: Floats, hop: int) -> Floats:
    """Filter ``source`` with one zero-phase gain per hop, frames of four hops overlapped."""
    size = 4 * hop
    window = np.hanning(size + 1)[:-1] / 2  # four such windows, a hop apart, add up to 1
    padded = np.pad(source, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][: len(gains)] * window
    filtered = np.fft.irfft(np.fft.rfft(frames, axis=1) * gains, size, axis=1)
    out = np.zeros((len(gains) + 4, hop))
    for part in range(4):
        out[part : part + len(gains)] += filtered[:, part * hop : (part + 1) * hop]
    return out.ravel()[size // 2 : size // 2 + len(source)]
