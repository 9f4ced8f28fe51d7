"""One video, from file to catalog record.

Every result is an artifact under a key made of what it depends on, so a run does only what is
missing: a finished encoder is never run again, a changed setting recomputes exactly what depends
on it, and a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from egorag.encode.base import Available, Medium
from egorag.media.inputs import Input
from egorag.media.probe import content_hash, probe
from egorag.media.sampling import Cue
from egorag.media.subtitles import read_subtitles, sidecars
from egorag.pipeline import documents
from egorag.pipeline.models import Models
from egorag.pipeline.onepass import run_pass
from egorag.pipeline.progress import Observer
from egorag.pipeline.recipe import Recipe
from egorag.pipeline.record import make_record
from egorag.pipeline.work import Work, keep_results, keep_scenes, plan, recall_scenes
from egorag.segment.given import Given
from egorag.spans import Span
from egorag.store.catalog import VideoRecord
from egorag.store.folder import IndexFolder


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
            transcribed=any(getattr(e, "transcribes", False) for e in recipe.encoders.values()),
        ),
        problems=[*facts.problems, *cue_problems],
    )
    segmenter = Given(scenes=_pairs(item.scenes)) if item.scenes else recipe.segmenter
    cut_key = folder.artifacts.key(video=work.id, scenes=segmenter.fingerprint())
    recall_scenes(work, cut_key)

    while True:
        missing = plan(work, cue_hash)
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
            keep_scenes(work, cut_key, result)
            keep_results(work, cue_hash, result)
        if not _subtitles_turned_out_empty(work):
            break
        # The stream was there but said nothing: what stood back for it now has its turn.
        work.available = replace(work.available, subtitles=False)

    return make_record(work, item, facts, models, watch)


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
    plan(work, "")
    return make_record(work, item, None, models, watch)


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
