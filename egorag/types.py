"""The core nouns. Frozen, validated, printable; none of them names a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from egorag.spans import Span, clock, to_seconds

LEVELS = ("scene", "event", "video")
"""Names of levels 0, 1, 2. Level 0 tiles a video; the others are unions of adjacent children."""

MEDIA = ("text", "image", "sound", "video", "like")
"""What a query can be given by."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript with its time."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class TimedText:
    """Text that holds over a span: a cue, a transcript line, a caption, a line on screen.

    Attributes:
        span: when it is heard or seen.
        text: plain text, no markup, no control characters but newline.
        track: what kind: ``subtitle``, ``transcript``, ``ocr``, ``caption``, ``speech``, ...
        source: who says so: a file name, a stream, an encoder's name.
        confidence: 0..1 where the source gives one.
        words: word times, where known.
        speaker: label of who says it (``SPEAKER_00``), the same all through a video, where known.
    """

    span: Span
    text: str
    track: str
    source: str
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    speaker: str | None = None

    def __post_init__(self) -> None:
        if not self.track:
            raise ValueError("TimedText needs a track name")
        if self.confidence is not None and not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must lie in 0..1, got {self.confidence}")

    @property
    def told(self) -> str:
        """The text, after ``SPEAKER_00: `` where the speaker is known."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


@dataclass(frozen=True)
class Video:
    """One media file (or one name in a text corpus). ``id`` is the hash of its content.

    Attributes:
        duration: decoded length in microseconds; scenes tile ``[0, duration)``.
        recorded_at: timezone-aware wall clock of time 0, where known.
    """

    id: str
    path: str
    duration: int
    recorded_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("Video needs an id")
        if self.duration < 0:
            raise ValueError(f"duration must not be negative, got {self.duration}")
        if self.recorded_at is not None and self.recorded_at.tzinfo is None:
            raise ValueError(f"recorded_at needs a time zone, got {self.recorded_at!r}")
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @property
    def span(self) -> Span:
        return Span(0, self.duration)

    def __repr__(self) -> str:
        return f"Video({self.id[:12]}, {self.path!r}, {clock(self.duration)})"


@dataclass(frozen=True, slots=True)
class Scene:
    """A span of one video at one level (0 scene, 1 event, 2 video).

    Attributes:
        id: stable 63-bit integer made from video, level and span.
        index: position among the scenes of its level.
        parent: id of the scene one level up, None at the top.
        known_at: microseconds; the end of the latest thing its text or vectors were made from
            (a cue may outlast its scene). The causal cut-off compares with this, not with the end.
    """

    id: int
    video: str
    span: Span
    level: int
    index: int
    parent: int | None
    known_at: int

    def __post_init__(self) -> None:
        if not 0 <= self.level < len(LEVELS):
            raise ValueError(f"level must be 0..{len(LEVELS) - 1}, got {self.level}")
        if self.known_at < self.span.end:
            raise ValueError(f"known_at {self.known_at} lies before the end of {self.span}")


@dataclass(frozen=True)
class Query:
    """What is asked for. At least one of text, image, sound, video and like is given.

    Attributes:
        text: a phrase or question.
        image: path of a picture.
        sound: path of a sound file.
        video: path of a video clip, a few seconds long.
        like: a scene of the index: "more like this", by its stored vectors. What overlaps it in
            time is not found. Must itself lie before ``until``; the other filters do not bind it.
        after, before: keep scenes that start at or after / end at or before this time; seconds in
            the video, or a timezone-aware datetime compared through ``recorded_at``.
        until: the causal cut-off; nothing known later is read, ranked, counted or cited.
        levels: which of ``LEVELS`` are searched.
        videos: ids to restrict to; empty means all.
    """

    text: str | None = None
    image: Path | None = None
    sound: Path | None = None
    video: Path | None = None
    like: Scene | None = None
    after: float | datetime | None = None
    before: float | datetime | None = None
    until: float | datetime | None = None
    levels: tuple[str, ...] = ("scene",)
    videos: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.media:
            raise ValueError("a query needs a text, an image, a sound, a video clip or a scene")
        unknown = set(self.levels) - set(LEVELS)
        if unknown or not self.levels:
            raise ValueError(f"levels must be of {LEVELS}, got {self.levels}")
        for name in ("after", "before", "until"):
            value = getattr(self, name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ValueError(f"{name} needs a time zone, got {value!r}")
            if isinstance(value, float) and math.isnan(value):
                raise ValueError(f"{name} is not a number")

    @property
    def media(self) -> tuple[str, ...]:
        """Which of ``MEDIA`` are given."""
        return tuple(medium for medium in MEDIA if getattr(self, medium) is not None)


@dataclass(frozen=True, slots=True)
class Part:
    """How one ranking placed a hit: 1-based rank and that ranking's own score."""

    rank: int
    score: float

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"ranks start at 1, got {self.rank}")


@dataclass(frozen=True)
class Hit:
    """A scene found, with the parts of its score and the text that matched.

    Attributes:
        score: the fuser's, also where a reranker has changed the order since.
        similar: how many scenes ranked below it were left out as nearly the same.
        form: what an answerer is to be given of it: ``frames``, ``clip``, ``sound``, or a track of
            text alone (``transcript`` for subtitles, too); None for all there is.
        focus: the stretch of the scene that matches best, where an encoder of moments takes the
            query; None where none does.
    """

    scene: Scene
    path: str
    score: float
    parts: Mapping[str, Part]
    text: str
    similar: int = 0
    form: str | None = None
    focus: Span | None = None

    def to_json(self) -> dict[str, Any]:
        """The command contract's form: seconds, level by name."""
        return {
            "video": self.scene.video,
            "path": self.path,
            "start": to_seconds(self.scene.span.start),
            "end": to_seconds(self.scene.span.end),
            "level": LEVELS[self.scene.level],
            "score": self.score,
            "parts": {n: {"rank": p.rank, "score": p.score} for n, p in self.parts.items()},
            "text": self.text,
            "similar": self.similar,
            "form": self.form,
            "focus": self.focus and [to_seconds(self.focus.start), to_seconds(self.focus.end)],
        }

    def _repr_html_(self) -> str:
        from egorag.tables import hits_html

        return hits_html([self])


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote with its place.

    Attributes:
        verified: only after a check against the index.
        source: who says so, as ``TimedText.source``; found by that check.
    """

    video: str
    path: str
    span: Span
    quote: str
    track: str
    verified: bool = False
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "video": self.video,
            "path": self.path,
            "start": to_seconds(self.span.start),
            "end": to_seconds(self.span.end),
            "quote": self.quote,
            "track": self.track,
            "source": self.source,
            "verified": self.verified,
        }


@dataclass(frozen=True)
class Answer:
    """An answer with checked citations, or an abstention that says why in ``text``.

    Attributes:
        choice: index into the given choices, None without choices or when abstained.
        confidence: 0..1; not a calibrated probability unless the answerer says so.
        verified: share in 0..1 of the citations a model gave that the index bears out (a sentence
            without any counts as one that failed); None where none was asked for.
        probabilities: one per choice, summing to 1, where the answerer gives them.
        notes: what went otherwise than asked on the way to this answer.
        plan: how the question was understood, as plain data; None where nobody asked the index.
        tokens: of all that a language model was sent and sent for it; None where none was asked, or
            it does not count them.
    """

    text: str
    abstained: bool
    confidence: float
    citations: tuple[Citation, ...] = ()
    evidence: tuple[Hit, ...] = ()
    choice: int | None = None
    verified: float | None = None
    probabilities: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()
    plan: Mapping[str, Any] | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must lie in 0..1, got {self.confidence}")
        if self.verified is not None and not 0.0 <= self.verified <= 1.0:
            raise ValueError(f"verified must lie in 0..1, got {self.verified}")

    def to_json(self) -> dict[str, Any]:
        return {
            "answer": self.text,
            "choice": self.choice,
            "abstained": self.abstained,
            "confidence": self.confidence,
            "citations": [c.to_json() for c in self.citations],
            "evidence": [h.to_json() for h in self.evidence],
            "verified": self.verified,
            "probabilities": None if self.probabilities is None else list(self.probabilities),
            "notes": list(self.notes),
            "plan": None if self.plan is None else dict(self.plan),
            "tokens": self.tokens,
        }

    def _repr_html_(self) -> str:
        from egorag.tables import answer_html

        return answer_html(self)
