"""What the catalog keeps of one video, as plain frozen records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from egorag.spaces import EmbeddingSpace
from egorag.store.ids import digest
from egorag.types import Scene, TimedText, Video, Word


@dataclass(frozen=True, slots=True)
class Source:
    """A place where the video's bytes were found (one content may lie under several names)."""

    path: str
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SceneText:
    """The full-text columns of one scene: what is said, and what is seen or read."""

    speech: str = ""
    visuals: str = ""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What one encoder made of one video.

    Attributes:
        key, sha256: the artifact and the hash of its bytes; None when there is none.
        kind: vectors of scenes, vectors of moments (finer, no search), or timed text.
        rows: vectors or timed texts in it.
        skipped: why the video has nothing for the encoder.
        error: why it failed.
    """

    encoder: str
    fingerprint: str
    kind: Literal["vectors", "moments", "text"]
    key: str | None
    sha256: str | None
    rows: int
    skipped: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class EncoderRow:
    """An encoder of this index.

    Attributes:
        space: where its vectors live; None if it yields timed text.
        settings: its resolved config, ``_target_`` included.
        medium: what it reads: ``frames``, ``sound``, ``cues`` or ``text``.
    """

    name: str
    fingerprint: str
    space: EmbeddingSpace | None
    settings: Mapping[str, Any]
    medium: str = ""


@dataclass(frozen=True)
class VideoRecord:
    """Everything the catalog holds of one video; replaced as a whole.

    Attributes:
        scenes: of all levels.
        documents: full-text columns by scene id; scenes without text may be left out.
        problems: what went wrong without failing the file, for reports.
    """

    video: Video
    segmentation: str
    scenes: tuple[Scene, ...]
    texts: tuple[TimedText, ...] = ()
    documents: Mapping[int, SceneText] = field(default_factory=dict)
    encodings: tuple[Encoding, ...] = ()
    sources: tuple[Source, ...] = ()
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = {scene.id for scene in self.scenes}
        if len(ids) != len(self.scenes):
            raise ValueError(f"{self.video!r} has two scenes with one id")
        strangers = {scene.video for scene in self.scenes} - {self.video.id}
        if strangers:
            raise ValueError(f"{self.video!r} was given scenes of other videos: {strangers}")
        if not ids.issuperset(self.documents):
            raise ValueError(f"{self.video!r} has documents of scenes it does not have")


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Text as SQLite and UTF-8 can hold it: lone surrogates and NUL become U+FFFD.

    >>> clean_text("a\\x00b\\ud800")
    'a\\ufffdb\\ufffd'
    """
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def canonical(record: VideoRecord) -> VideoRecord:
    """The record in its one order, with text that can be stored.

    Threads deliver in any order; sorting here makes equal content equal rows.
    """
    texts = sorted((_clean(t) for t in record.texts), key=_text_order)
    documents = {
        scene: SceneText(clean_text(text.speech), clean_text(text.visuals))
        for scene, text in sorted(record.documents.items())
        if text.speech or text.visuals
    }
    return replace(
        record,
        scenes=tuple(sorted(record.scenes, key=lambda s: (s.level, s.span, s.id))),
        texts=tuple(texts),
        documents=documents,
        encodings=tuple(sorted(map(_clean_encoding, record.encodings), key=lambda e: e.encoder)),
        sources=tuple(sorted(set(record.sources), key=_source_order)),
        problems=tuple(map(clean_text, record.problems)),
    )


def _clean(text: TimedText) -> TimedText:
    words = tuple(Word(word.span, clean_text(word.text)) for word in text.words)
    return replace(
        text,
        text=clean_text(text.text),
        track=clean_text(text.track),
        source=clean_text(text.source),
        words=words,
        speaker=clean_text(text.speaker) if text.speaker else None,
    )


def _clean_encoding(made: Encoding) -> Encoding:
    # Reasons may quote file names, which need not be valid text.
    skipped, error = (why and clean_text(why) for why in (made.skipped, made.error))
    return replace(made, skipped=skipped, error=error)


def _text_order(text: TimedText) -> tuple[Any, ...]:
    words = [(word.span, word.text) for word in text.words]
    sure, speaker = text.confidence or 0.0, text.speaker or ""
    return (text.span, text.track, text.source, text.text, sure, words, speaker)


def _source_order(source: Source) -> tuple[str, str]:
    return (source.path, source.recorded_at.isoformat() if source.recorded_at else "")


def record_digest(record: VideoRecord) -> str:
    """SHA-256 of a canonical record: equal exactly for equal content."""
    video = record.video
    return digest(
        [
            [video.id, video.path, video.duration, _iso(video.recorded_at), dict(video.metadata)],
            record.segmentation,
            [scene_list(scene) for scene in record.scenes],
            [_text_list(text) for text in record.texts],
            [[scene, text.speech, text.visuals] for scene, text in record.documents.items()],
            [
                [e.encoder, e.fingerprint, e.kind, e.key, e.sha256, e.rows, e.skipped, e.error]
                for e in record.encodings
            ],
            [[source.path, _iso(source.recorded_at)] for source in record.sources],
            record.problems,
        ]
    )


def scene_list(scene: Scene) -> list[int | None]:
    """A scene's columns without its video."""
    span = scene.span
    return [scene.id, scene.level, scene.index, span.start, span.end, scene.parent, scene.known_at]


def _text_list(text: TimedText) -> list[Any]:
    """A text's columns; no speaker is no entry, as in records from before there were any."""
    columns = [text.span.start, text.span.end, text.track, text.source, text.text, text.confidence]
    return [*columns, word_lists(text), *([text.speaker] if text.speaker else [])]


def word_lists(text: TimedText) -> list[list[int | str]]:
    """Words as ``[[start, end, text], ...]``."""
    return [[word.span.start, word.span.end, word.text] for word in text.words]


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
