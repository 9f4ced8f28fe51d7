"""One video, from file to catalog.

Every result is an artifact under a key made of what it depends on, so a run does only what is
missing: a finished encoder is never run again, a changed setting recomputes exactly what depends
on it, and a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from egorag.encode.base import Available, Document, Encoder, Medium, Over
from egorag.errors import MediaError
from egorag.media.inputs import Input
from egorag.media.probe import Facts, content_hash, probe
from egorag.media.sampling import Cue
from egorag.media.subtitles import read_subtitles, sidecars
from egorag.pipeline import documents
from egorag.pipeline.models import Models
from egorag.pipeline.onepass import PassResult, run_pass
from egorag.pipeline.progress import Observer
from egorag.pipeline.recipe import Recipe
from egorag.pipeline.textual import decode_texts, encode_texts
from egorag.pipeline.workers import Worker, checked
from egorag.segment.events import hierarchy
from egorag.segment.given import Given
from egorag.spans import Span, check_tiling
from egorag.store.artifacts import Stored
from egorag.store.catalog import Encoding, SceneText, Source, VideoRecord
from egorag.store.folder import IndexFolder
from egorag.store.ids import scene_id
from egorag.types import TimedText, Video


@dataclass
class Work:
    """What is known of one video so far; filled stage by stage."""

    id: str
    path: Path
    recipe: Recipe
    folder: IndexFolder
    available: Available
    scenes: tuple[Span, ...] = ()
    duration: int = 0
    texts: dict[str, list[TimedText]] = field(default_factory=dict)
    encodings: dict[str, Encoding] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def segmentation(self) -> str:
        """Hash of the level-0 scenes: two ways to cut that agree share their results."""
        spans = [[s.start, s.end] for s in self.scenes]
        return hashlib.sha256(json.dumps(spans).encode()).hexdigest()[:32]


def index_media(
    item: Input, recipe: Recipe, folder: IndexFolder, models: Models, watch: Observer
) -> VideoRecord:
    """Index one media file and return its record, not yet in the catalog.

    Raises:
        MediaError: the file cannot be read; the message says why.
    """
    watch.stage("reading")
    facts = probe(item.path)
    cues, cue_problems, cue_hash = _sidecar_cues(item.path, recipe)
    work = Work(
        id=content_hash(item.path),
        path=item.path,
        recipe=recipe,
        folder=folder,
        available=Available(
            frames=facts.video is not None,
            sound=facts.sound is not None,
            subtitles=bool(cues or facts.subtitles) and _reads(recipe, Medium.CUES),
            text=False,
        ),
        problems=cue_problems,
    )
    segmenter = Given(scenes=_pairs(item.scenes)) if item.scenes else recipe.segmenter
    cut_key = folder.artifacts.key(video=work.id, scenes=segmenter.fingerprint())
    _recall_scenes(work, cut_key)

    while True:
        missing = _plan(work, cue_hash)
        if missing or not work.scenes:
            models.load(missing.values())
            watch.stage("decoding")
            result = run_pass(
                item.path,
                facts,
                missing,
                None if work.scenes else segmenter,
                work.scenes,
                watch.reached,
                cues,
            )
            _keep_scenes(work, cut_key, result)
            _keep_results(work, cue_hash, result)
        if not _subtitles_turned_out_empty(work):
            break
        # The stream was there but said nothing: what stood back for it now has its turn.
        work.available = replace(work.available, subtitles=False)

    return _record(work, item, facts, models, watch)


def index_text(
    item: Input, recipe: Recipe, folder: IndexFolder, models: Models, watch: Observer
) -> VideoRecord:
    """Index timed text without media (one name of a TEXT.jsonl)."""
    texts = list(item.texts or ())
    scenes = tuple(documents.corpus_scenes(texts))
    work = Work(
        id=item.id,
        path=item.path,
        recipe=recipe,
        folder=folder,
        available=Available(frames=False, sound=False, subtitles=False, text=True),
        scenes=scenes,
        duration=scenes[-1].end,
        texts={"given": texts},
    )
    _plan(work, "")
    return _record(work, item, None, models, watch)


def _reads(recipe: Recipe, medium: Medium) -> bool:
    return any(e.medium is medium for e in recipe.encoders.values())


def _pairs(spans: Sequence[Span]) -> list[list[float]]:
    return [[s.start / 1e6, s.end / 1e6] for s in spans]


def _sidecar_cues(path: Path, recipe: Recipe) -> tuple[tuple[Cue, ...], list[str], str]:
    """Cues of the subtitle files beside a video, what was wrong with them, their hash."""
    cues: list[Cue] = []
    problems: list[str] = []
    digest = hashlib.sha256()
    if not _reads(recipe, Medium.CUES):
        return (), [], digest.hexdigest()
    for beside in sidecars(path):
        read = read_subtitles(beside)
        cues += read.cues
        problems += [f"{beside.name}: {problem}" for problem in read.problems]
        digest.update(
            repr([(c.span.start, c.span.end, c.text, c.source) for c in read.cues]).encode()
        )
    return tuple(cues), problems, digest.hexdigest()


def _recall_scenes(work: Work, key: str) -> None:
    artifacts = work.folder.artifacts
    if artifacts.has(key):
        kept = artifacts.read_json(key)
        work.scenes = tuple(Span(a, b) for a, b in kept["scenes"])
        work.duration = kept["duration"]
        work.problems += kept["problems"]


def _keep_scenes(work: Work, key: str, result: PassResult) -> None:
    if work.scenes:
        return
    report = result.report
    if report.duration <= 0 or not result.scenes:
        raise MediaError("nothing in it could be decoded: no frame and no sound")
    check_tiling(result.scenes, Span(0, report.duration))
    work.scenes, work.duration = result.scenes, report.duration
    problems = list(report.problems)
    if report.frames_skipped:
        problems.append(f"{report.frames_skipped} frames could not be decoded and were skipped")
    if report.sound_skipped:
        problems.append(f"{report.sound_skipped} sound packets could not be decoded")
    work.problems += problems
    work.folder.artifacts.write_json(
        key,
        {
            "scenes": [[s.start, s.end] for s in work.scenes],
            "duration": work.duration,
            "problems": problems,
        },
    )


def _key(work: Work, encoder: Encoder, cue_hash: str) -> str:
    parts = {"video": work.id, "encoder": encoder.fingerprint()}
    if encoder.medium is Medium.CUES:
        parts["sidecar"] = cue_hash
    if encoder.over is Over.SCENES:
        parts["scenes"] = work.segmentation
    return work.folder.artifacts.key(**parts)


def _plan(work: Work, cue_hash: str) -> dict[str, Encoder]:
    """The encoders that must see the decoded file; what is done already is taken from disk."""
    missing: dict[str, Encoder] = {}
    for name, encoder in work.recipe.encoders.items():
        if encoder.medium is Medium.TEXT or name in work.encodings:
            continue
        reason = encoder.skip_reason(work.available)
        if reason is not None:
            work.encodings[name] = _encoding(name, encoder, skipped=reason)
            continue
        unknown_scenes = encoder.over is Over.SCENES and not work.scenes
        key = "" if unknown_scenes else _key(work, encoder, cue_hash)
        if unknown_scenes or not work.folder.artifacts.has(key):
            missing[name] = encoder
        else:
            _recall(work, name, encoder, key)
    return missing


def _recall(work: Work, name: str, encoder: Encoder, key: str) -> None:
    artifacts = work.folder.artifacts
    if encoder.space is None:
        work.texts[name] = decode_texts(artifacts.read_json(key))
        rows = len(work.texts[name])
    else:
        rows = len(artifacts.read_vectors(key)[1])
    work.encodings[name] = _encoding(name, encoder, stored=artifacts.stored(key), rows=rows)


def _keep_results(work: Work, cue_hash: str, result: PassResult) -> None:
    artifacts = work.folder.artifacts
    for name, worker in result.workers.items():
        encoder = worker.encoder
        if worker.error is not None:
            work.encodings[name] = _encoding(name, encoder, error=_reason(worker))
            continue
        key = _key(work, encoder, cue_hash)
        if encoder.space is None:
            texts = [t for t in worker.texts if t.span.start < work.duration]
            stored = artifacts.write_json(key, encode_texts(texts))
            work.texts[name] = texts
            rows = len(texts)
        else:
            meta = {"encoder": encoder.fingerprint(), "video": work.id}
            vectors = worker.vectors.reshape(len(worker.spans), encoder.space.dim)
            stored = artifacts.write_vectors(key, vectors, worker.spans, meta)
            rows = len(worker.spans)
        work.encodings[name] = _encoding(name, encoder, stored=stored, rows=rows)


def _reason(worker: Worker) -> str:
    return f"{type(worker.error).__name__}: {worker.error}"


def _subtitles_turned_out_empty(work: Work) -> bool:
    if not work.available.subtitles:
        return False
    readers = [n for n, e in work.recipe.encoders.items() if e.medium is Medium.CUES]
    if any(work.texts.get(name) for name in readers):
        return False
    stood_back = [n for n, e in work.encodings.items() if e.skipped and n not in readers]
    for name in stood_back:
        del work.encodings[name]
    return True


def _encoding(
    name: str,
    encoder: Encoder,
    *,
    stored: Stored | None = None,
    rows: int = 0,
    skipped: str | None = None,
    error: str | None = None,
) -> Encoding:
    return Encoding(
        encoder=name,
        fingerprint=encoder.fingerprint(),
        kind="text" if encoder.space is None else "vectors",
        key=stored.key if stored else None,
        sha256=stored.sha256 if stored else None,
        rows=rows,
        skipped=skipped,
        error=error,
    )


def _record(
    work: Work, item: Input, facts: Facts | None, models: Models, watch: Observer
) -> VideoRecord:
    """Text encoders last, then everything the catalog holds of this video."""
    texts = [text for name in work.texts for text in work.texts[name]]
    scene_texts = documents.gather(work.scenes, texts)
    found = [s.document for s in scene_texts]
    _encode_documents(work, [d for d in found if d is not None], models, watch)

    recorded = item.recorded_at or (facts.recorded_at if facts else None)
    video = Video(work.id, str(item.path), work.duration, recorded, dict(item.metadata))
    scenes = hierarchy(
        work.id, work.scenes, [s.known_at for s in scene_texts], work.recipe.event_seconds, scene_id
    )
    by_id: dict[int, SceneText] = {}
    for scene in scenes:
        inside = [t for t in scene_texts if scene.span.start <= t.span.start < scene.span.end]
        by_id[scene.id] = SceneText(
            speech=" ".join(t.speech for t in inside if t.speech),
            visuals=" ".join(t.visuals for t in inside if t.visuals),
        )
    return VideoRecord(
        video=video,
        segmentation=work.segmentation,
        scenes=scenes,
        texts=tuple(sorted(texts, key=lambda t: (t.span, t.track, t.source, t.text))),
        documents=by_id,
        encodings=tuple(work.encodings[name] for name in sorted(work.encodings)),
        sources=(Source(str(item.path), recorded),),
        problems=(*work.problems, *_failures(work)),
    )


def _failures(work: Work) -> list[str]:
    return [f"{e.encoder} failed: {e.error}" for e in work.encodings.values() if e.error]


def _encode_documents(work: Work, found: list[Document], models: Models, watch: Observer) -> None:
    artifacts = work.folder.artifacts
    digest = hashlib.sha256(repr([(d.span, d.text) for d in found]).encode()).hexdigest()[:32]
    for name, encoder in work.recipe.encoders.items():
        if encoder.medium is not Medium.TEXT:
            continue
        if not found:
            reason = encoder.skip_reason(replace(work.available, text=False))
            work.encodings[name] = _encoding(name, encoder, skipped=reason or "no text")
            continue
        assert encoder.space is not None
        key = artifacts.key(video=work.id, encoder=encoder.fingerprint(), documents=digest)
        if artifacts.has(key):
            _recall(work, name, encoder, key)
            continue
        models.load([encoder])
        watch.stage(f"encoding text ({name})")
        try:
            vectors = checked(name, encoder, encoder.encode(found), len(found))
        except Exception as error:  # told with the video, the rest is kept
            reason = f"{type(error).__name__}: {error}"
            work.encodings[name] = _encoding(name, encoder, error=reason)
            continue
        meta = {"encoder": encoder.fingerprint(), "video": work.id}
        stored = artifacts.write_vectors(key, vectors, [d.span for d in found], meta)
        work.encodings[name] = _encoding(name, encoder, stored=stored, rows=len(found))
