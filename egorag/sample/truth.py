"""What a sample video holds, known exactly because it was the script it was rendered from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, is_dataclass
from fractions import Fraction
from typing import Any, Literal

from egorag.spans import Span, to_seconds

Kind = Literal["speech", "screen", "sound", "order", "nowhere"]
"""Where an answer is to be found: narration, a board, a sound, the order of scenes, or not."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A hard cut: ``frame`` is the first frame of the new scene, ``seconds`` its time."""

    frame: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Thing:
    """A named object in one scene.

    Attributes:
        name: colour and noun, unique in the video, as the narration says it.
        rgb: its colour as drawn.
        at, to: the spots where it is at the scene's start and end; equal unless it is moved.
        moved: when a hand carries it, None when it stays.
        path: (seconds, x, y) of its middle at frames half a second apart; x and y are fractions
            of the picture's width and height, camera motion included.
    """

    name: str
    rgb: tuple[int, int, int]
    at: str
    to: str
    moved: Span | None
    path: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """Text on the wall that nobody reads aloud; ``span`` is when it is lit."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the narration: both spoken and a subtitle cue, over the same span."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Noise:
    """A sound of the place: its kind in ``sounds.KINDS`` and when it is heard."""

    kind: str
    span: Span


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene between two cuts. Frames are ``first_frame`` up to, not with, ``end_frame``."""

    index: int
    span: Span
    first_frame: int
    end_frame: int
    place: str
    things: tuple[Thing, ...]
    board: Board | None
    narration: tuple[Sentence, ...]
    noise: Noise | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer.

    Attributes:
        answer: None when the video doesn't hold one (kind ``nowhere``).
        span: where the answer is heard or seen.
        choices: for multiple choice; ``correct`` is the index of the answer among them.
    """

    text: str
    kind: Kind
    answer: str | None
    span: Span | None
    choices: tuple[str, ...] = ()
    correct: int | None = None


@dataclass(frozen=True)
class Truth:
    """Everything there is to know about a sample video.

    Attributes:
        frames, rate, size: of the picture; it lasts exactly ``frames / rate`` seconds.
        voice: how the narrator was made; ``formant`` is speech-like but not intelligible.
    """

    seed: int
    frames: int
    rate: Fraction
    size: tuple[int, int]
    subtitles: str
    scenes: tuple[Scene, ...]
    questions: tuple[Question, ...]
    voice: str = "formant"

    @property
    def seconds(self) -> float:
        return float(self.frames / self.rate)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The cuts between scenes, in order."""
        return tuple(Cut(s.first_frame, to_seconds(s.span.start)) for s in self.scenes[1:])

    @property
    def narration(self) -> tuple[Sentence, ...]:
        """All sentences in order."""
        return tuple(sentence for scene in self.scenes for sentence in scene.narration)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists; a span becomes ``[start, end]`` in seconds."""
        head = {"seconds": self.seconds, "cuts": [asdict(cut) for cut in self.cuts]}
        return {**head, **_plain(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, Span):
        return [to_seconds(value.start), to_seconds(value.end)]
    if isinstance(value, Fraction):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
