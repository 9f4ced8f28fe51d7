"""Similar-sound search by log-mel statistics: no training, no weights.

What a sound is like is told by the level in each of 64 mel bands (kaldi-native-fbank, 25 ms
frames every 10 ms) and by how it moves: the mean over time, the deviation, the change from frame
to frame and the modulation spectrum. These are the classical descriptors of sound texture
(McDermott and Simoncelli, Neuron 71, 2011). They find sounds that are alike; they do not know what
a sound is called, and to them most speech is just speech. Loudness is divided out: the same
sound further away is the same sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Available, Medium, Over, SoundClip, Vectors
from egorag.errors import MediaError, SpaceError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import SoundSampling
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

RATE = 16_000
FRAME, HOP = 400, 160  # samples: 25 ms, 10 ms
BANDS = 64
GROUPS = 8  # of neighbouring bands, each with one modulation spectrum
MODULATION_HZ = (0.5, 1, 2, 4, 8, 16, 32)  # edges of its bands
SILENCE = 2e-4  # peak, 74 dB under full scale: what a decoder leaves of nothing
RANGE = 13.8  # 60 dB as a natural logarithm of power; what lies further under the peak is floor

# Weights that bring the parts, in nats, to about equal size over speech, noises, tones and clicks.
MEAN, DEVIATION, CHANGE, MODULATION = 1.0, 1.0, 2.0, 3.0
DIM = 3 * BANDS + GROUPS * (len(MODULATION_HZ) - 1) + 1

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogMel:
    """Log-mel statistics of a scene's sound.

    Attributes:
        window: seconds described at once. A longer scene is the mean of its windows, weighted by
            their lengths, so that memory does not grow with it.
    """

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.SCENES
    sampling: ClassVar[SoundSampling] = SoundSampling(RATE)

    window: float = 10.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.window <= 60:
            raise ValueError(f"window must be 0.1..60 seconds, got {self.window}")

    @property
    def space(self) -> EmbeddingSpace:
        """241-d, unit length, queried by sound. The last component is 1 for silence alone."""
        return EmbeddingSpace("egorag/logmel", "1", DIM, True, frozenset({"sound"}))

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def skip_reason(self, available: Available) -> str | None:
        return None if available.sound else "no sound"

    def setup(self, device: str = "cpu") -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to give back."""

    def encode(self, data: Sequence[SoundClip]) -> Vectors:
        """float32 [clips, 241], unit rows."""
        size = round(self.window * RATE)
        rows = np.empty((len(data), DIM), np.float32)
        for row, clip in zip(rows, data, strict=True):
            if clip.rate != RATE:
                raise ValueError(f"LogMel reads sound at {RATE} Hz, got a clip at {clip.rate} Hz")
            starts = range(0, len(clip.samples), size)
            row[:] = _average(clip.samples[start : start + size] for start in starts)
        return rows

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [241], unit length, from the query's sound file, however long.

        Raises:
            SpaceError: the medium is not sound, or the query has none.
            MediaError: the file cannot be read, or holds no sound.
        """
        from egorag.media import sound

        if medium != "sound" or query.sound is None:
            raise SpaceError(f"LogMel embeds sound, but the query was to enter by {medium!r}")
        chunks = (chunk.samples for chunk in sound(query.sound, self.sampling))
        vector = _average(_windows(chunks, round(self.window * RATE)))
        if not vector.any():
            raise MediaError(f"{query.sound} holds no sound to search by; give a file that does")
        return vector.astype(np.float32)


def _average(windows: Iterable[Vectors]) -> Values:
    """Mean descriptor, weighted by length, scaled to unit length; zeros without any window."""
    total = np.zeros(DIM)
    for samples in windows:
        total += len(samples) * _describe(samples)
    return total / (np.linalg.norm(total) or 1.0)


def _windows(chunks: Iterable[Vectors], size: int) -> Iterator[Vectors]:
    """The same samples in pieces of ``size``, the last one shorter."""
    held = np.empty(0, np.float32)
    for chunk in chunks:
        held = np.concatenate([held, chunk])
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if len(held):
        yield held


def _describe(samples: Vectors) -> Values:
    """Unit vector float64 [241] of one window of n >= 1 samples."""
    clean = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    clean -= clean.mean()
    if np.abs(clean).max() < SILENCE:
        silent = np.zeros(DIM)
        silent[-1] = 1.0
        return silent
    levels = _log_mel(clean / clean.std())
    levels = np.maximum(levels, levels.max() - RANGE)
    mean = levels.mean(axis=0)
    parts = (
        (MEAN, mean - mean.mean()),
        (DEVIATION, levels.std(axis=0)),
        (CHANGE, np.abs(levels[2:] - levels[:-2]).mean(axis=0)),
        (MODULATION, _modulation(levels)),
    )
    scaled = [weight * part / np.sqrt(part.size) for weight, part in parts]
    vector: Values = np.concatenate([*scaled, [0.0]])
    vector /= np.linalg.norm(vector)
    return vector


def _log_mel(samples: Values) -> Values:
    """Natural logarithm of mel power, [frames, 64], at least 3 frames."""
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    frames, mel = options.frame_opts, options.mel_opts
    frames.samp_freq = RATE
    frames.frame_length_ms, frames.frame_shift_ms = 1000 * FRAME / RATE, 1000 * HOP / RATE
    frames.window_type = "hann"
    frames.snip_edges = False
    frames.preemph_coeff = 0.0
    frames.dither = 0.0  # the default adds random noise: results must not differ between runs
    mel.num_bins, mel.low_freq, mel.high_freq = BANDS, 40, 7800
    fbank = kaldi_native_fbank.OnlineFbank(options)
    padded = np.pad(samples, (0, max(0, FRAME - len(samples))))
    fbank.accept_waveform(RATE, padded.astype(np.float32))
    fbank.input_finished()
    return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)], np.float64)


def _modulation(levels: Values) -> Values:
    """Depth of modulation, [8 * 6] nats RMS: how much each group of bands rises and falls at
    0.5-1, 1-2, ... 16-32 Hz."""
    envelopes = levels.reshape(len(levels), GROUPS, -1).mean(axis=2)
    envelopes -= envelopes.mean(axis=0)
    power = 2 * np.abs(np.fft.rfft(envelopes, axis=0) / len(levels)) ** 2
    bands = np.searchsorted(MODULATION_HZ, np.fft.rfftfreq(len(levels), HOP / RATE), side="right")
    depth = [power[bands == band].sum(axis=0) for band in range(1, len(MODULATION_HZ))]
    rms: Values = np.sqrt(np.concatenate(depth))
    return rms
