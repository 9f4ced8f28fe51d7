"""Many videos into one index, in one pass over them or, where memory is short, in several.

A bad file fails alone, by name; the rest is kept. In the last pass each video becomes visible to
readers as soon as it is whole; the passes before it leave artifacts only.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from egorag.errors import EgoragError, MediaError, StoreError
from egorag.media.inputs import Input
from egorag.pipeline.account import account, searchable
from egorag.pipeline.course import Course
from egorag.pipeline.models import Models, SetupError
from egorag.pipeline.outcome import Outcome, Summary
from egorag.pipeline.planner import Plan, plan_passes
from egorag.pipeline.progress import Observer, Silent
from egorag.pipeline.recipe import Recipe
from egorag.pipeline.stage import Stage, run_stage, stages_of
from egorag.pipeline.tokens import keeps_tokens, room_for
from egorag.pipeline.video import begin
from egorag.store.catalog import EncoderRow
from egorag.store.folder import IndexFolder

__all__ = ["Outcome", "Summary", "index_all"]


def index_all(
    inputs: Sequence[Input], recipe: Recipe, folder: IndexFolder, watch: Observer
) -> Summary:
    """Index every input, one after another, each visible to readers as soon as it is whole.

    Raises:
        SetupError: an encoder cannot be loaded; what was finished is kept.
        StoreError: the index folder cannot be written; what was finished is kept.
    """
    began = time.monotonic()
    plan = plan_passes(recipe.encoders, recipe.memory, recipe.device, recipe.cut_by)
    for warning in plan.warnings:
        warnings.warn(warning, stacklevel=2)
    with folder.writing():
        outcomes = _Run(recipe, folder, watch).over(inputs, plan)
        _register(folder, recipe)
        folder.vectors.refresh()
        return Summary(
            index=str(folder.path),
            outcomes=tuple(outcomes),
            seconds=time.monotonic() - began,
            outdated=_outdated(folder, recipe),
            encoders=account(recipe, outcomes),
            searchable=searchable(recipe, outcomes),
            passes=plan.to_json(),
        )


@dataclass(frozen=True)
class _Run:
    recipe: Recipe
    folder: IndexFolder
    watch: Observer

    def over(self, inputs: Sequence[Input], plan: Plan) -> list[Outcome]:
        """The outcome of every input, in order, after all passes."""
        courses = [Course(item) for item in inputs]
        self._check_room(courses)
        stages = stages_of(plan, self.recipe)
        if len(stages) > 1:
            self.watch.note(str(plan))
        with Models(self.recipe.device) as models:
            for number, stage in enumerate(stages, 1):
                self.watch.turn(number, len(stages))
                for course in courses:
                    try:
                        self._take(course, stage, models)
                    except StoreError as error:
                        kept = sum(
                            c.outcome is not None and c.outcome.record is not None for c in courses
                        )
                        raise StoreError(f"{error} ({kept} videos of this run are kept)") from error
                models.close()
        return [course.outcome for course in courses if course.outcome is not None]

    def _check_room(self, courses: Sequence[Course]) -> None:
        """Tell what token maps will take, before anything is decoded."""
        if not any(keeps_tokens(encoder) for encoder in self.recipe.encoders.values()):
            return
        works = []
        for course in courses:
            with contextlib.suppress(MediaError):  # told in its turn
                if course.item.error is None:
                    works.append(begin(course, self.recipe, self.folder, Silent()))
        told = room_for(works)
        if told is not None:
            self.watch.note(told)

    def _take(self, course: Course, stage: Stage, models: Models) -> None:
        """One input through one stage; after the last stage, or a failure, it has its outcome."""
        path = str(course.item.path)
        if course.outcome is not None:  # it failed in an earlier pass, and was told
            self.watch.end(path, None)
            return
        self.watch.begin(path, None)
        try:
            if course.item.error is not None:
                raise EgoragError(course.item.error)
            record = run_stage(stage, course, self.recipe, self.folder, models, self.watch)
            if record is None:
                self.watch.end(path, None)
                return
            _register(self.folder, self.recipe)
            changed = self.folder.catalog.write_video(record)
        except (StoreError, SetupError):
            raise
        except EgoragError as error:
            course.end(Outcome(path, None, str(error)))
            self.watch.end(path, f"failed: {error}")
            return
        course.end(Outcome(path, record, None, bool(changed), course.costs))
        scenes = sum(scene.level == 0 for scene in record.scenes)
        count = f"{scenes} scene{'s' * (scenes != 1)}{'' if changed else ', unchanged'}"
        self.watch.end(path, "; ".join((count, *record.problems)))


def _register(folder: IndexFolder, recipe: Recipe) -> None:
    """Tell the catalog of this run's encoders; those of videos from other runs stay known."""
    used = folder.catalog.encoders_in_use()
    known = folder.catalog.encoders()
    others = [known[name] for name in sorted(known) if name in used and name not in recipe.encoders]
    folder.catalog.write_encoders([*_rows(recipe), *others])


def _outdated(folder: IndexFolder, recipe: Recipe) -> dict[str, int]:
    """Videos of earlier runs that an encoder of this run read with other settings, by encoder."""
    used = folder.catalog.encoders_in_use()
    now = recipe.fingerprints
    counts = {n: sum(c for f, c in used.get(n, {}).items() if f != now[n]) for n in now}
    return {name: count for name, count in counts.items() if count}


def _rows(recipe: Recipe) -> list[EncoderRow]:
    return [
        EncoderRow(
            name=name,
            fingerprint=recipe.fingerprints[name],
            space=recipe.spaces[name],
            settings=dict(recipe.settings[name]),
            medium=encoder.medium.value,
        )
        for name, encoder in recipe.encoders.items()
    ]
