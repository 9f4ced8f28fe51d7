"""One pass over one video: what is done in it, and what the next passes must know."""

from __future__ import annotations

from dataclasses import dataclass

from egorag.encode.base import Medium
from egorag.pipeline.course import Course
from egorag.pipeline.models import Models
from egorag.pipeline.planner import Plan
from egorag.pipeline.progress import Observer
from egorag.pipeline.recipe import Recipe
from egorag.pipeline.record import make_record, read_documents, said_in
from egorag.pipeline.video import begin, read_media
from egorag.pipeline.work import Work, plan
from egorag.store.catalog import VideoRecord
from egorag.store.folder import IndexFolder


@dataclass(frozen=True)
class Stage:
    """What one pass does with each video.

    In the last stage and in those with text encoders every reader of media is named, not only the
    pass's own: what an earlier pass did is then on disk and taken from there. What is not (others
    stood back for subtitles that said nothing, or a file was damaged since) is done now.

    Attributes:
        media, texts: names of encoders, by what they read.
        last: the video's record is made.
    """

    media: tuple[str, ...]
    texts: tuple[str, ...]
    last: bool


def stages_of(passes: Plan, recipe: Recipe) -> list[Stage]:
    """The stages of a run, at least one."""
    all_media, all_texts = _parted(recipe, tuple(recipe.encoders))
    stages = []
    for group in passes.groups[:-1]:
        media, texts = _parted(recipe, group.encoders)
        stages.append(Stage(all_media if texts else media, texts, last=False))
    return [*stages, Stage(all_media, all_texts, last=True)]


def run_stage(
    stage: Stage,
    course: Course,
    recipe: Recipe,
    folder: IndexFolder,
    models: Models,
    watch: Observer,
) -> VideoRecord | None:
    """Take one input through a stage; its record, not yet in the catalog, after the last one.

    Raises:
        MediaError: the file cannot be read; the message says why.
    """
    work = begin(course, recipe, folder, watch)
    if work.facts is None:
        plan(work, stage.media)  # timed text without media: says why they have nothing to read
    else:
        read_media(work, stage.media, models, watch, cut=stage.last)
    said = said_in(work) if stage.texts or stage.last else None
    if said is not None:
        read_documents(work, said, stage.texts, models, watch)
    course.note(_errors(work), work.costs)
    return make_record(work, said) if said is not None and stage.last else None


def _errors(work: Work) -> dict[str, str]:
    return {name: e.error for name, e in work.encodings.items() if e.error}


def _parted(recipe: Recipe, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that read media, and those that read text."""
    texts = tuple(n for n in names if recipe.encoders[n].medium is Medium.TEXT)
    return tuple(n for n in names if n not in texts), texts
