"""Write timed text straight into an index, with vectors of any text encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from egorag.pipeline.documents import SceneTexts, corpus_scenes, gather
from egorag.spans import Span, hull
from egorag.store.folder import IndexFolder
from egorag.store.ids import scene_id
from egorag.store.records import EncoderRow, Encoding, SceneText, VideoRecord
from egorag.types import Scene, TimedText, Video

EVENT = 4  # scenes an event


def write_encoders(
    folder: IndexFolder,
    encoders: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Make these the encoders of the index; their ``settings`` let it be opened by name."""
    folder.catalog.write_encoders(
        EncoderRow(n, f"corpus-{n}", e.space, (settings or {}).get(n, {}), "text")
        for n, e in encoders.items()
    )


def write_video(
    folder: IndexFolder,
    name: str,
    lines: Sequence[TimedText],
    encoders: Mapping[str, Any],
    recorded_at: datetime | None = None,
    scenes: Sequence[Span] = (),
) -> Video:
    """One video with scenes (one a line unless given), events and the whole; returns it.

    The encoders are those given to ``write_encoders``; each must take Documents.
    """
    id = hashlib.sha256(name.encode()).hexdigest()
    texts = gather(scenes or corpus_scenes(lines), lines)
    video = Video(id, name, texts[-1].span.end, recorded_at)
    levels = _levels(id, texts)
    documents = {
        scene.id: SceneText(
            "\n".join(t.speech for t in texts if scene.span.overlap(t.span)),
            "\n".join(t.visuals for t in texts if scene.span.overlap(t.span)),
        )
        for scene in levels
    }
    clips = [t.document for t in texts if t.document is not None]
    encodings = []
    for encoder_name, encoder in encoders.items():
        fingerprint = f"corpus-{encoder_name}"
        key = folder.artifacts.key(video=id, encoder=fingerprint)
        stored = folder.artifacts.write_vectors(
            key, encoder.encode(clips), [clip.span for clip in clips], {}
        )
        encodings.append(
            Encoding(encoder_name, fingerprint, "vectors", key, stored.sha256, len(clips))
        )
    folder.catalog.write_video(
        VideoRecord(video, "corpus", tuple(levels), tuple(lines), documents, tuple(encodings))
    )
    return video


def _levels(video: str, texts: Sequence[SceneTexts]) -> list[Scene]:
    groups = [texts[i : i + EVENT] for i in range(0, len(texts), EVENT)]
    whole = _scene(video, 2, 0, None, texts)
    events = [_scene(video, 1, i, whole.id, group) for i, group in enumerate(groups)]
    return [
        whole,
        *events,
        *(_scene(video, 0, i, events[i // EVENT].id, [t]) for i, t in enumerate(texts)),
    ]


def _scene(
    video: str, level: int, index: int, parent: int | None, texts: Sequence[SceneTexts]
) -> Scene:
    span = hull(t.span for t in texts)
    known_at = max(t.known_at for t in texts)
    return Scene(scene_id(video, level, span), video, span, level, index, parent, known_at)
