"""Sound events by AST, the Audio Spectrogram Transformer (Gong et al., arXiv:2104.01778).

``transformers.ASTForAudioClassification``, trained on AudioSet's 527 labels.

The feature extractor computes Kaldi's filter bank with torchaudio where that is installed and with
numpy where not. Both give the same to 1e-4 of a normalised level, which moves a score in its fourth
decimal at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Medium, Over
from egorag.encode.pretrained.base import Pretrained, Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.sound_windows import Sound, finite
from egorag.errors import ConfigError, EgoragError
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.spans import MICROSECONDS, Span
from egorag.types import TimedText

TRACK, SOURCE = "sound_event", "AST"
FRAME, SHIFT = 0.025, 0.010
"""Seconds: the filter bank's frames and their distance, fixed in the extractor."""
SILENCE = 2e-4
"""Peak, 74 dB under full scale: what a decoder leaves of nothing."""
CPU_BATCH, GPU_BATCH = 4, 32


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any  # transformers.ASTForAudioClassification
    extractor: Any  # transformers.ASTFeatureExtractor
    labels: tuple[str, ...]
    placement: Placement
    batches: Batches


@dataclass(frozen=True, eq=False)
class _Window:
    """Sound of at most the model's length; ``start`` is its first sample's number."""

    start: int
    samples: Sound


@dataclass(frozen=True, kw_only=True)
class AST(Pretrained):
    """What is heard when: track ``sound_event``, one timed text a label and stretch of time.

    The sound is cut into windows of the model's length (10.24 s); only the last may be shorter,
    and its spectrogram is padded as in training. In each window every label has a score of its
    own (a sigmoid: several sounds may be heard at once). Of the ``top`` best those of at least
    ``threshold`` are told. The same label in windows that follow each other is one text, from the
    first one's start to the last one's end, and its confidence is the highest of their scores. So
    times are as exact as a window is long, and less so the more ``hop`` overlaps them.

    A window without sound (digital silence) tells nothing, and neither does a rest of less than
    25 ms. What is merely quiet the model may call "Silence", which is one of AudioSet's labels.
    Scores do not depend on how the stream was chunked, and on the batch by 1e-5 in float32.

    Attributes:
        hop: seconds from one window's start to the next; None is the length of a window.
        threshold: the lowest score told, 0..1. Scores are not probabilities of being right: rare
            labels score low. 0.2 keeps about what a listener would name.
        top: labels told of a window, at most.
        longest: seconds; a text is ended and another begun when it would get longer than this,
            but not within a window. A scene's text is known only when the last of it has ended,
            and speech may go on for hours.
    """

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.STREAM
    family: ClassVar[str] = "MIT/ast"
    extra: ClassVar[str] = "audio"
    published: ClassVar[Mapping[str, Published]] = {
        "MIT/ast-finetuned-audioset-10-10-0.4593": Published(
            86_594_063, None, "BSD-3-Clause", download=0.35e9
        ),
    }

    checkpoint: str = by_name("MIT/ast-finetuned-audioset-10-10-0.4593")
    hop: float | None = None
    threshold: float = 0.2
    top: int = 5
    longest: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hop is not None and not 0.1 <= self.hop <= 3600:
            raise ValueError(f"hop must be 0.1 seconds up to a window's length, got {self.hop}")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1, got {self.threshold}")
        if self.top < 1:
            raise ValueError(f"top must be 1 or more labels, got {self.top}")
        if not self.longest > 0:
            raise ValueError(f"longest must be above 0 seconds, got {self.longest}")

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(self._window()[0])

    @property
    def space(self) -> None:
        return None

    def describe(self) -> str:
        rate, size, step = self._window()
        return (
            f"AST ({self.checkpoint}): the whole sound at {rate} Hz mono in windows of "
            f"{size / rate:g} s, one every {step / rate:g} s, the last one padded; of each the "
            f"{self.top} best labels with a score (sigmoid) of {self.threshold:g} or more; equal "
            f"ones that follow each other are one text of {self.longest:g} s or a window at most, "
            "with the highest score"
        )

    def _window(self) -> tuple[int, int, int]:
        """Rate in Hz, samples of a window and from one window's start to the next.

        Raises:
            ConfigError: ``hop`` is longer than a window, which would leave sound out.
        """
        config = self.source().read_json("preprocessor_config.json")
        rate = int(config.get("sampling_rate", 16_000))
        size = round(config.get("max_length", 1024) * SHIFT * rate)
        step = size if self.hop is None else round(self.hop * rate)
        if step > size:
            raise ConfigError(
                f"hop={self.hop:g} leaves out sound between windows of {size / rate:g} seconds; "
                "give that or less"
            )
        return rate, size, step

    def _load(self, placement: Placement) -> _Loaded:
        from transformers import ASTFeatureExtractor, ASTForAudioClassification

        source = self.source()
        self._window()
        extractor = load_processor(ASTFeatureExtractor, source)
        model = load_model(ASTForAudioClassification, source, placement)
        made, taken = (
            (shape.max_length, shape.num_mel_bins) for shape in (extractor, model.config)
        )
        if made != taken:
            raise ConfigError(
                f"checkpoint {source.name!r}: preprocessor_config.json makes spectrograms of "
                f"{made} frames and bands, config.json takes {taken}; give one that is whole"
            )
        names = model.config.id2label
        batches = Batches(placement.device, self.batch, CPU_BATCH, GPU_BATCH)
        labels = tuple(str(names[i]) for i in range(len(names)))
        return _Loaded(model, extractor, labels, placement, batches)

    def encode(self, data: Iterable[SoundChunk]) -> Iterator[TimedText]:
        """Yield events as they end; holds a batch of windows.

        Raises:
            ValueError: a chunk at another rate than ``sampling`` asks for.
        """
        loaded = self.loaded
        rate, size, step = self._window()
        least = round(FRAME * rate)
        merging = _Merging(rate, loaded.labels, round(self.longest * rate))
        held: list[_Window] = []
        for window in _windows(data, rate, size, step):
            if len(window.samples) < least:
                continue
            held.append(window)
            if len(held) >= (loaded.batches.size or 1):
                yield from self._tell(held, merging)
                held = []
        yield from self._tell(held, merging)
        yield from merging.end()

    def _tell(self, held: Sequence[_Window], merging: _Merging) -> Iterator[TimedText]:
        sounding = [w for w in held if np.abs(w.samples).max() >= SILENCE]
        rows = iter(self._scores([w.samples for w in sounding]))
        for window in held:
            found: dict[int, float] = {}
            if np.abs(window.samples).max() >= SILENCE:
                scores = next(rows)
                best = np.argsort(-scores, kind="stable")[: self.top]
                found = {int(i): float(scores[i]) for i in best if scores[i] >= self.threshold}
            yield from merging.add(window.start, window.start + len(window.samples), found)

    def _scores(self, sounds: Sequence[Sound]) -> npt.NDArray[np.float32]:
        """Scores 0..1 [sounds, labels]."""
        import torch

        loaded = self.loaded

        def run(batch: Sequence[Sound]) -> Any:
            inputs = loaded.extractor(
                list(batch), sampling_rate=loaded.extractor.sampling_rate, return_tensors="pt"
            )["input_values"].to(loaded.placement.device, loaded.placement.torch_dtype)
            return loaded.model(inputs).logits.float().sigmoid().cpu()

        if not sounds:
            return np.empty((0, len(loaded.labels)), np.float32)
        with torch.inference_mode():
            scores: npt.NDArray[np.float32] = torch.cat(loaded.batches.map(sounds, run)).numpy()
        if not np.isfinite(scores).all():
            raise EgoragError("the model gave a score that is not finite; try dtype=float32")
        return scores


@dataclass(eq=False)
class _Event:
    start: int
    end: int
    score: float


@dataclass(eq=False)
class _Merging:
    """Joins the same label in windows that follow each other.

    Attributes:
        rate: samples a second.
        longest: samples; no event is joined into a longer one.
    """

    rate: int
    labels: Sequence[str]
    longest: int
    _open: dict[int, _Event] = field(default_factory=dict)

    def add(self, start: int, end: int, found: Mapping[int, float]) -> Iterator[TimedText]:
        """The labels (by number) and scores of the next window; yields what it ended."""
        ended = [i for i, e in self._open.items() if i not in found or end - e.start > self.longest]
        yield from self._told(ended)
        for label, score in found.items():
            event = self._open.setdefault(label, _Event(start, end, score))
            event.end, event.score = end, max(event.score, score)

    def end(self) -> Iterator[TimedText]:
        """No more windows: the rest."""
        yield from self._told(list(self._open))

    def _told(self, labels: Sequence[int]) -> Iterator[TimedText]:
        events = sorted(
            ((self._open.pop(i), self.labels[i]) for i in labels),
            key=lambda told: (told[0].start, told[1]),
        )
        for event, name in events:
            start, end = (at * MICROSECONDS // self.rate for at in (event.start, event.end))
            confidence = round(min(1.0, event.score), 4)
            yield TimedText(Span(start, end), name, TRACK, SOURCE, confidence)


def _windows(data: Iterable[SoundChunk], rate: int, size: int, step: int) -> Iterator[_Window]:
    """Windows of ``size`` samples, one every ``step``, whatever the chunks; the last may be
    shorter, and only it ends with the sound."""
    held, start, fresh = np.empty(0, np.float32), 0, True
    pieces: list[Sound] = []
    waiting = 0
    for chunk in data:
        if chunk.rate != rate:
            raise ValueError(f"this model hears {rate} Hz, got sound at {chunk.rate} Hz")
        if fresh:
            start, fresh = chunk.start, False
        pieces.append(finite(chunk.samples))
        waiting += len(chunk.samples)
        if len(held) + waiting <= size:  # the last window is told apart by what follows it
            continue
        held, pieces, waiting = np.concatenate([held, *pieces]), [], 0
        while len(held) > size:
            yield _Window(start, held[:size])
            held, start = held[step:], start + step
    held = np.concatenate([held, *pieces])
    if len(held):
        yield _Window(start, held)
