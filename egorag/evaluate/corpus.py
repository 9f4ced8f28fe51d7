"""The media of a dataset as an index, made once: equal media, encoders and cuts share a folder."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.errors import MediaError
from egorag.evaluate.base import Media
from egorag.evaluate.record import locked
from egorag.media.entry import Input
from egorag.media.textlines import text_input
from egorag.pipeline.progress import Observer
from egorag.store.files import write_whole

INDEX_KEYS = ("device", "encoders", "events", "memory", "segmenter")
"""Settings of ``index`` that a benchmark run takes over."""


@dataclass(frozen=True)
class Corpus:
    """An index of a dataset's media.

    Attributes:
        index: the folder.
        ids: video id by name in the annotations.
        failed: why a video could not be indexed, by name.
        built: whether this call made it; False where it was there.
        seconds: making it took; of a run that was killed on the way, what came after.
    """

    index: Path
    ids: Mapping[str, str]
    failed: Mapping[str, str]
    built: bool
    seconds: float = 0.0


def corpus(
    media: Sequence[Media],
    settings: Mapping[str, Any],
    cache: Path,
    watch: Observer,
    *,
    wait: bool = True,
) -> Corpus:
    """Index the media that are here, or find the index that holds just them.

    Vectors and texts are shared by all indexes under ``cache``, so another segmenter or one more
    encoder costs only what it changes. A file counts as the same while its path, size and time of
    change are.

    Args:
        settings: the composed config of ``bench``.
        wait: for another process that is indexing under ``cache``.

    Raises:
        BusyError: there is one, and no waiting.
        StoreError: ``cache`` cannot be written.
        MediaError: not one could be indexed.
        SetupError: an encoder cannot run here.
    """
    from egorag.pipeline.build import build_from
    from egorag.pipeline.prepare import prepare
    from egorag.pipeline.recipe import Recipe

    there = [one for one in media if one.here]
    recipe = prepare(Recipe.from_settings(settings))
    told = {
        "media": [_identity(one) for one in there],
        "encoders": dict(recipe.fingerprints),
        "segmenter": recipe.segmenter.fingerprint(),
        "events": recipe.event_seconds,
    }
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
    folder, done = cache / "indexes" / key, cache / "indexes" / f"{key}.json"
    if done.is_file():
        return _known(folder, done)
    # One for all: two that index at once would both make what they share.
    with locked(cache / "indexes" / "lock", wait=wait):
        if done.is_file():
            return _known(folder, done)
        began = time.monotonic()
        inputs = [_input(one) for one in there]
        given = {name: settings[name] for name in INDEX_KEYS}
        given |= {"index": str(folder), "artifacts": str(cache / "artifacts")}
        summary = build_from(given, inputs, watch)
        ids, failed = {}, {}
        for one, outcome in zip(there, summary.outcomes, strict=True):
            if outcome.record is None:
                failed[one.name] = str(outcome.reason)
            else:
                ids[one.name] = outcome.record.video.id
        if not ids:
            reasons = "; ".join(f"{name}: {why}" for name, why in list(failed.items())[:5])
            raise MediaError(f"none of {len(failed)} videos could be indexed: {reasons}")
        seconds = time.monotonic() - began
        told = {"ids": ids, "failed": failed, "seconds": seconds}
        write_whole(done, json.dumps(told).encode())
    return Corpus(folder, ids, failed, True, seconds)


def _known(folder: Path, done: Path) -> Corpus:
    kept = json.loads(done.read_text(encoding="utf-8"))
    return Corpus(folder, kept["ids"], kept["failed"], False, kept["seconds"])


def _identity(one: Media) -> list[Any]:
    """What tells this video from another, without reading it."""
    dated = one.recorded_at and one.recorded_at.isoformat()
    if one.path is None:
        return [text_input(one.name, one.texts).id, dated]
    stat = one.path.stat()
    return [str(one.path.absolute()), stat.st_size, stat.st_mtime_ns, dated]


def _input(one: Media) -> Input:
    if one.path is None:
        return text_input(one.name, one.texts, one.recorded_at)
    return Input(one.path, recorded_at=one.recorded_at)
