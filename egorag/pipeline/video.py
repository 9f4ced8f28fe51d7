"""One video, from file to the results of every encoder that reads it.

Every result is an artifact under a key made of what it depends on, so a run does only what is
missing: a finished encoder is never run again, a changed setting recomputes exactly what depends
on it, and a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from egorag.encode.base import Available, Encoder, Medium, Over
from egorag.media.sampling import Cue
from egorag.media.subtitles import read_subtitles, sidecars
from egorag.pipeline import documents
from egorag.pipeline.course import Course
from egorag.pipeline.models import Models
from egorag.pipeline.onepass import run_pass
from egorag.pipeline.progress import Observer
from egorag.pipeline.recipe import Recipe
from egorag.pipeline.scenes import (
    awaited,
    cut_by_moments,
    keep_length,
    keep_scenes,
    recall_length,
    recall_scenes,
)
from egorag.pipeline.tokens import token_writers
from egorag.pipeline.work import Work, keep_results, plan
from egorag.segment.given import Given
from egorag.spans import Span
from egorag.store.folder import IndexFolder


def begin(course: Course, recipe: Recipe, folder: IndexFolder, watch: Observer) -> Work:
    """What is known of an input before its encoders; what failed in this run stays failed.

    Raises:
        MediaError: the file cannot be read; the message says why.
    """
    watch.stage("reading")
    texts = course.item.texts
    work = _media(course, recipe, folder) if texts is None else _corpus(course, recipe, folder)
    for name, error in course.errors.items():
        work.encodings[name] = work.encoding(name, error=error)
    return work


def _media(course: Course, recipe: Recipe, folder: IndexFolder) -> Work:
    item = course.item
    id, facts = course.look()
    cues, cue_problems, cue_hash = _sidecar_cues(item.path, recipe)
    work = Work(
        id=id,
        item=item,
        recipe=recipe,
        folder=folder,
        available=Available(
            frames=facts.video is not None,
            sound=facts.sound is not None,
            subtitles=bool(cues or facts.subtitles) and _reads(recipe, Medium.CUES),
            text=False,
            transcribed=any(getattr(e, "transcribes", False) for e in recipe.encoders.values()),
        ),
        facts=facts,
        segmenter=Given(scenes=_pairs(item.scenes)) if item.scenes else recipe.segmenter,
        cues=cues,
        cue_hash=cue_hash,
        problems=[*facts.problems, *cue_problems],
    )
    recall_scenes(work)
    return work


def _corpus(course: Course, recipe: Recipe, folder: IndexFolder) -> Work:
    """Timed text without media (one name of a TEXT.jsonl)."""
    texts = list(course.item.texts or ())
    scenes = tuple(documents.corpus_scenes(texts))
    return Work(
        id=course.item.id,
        item=course.item,
        recipe=recipe,
        folder=folder,
        available=Available(frames=False, sound=False, subtitles=False, text=True),
        scenes=scenes,
        duration=scenes[-1].end,
        texts={"given": texts},
    )


def read_media(
    work: Work, names: Collection[str], models: Models, watch: Observer, *, cut: bool
) -> None:
    """Have encoders ``names`` read the file, in one decode, unless their results are there.

    Where scenes are cut by moments that are not there yet, streams are read in a decode before.

    Args:
        cut: decode it for its scenes alone, if need be.

    Raises:
        MediaError: the file cannot be decoded.
    """
    if (by := awaited(work)) is not None:
        _read_moments(work, by, names, models, watch)
    while True:
        missing = plan(work, names)
        if missing or (cut and not work.scenes):
            models.load(missing)
            watch.stage("decoding")
            _decode(work, missing, watch)
        if not _subtitles_turned_out_empty(work):
            return
        # The stream was there but said nothing: what stood back for it now has its turn.
        work.available = replace(work.available, subtitles=False)


def _read_moments(
    work: Work, by: str, names: Collection[str], models: Models, watch: Observer
) -> None:
    """Cut the video by the moments of encoder ``by``; it and the streams of ``names`` read the
    file first, unless its moments are there."""
    assert work.facts is not None
    encoders = work.recipe.encoders
    missing = plan(work, {n for n in (*names, by) if encoders[n].over is Over.STREAM})
    if by in missing or (awaited(work) is not None and not recall_length(work)):
        models.load(missing)
        watch.stage("decoding for moments")
        result = run_pass(
            work.item.path, work.facts, missing, None, (), watch.reached, work.cues, True
        )
        keep_length(work, result.report)
        keep_results(work, result)
    if awaited(work) is None:  # it has none: the segmenter does without
        recall_scenes(work)
        return
    watch.stage("cutting")
    cut_by_moments(work, by)


def _decode(work: Work, missing: Mapping[str, Encoder], watch: Observer) -> None:
    assert work.facts is not None
    with token_writers(work, missing) as maps:
        result = run_pass(
            work.item.path,
            work.facts,
            missing,
            None if work.scenes else work.segmenter,
            work.scenes,
            watch.reached,
            work.cues,
            False,
            maps,
        )
        keep_scenes(work, result)
        keep_results(work, result)


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
    if not work.available.subtitles or not work.settled_cues:
        return False
    readers = [n for n, e in work.recipe.encoders.items() if e.medium is Medium.CUES]
    if any(work.texts.get(name) for name in readers):
        return False
    stood_back = [n for n, e in work.encodings.items() if e.skipped and n not in readers]
    for name in stood_back:
        del work.encodings[name]
    return True
