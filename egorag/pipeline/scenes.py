"""The scenes of one video: cut while it is decoded, or by the tree over an encoder's moments.

Kept as artifacts: scenes by what cut them, and the length of a video that was decoded before its
scenes were known, so that cutting it again by the same moments decodes nothing.
"""

from __future__ import annotations

from dataclasses import astuple

from egorag.errors import MediaError, StoreError
from egorag.media.report import PassReport
from egorag.pipeline.onepass import PassResult
from egorag.pipeline.work import Work
from egorag.segment.base import TreeSegmenter
from egorag.segment.by_tree import Break
from egorag.spans import Span, check_tiling
from egorag.store.moments import keep_tree


def awaited(work: Work) -> str | None:
    """The encoder whose moments the scenes of this video wait for; None if they are there, are cut
    while decoding, or the encoder is known to have no moments of it."""
    if work.scenes or not isinstance(work.segmenter, TreeSegmenter):
        return None
    name = work.segmenter.encoder
    made = work.encodings.get(name)
    return name if made is None or made.rows else None


def recall_scenes(work: Work) -> None:
    """Take the scenes from disk if they are there."""
    artifacts = work.folder.artifacts
    key = _cut_key(work)
    if artifacts.has(key):
        try:
            kept = artifacts.read_json(key)
        except StoreError:  # damaged: cut it anew
            artifacts.discard(key)
            return
        work.scenes = tuple(Span(a, b) for a, b in kept["scenes"])
        work.breaks = tuple(Break(*row) for row in kept.get("breaks", ()))
        work.duration = kept["duration"]
        work.problems += kept["problems"]


def keep_scenes(work: Work, result: PassResult) -> None:
    """Take and keep the scenes that a pass cut; nothing if they were known."""
    if work.scenes:
        return
    report = result.report
    if report.duration <= 0 or not result.scenes:
        raise _nothing()
    problems = [*_problems(report), *result.cut_problems]
    _keep(work, result.scenes, report.duration, problems)
    work.problems += problems


def keep_length(work: Work, report: PassReport) -> None:
    """Remember what a pass found out that did not cut.

    Raises:
        MediaError: there was nothing in it.
    """
    if report.duration <= 0:
        raise _nothing()
    data = {"duration": report.duration, "problems": _problems(report)}
    work.folder.artifacts.write_json(_length_key(work), data)
    work.duration = report.duration


def recall_length(work: Work) -> bool:
    """Whether an earlier pass found out how long the video is."""
    work.duration, _ = _length(work)
    return bool(work.duration)


def cut_by_moments(work: Work, by: str) -> None:
    """Cut the video by the moments that encoder ``by`` made of it; its length is known."""
    segmenter = work.segmenter
    assert isinstance(segmenter, TreeSegmenter)
    tree = keep_tree(work.folder.artifacts, work.encodings[by])
    threshold = segmenter.threshold_for(work.recipe.encoders[by])
    cut = segmenter.cut(tree, work.duration, threshold)
    _, problems = _length(work)
    _keep(work, cut.scenes, work.duration, problems, cut.breaks)
    work.problems += problems


def _keep(
    work: Work,
    scenes: tuple[Span, ...],
    duration: int,
    problems: list[str],
    breaks: tuple[Break, ...] = (),
) -> None:
    check_tiling(scenes, Span(0, duration))
    data = {
        "scenes": [[s.start, s.end] for s in scenes],
        "duration": duration,
        "problems": problems,
        **({"breaks": [list(astuple(b)) for b in breaks]} if breaks else {}),
    }
    work.folder.artifacts.write_json(_cut_key(work), data)
    work.scenes, work.breaks, work.duration = scenes, breaks, duration


def _cut_key(work: Work) -> str:
    assert work.segmenter is not None
    parts: dict[str, object] = {"video": work.id, "scenes": work.segmenter.fingerprint()}
    by = awaited(work)
    if by is not None:
        assert isinstance(work.segmenter, TreeSegmenter)
        parts["moments"] = work.recipe.fingerprints[by]
        parts["threshold"] = work.segmenter.threshold_for(work.recipe.encoders[by])
    return work.folder.artifacts.key(**parts)


def _length_key(work: Work) -> str:
    return work.folder.artifacts.key(video=work.id, length=1)


def _length(work: Work) -> tuple[int, list[str]]:
    """The video's length, 0 if it is not known, and what was wrong with it."""
    artifacts = work.folder.artifacts
    key = _length_key(work)
    if not artifacts.has(key):
        return 0, []
    try:
        kept = artifacts.read_json(key)
    except StoreError:  # damaged: it is decoded anew
        artifacts.discard(key)
        return 0, []
    return kept["duration"], kept["problems"]


def _nothing() -> MediaError:
    return MediaError("nothing in it could be decoded: no frame and no sound")


def _problems(report: PassReport) -> list[str]:
    problems = [*report.problems]
    if report.frames_skipped:
        problems.append(f"{report.frames_skipped} frames could not be decoded and were skipped")
    if report.sound_skipped:
        problems.append(f"{report.sound_skipped} sound packets could not be decoded")
    return problems
