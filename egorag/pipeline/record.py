"""The last stages of a video: text encoders over what its scenes say, then its catalog record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from egorag.encode.base import Medium
from egorag.media.sampling import FrameSampling
from egorag.pipeline import documents
from egorag.pipeline.documents import SceneTexts
from egorag.pipeline.models import Models
from egorag.pipeline.progress import Observer
from egorag.pipeline.speakers import assign
from egorag.pipeline.work import Work, recall
from egorag.pipeline.workers import checked
from egorag.segment.base import TreeSegmenter
from egorag.segment.events import hierarchy
from egorag.spans import to_us
from egorag.store.catalog import SceneText, Source, VideoRecord
from egorag.store.ids import scene_id
from egorag.types import TimedText, Video


@dataclass(frozen=True)
class Said:
    """All timed text of a video, and the texts of each scene."""

    texts: list[TimedText]
    scenes: list[SceneTexts]


def said_in(work: Work) -> Said:
    """Once every encoder of media has had its turn."""
    texts = assign([text for name in work.texts for text in _settled(work, name)])
    return Said(texts, documents.gather(work.scenes, texts))


def make_record(work: Work, said: Said) -> VideoRecord:
    """Everything the catalog holds of this video; every encoder has had its turn."""
    item, facts = work.item, work.facts
    recorded = item.recorded_at or (facts.recorded_at if facts else None)
    sources = _sources(work, Source(str(item.path), recorded))
    video = Video(work.id, sources[0].path, work.duration, recorded, dict(item.metadata))
    known_at = [s.known_at for s in said.scenes]
    seconds = work.recipe.event_seconds
    scenes = hierarchy(work.id, work.scenes, known_at, seconds, scene_id, _events(work))
    by_id: dict[int, SceneText] = {}
    for scene in scenes:
        inside = [t for t in said.scenes if scene.span.start <= t.span.start < scene.span.end]
        by_id[scene.id] = SceneText(
            speech=" ".join(t.speech for t in inside if t.speech),
            visuals=" ".join(t.visuals for t in inside if t.visuals),
        )
    return VideoRecord(
        video=video,
        segmentation=work.segmentation,
        scenes=scenes,
        texts=tuple(sorted(said.texts, key=lambda t: (t.span, t.track, t.source, t.text))),
        documents=by_id,
        encodings=tuple(work.encodings[name] for name in sorted(work.encodings)),
        sources=sources,
        problems=(*work.problems, *_failures(work)),
    )


def _events(work: Work) -> list[range] | None:
    """The scenes of each event by the tree, where a tree cut the scenes."""
    if not work.breaks or not isinstance(work.segmenter, TreeSegmenter):
        return None
    return work.segmenter.events(work.breaks, work.duration, work.recipe.event_seconds)


def _sources(work: Work, here: Source) -> tuple[Source, ...]:
    """Every place the same bytes are known to lie, by path; those that are gone are forgotten."""
    known = work.folder.catalog.record(work.id)
    others = [s for s in known.sources if s.path != here.path] if known else []
    return tuple(
        sorted([here, *(s for s in others if Path(s.path).exists())], key=lambda s: s.path)
    )


def _failures(work: Work) -> list[str]:
    return [f"{e.encoder} failed: {e.error}" for e in work.encodings.values() if e.error]


def _settled(work: Work, name: str) -> list[TimedText]:
    """An encoder's texts; what it saw at sampled times ends no later than the scene it was in."""
    encoder = work.recipe.encoders.get(name)
    sampling = encoder.sampling if encoder is not None else None
    if isinstance(sampling, FrameSampling) and sampling.rate is not None:
        return documents.end_at_cuts(work.texts[name], work.scenes, to_us(1 / sampling.rate))
    return work.texts[name]


def read_documents(
    work: Work, said: Said, names: Collection[str], models: Models, watch: Observer
) -> None:
    """Have text encoders ``names`` read what each scene says."""
    artifacts = work.folder.artifacts
    found = [s.document for s in said.scenes if s.document is not None]
    digest = hashlib.sha256(repr([(d.span, d.text) for d in found]).encode()).hexdigest()[:32]
    for name, encoder in work.recipe.encoders.items():
        if encoder.medium is not Medium.TEXT or name not in names or name in work.encodings:
            continue
        if not found:
            reason = encoder.skip_reason(replace(work.available, text=False))
            work.encodings[name] = work.encoding(name, skipped=reason or "no text")
            continue
        space = work.recipe.spaces[name]
        assert space is not None
        fingerprint = work.recipe.fingerprints[name]
        key = artifacts.key(video=work.id, encoder=fingerprint, documents=digest)
        if recall(work, name, key):
            continue
        models.load({name: encoder})
        watch.stage(f"encoding text ({name})")
        began = time.monotonic()
        try:
            vectors = checked(name, space, encoder.encode(found), len(found))
        except Exception as error:  # told with the video, the rest is kept
            reason = f"{type(error).__name__}: {error}"
            work.encodings[name] = work.encoding(name, error=reason)
            continue
        meta = {"encoder": fingerprint, "video": work.id}
        stored = artifacts.write_vectors(key, vectors, [d.span for d in found], meta)
        work.costs[name] = time.monotonic() - began
        work.encodings[name] = work.encoding(name, stored=stored, rows=len(found))
