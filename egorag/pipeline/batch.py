"""Many videos into one index. A bad file fails alone, by name; the rest is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from egorag.errors import EgoragError, StoreError
from egorag.media.inputs import Input
from egorag.pipeline.models import Models, SetupError
from egorag.pipeline.progress import Observer
from egorag.pipeline.recipe import Recipe
from egorag.pipeline.video import index_media, index_text
from egorag.spans import to_seconds
from egorag.store.catalog import EncoderRow, VideoRecord
from egorag.store.folder import IndexFolder


@dataclass(frozen=True)
class Outcome:
    """What became of one input: its record, or the reason it failed."""

    path: str
    record: VideoRecord | None
    reason: str | None = None
    changed: bool = True

    @property
    def failed(self) -> bool:
        """Not indexed, or an encoder failed on it."""
        return self.record is None or any(e.error for e in self.record.encodings)

    def to_json(self) -> dict[str, Any]:
        if self.record is None:
            return {"path": self.path, "reason": self.reason}
        record = self.record
        return {
            "id": record.video.id,
            "path": self.path,
            "duration": to_seconds(record.video.duration),
            "scenes": sum(scene.level == 0 for scene in record.scenes),
            "encoders": {
                e.encoder: {
                    "rows": e.rows,
                    **({"skipped": e.skipped} if e.skipped else {}),
                    **({"error": e.error} if e.error else {}),
                }
                for e in record.encodings
            },
            "problems": list(record.problems),
            "changed": self.changed,
        }


@dataclass(frozen=True)
class Summary:
    """A whole run.

    Attributes:
        outdated: by encoder, how many videos of earlier runs it read with other settings; a query
            through it does not reach them until they are indexed again.
    """

    index: str
    outcomes: tuple[Outcome, ...]
    seconds: float
    outdated: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if o.failed)

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "videos": [o.to_json() for o in self.outcomes if o.record is not None],
            "failed": [o.to_json() for o in self.outcomes if o.record is None],
            "outdated": dict(self.outdated),
            "seconds": round(self.seconds, 3),
        }


def index_all(
    inputs: Sequence[Input], recipe: Recipe, folder: IndexFolder, watch: Observer
) -> Summary:
    """Index every input, one after another, each visible to readers as soon as it is whole.

    Raises:
        StoreError: the index folder cannot be written; what was finished is kept.
    """
    began = time.monotonic()
    outcomes: list[Outcome] = []
    with folder.writing():
        with Models(recipe.device) as models:
            for item in inputs:
                try:
                    outcomes += [_one(item, recipe, folder, models, watch)]
                except StoreError as error:
                    kept = sum(outcome.record is not None for outcome in outcomes)
                    raise StoreError(f"{error} ({kept} videos of this run are kept)") from error
        _register(folder, recipe)
        folder.vectors.refresh()
        outdated = _outdated(folder, recipe)
    return Summary(str(folder.path), tuple(outcomes), time.monotonic() - began, outdated)


def _one(
    item: Input, recipe: Recipe, folder: IndexFolder, models: Models, watch: Observer
) -> Outcome:
    path = str(item.path)
    watch.begin(path, None)
    try:
        if item.error is not None:
            raise EgoragError(item.error)
        index = index_text if item.texts is not None else index_media
        record = index(item, recipe, folder, models, watch)
        _register(folder, recipe)
        changed = folder.catalog.write_video(record)
    except (StoreError, SetupError):
        raise
    except EgoragError as error:
        watch.end(path, f"failed: {error}")
        return Outcome(path, None, str(error))
    scenes = sum(scene.level == 0 for scene in record.scenes)
    count = f"{scenes} scene{'s' * (scenes != 1)}{'' if changed else ', unchanged'}"
    told = "; ".join((count, *record.problems))
    watch.end(path, told)
    return Outcome(path, record, None, bool(changed))


def _register(folder: IndexFolder, recipe: Recipe) -> None:
    """Tell the catalog of this run's encoders; those of videos from other runs stay known."""
    used = folder.catalog.encoders_in_use()
    known = folder.catalog.encoders()
    others = [known[name] for name in sorted(known) if name in used and name not in recipe.encoders]
    folder.catalog.write_encoders([*_rows(recipe), *others])


def _outdated(folder: IndexFolder, recipe: Recipe) -> dict[str, int]:
    """Videos of earlier runs that an encoder of this run read with other settings, by encoder."""
    used = folder.catalog.encoders_in_use()
    now = {name: encoder.fingerprint() for name, encoder in recipe.encoders.items()}
    counts = {n: sum(c for f, c in used.get(n, {}).items() if f != now[n]) for n in now}
    return {name: count for name, count in counts.items() if count}


def _rows(recipe: Recipe) -> list[EncoderRow]:
    return [
        EncoderRow(
            name=name,
            fingerprint=encoder.fingerprint(),
            space=encoder.space,
            settings=dict(recipe.settings[name]),
            medium=encoder.medium.value,
        )
        for name, encoder in recipe.encoders.items()
    ]
