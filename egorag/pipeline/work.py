"""What is known of one video, stage by stage; results are taken from and put into artifacts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from egorag.encode.base import Available, Encoder, Medium, Over
from egorag.errors import StoreError
from egorag.media.inputs import Input
from egorag.media.probe import Facts
from egorag.media.sampling import Cue
from egorag.pipeline.onepass import PassResult
from egorag.pipeline.recipe import Recipe
from egorag.pipeline.textual import decode_texts, encode_texts
from egorag.pipeline.tokens import keep_tokens, lacks_tokens
from egorag.pipeline.workers import Worker
from egorag.segment.base import Segmenter
from egorag.segment.by_tree import Break
from egorag.spans import Span
from egorag.store.artifacts import Stored
from egorag.store.catalog import Encoding
from egorag.store.folder import IndexFolder
from egorag.types import TimedText


@dataclass
class Work:
    """What is known of one video so far; filled stage by stage.

    Attributes:
        facts, segmenter: the file's header and what cuts it; None for timed text without media.
        breaks: between the scenes, where they were cut by a tree.
        cues: of the subtitle files beside the video; ``cue_hash`` is their hash.
        costs: seconds at work, of each encoder that did something now.
    """

    id: str
    item: Input
    recipe: Recipe
    folder: IndexFolder
    available: Available
    facts: Facts | None = None
    segmenter: Segmenter | None = None
    cues: tuple[Cue, ...] = ()
    cue_hash: str = ""
    scenes: tuple[Span, ...] = ()
    breaks: tuple[Break, ...] = ()
    duration: int = 0
    texts: dict[str, list[TimedText]] = field(default_factory=dict)
    encodings: dict[str, Encoding] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the artifacts that the catalog holds of this video, by key."""
        known = self.folder.catalog.encodings(self.id).values()
        return {e.key: e.sha256 for e in known if e.key and e.sha256}

    @property
    def segmentation(self) -> str:
        """Hash of the level-0 scenes: two ways to cut that agree share their results."""
        spans = [[s.start, s.end] for s in self.scenes]
        return hashlib.sha256(json.dumps(spans).encode()).hexdigest()[:32]

    @property
    def settled_cues(self) -> bool:
        """Whether every reader of subtitles has had its turn."""
        readers = [n for n, e in self.recipe.encoders.items() if e.medium is Medium.CUES]
        return all(name in self.encodings for name in readers)

    def _kind(self, name: str) -> Literal["vectors", "moments", "text"]:
        if self.recipe.spaces[name] is None:
            return "text"
        return "moments" if self.recipe.encoders[name].over is Over.STREAM else "vectors"

    def encoding(
        self,
        name: str,
        *,
        stored: Stored | None = None,
        rows: int = 0,
        skipped: str | None = None,
        error: str | None = None,
    ) -> Encoding:
        """What encoder ``name`` made of this video, as the catalog keeps it."""
        return Encoding(
            encoder=name,
            fingerprint=self.recipe.fingerprints[name],
            kind=self._kind(name),
            key=stored.key if stored else None,
            sha256=stored.sha256 if stored else None,
            rows=rows,
            skipped=skipped,
            error=error,
        )


def _key(work: Work, name: str) -> str:
    encoder = work.recipe.encoders[name]
    parts = {"video": work.id, "encoder": work.recipe.fingerprints[name]}
    if encoder.medium is Medium.CUES:
        parts["sidecar"] = work.cue_hash
    if encoder.over is Over.SCENES:
        parts["scenes"] = work.segmentation
    return work.folder.artifacts.key(**parts)


def plan(work: Work, names: Collection[str]) -> dict[str, Encoder]:
    """Of encoders ``names``, those that must see the decoded file; what is done already is taken
    from disk, and what readers of subtitles found too, because others stand back for it."""
    missing: dict[str, Encoder] = {}
    for name, encoder in work.recipe.encoders.items():
        wanted = name in names
        if name in work.encodings or encoder.medium is Medium.TEXT:
            continue
        if not wanted and encoder.medium is not Medium.CUES:
            continue
        reason = encoder.skip_reason(work.available)
        if reason is not None:
            work.encodings[name] = work.encoding(name, skipped=reason)
            continue
        unknown_scenes = encoder.over is Over.SCENES and not work.scenes
        there = not unknown_scenes and recall(work, name, _key(work, name))
        if wanted and not (there and not lacks_tokens(work, name)):
            missing[name] = encoder
    return missing


def recall(work: Work, name: str, key: str) -> bool:
    """Take a result from disk; False if it is not there or damaged (then it is made anew)."""
    artifacts = work.folder.artifacts
    if not artifacts.has(key):
        return False
    try:
        stored = artifacts.stored(key)
        if work.hashes.get(key, stored.sha256) != stored.sha256:
            raise StoreError(f"artifact {key} has changed since it was written")
        if work.recipe.spaces[name] is None:
            work.texts[name] = decode_texts(artifacts.read_json(key))
            rows = len(work.texts[name])
        else:
            rows = len(artifacts.read_vectors(key)[1])
    except StoreError:
        artifacts.discard(key)
        return False
    work.encodings[name] = work.encoding(name, stored=stored, rows=rows)
    return True


def keep_results(work: Work, result: PassResult) -> None:
    artifacts = work.folder.artifacts
    for name, worker in result.workers.items():
        work.costs[name] = worker.seconds
        if worker.maps is not None:
            keep_tokens(work, name, worker)
        if name in work.encodings:
            continue  # it ran for its token maps alone
        if worker.error is not None:
            work.encodings[name] = work.encoding(name, error=_reason(worker))
            continue
        key = _key(work, name)
        space = work.recipe.spaces[name]
        if space is None:
            texts = _within(worker.texts, work.duration)
            stored = artifacts.write_json(key, encode_texts(texts))
            work.texts[name] = texts
            rows = len(texts)
        else:
            meta = {"encoder": work.recipe.fingerprints[name], "video": work.id}
            spans = [s for s in worker.spans if s.start < work.duration]  # moments may run over
            spans = [Span(s.start, min(s.end, work.duration)) for s in spans]
            vectors = worker.vectors.reshape(len(worker.spans), space.dim)[: len(spans)]
            stored = artifacts.write_vectors(key, vectors, spans, meta)
            rows = len(spans)
        work.encodings[name] = work.encoding(name, stored=stored, rows=rows)


def _within(texts: Sequence[TimedText], duration: int) -> list[TimedText]:
    """Texts clipped to the video, in time order; a stream cannot know where it ends."""
    inside = [t for t in texts if t.span.start < duration]
    clipped = [
        t if t.span.end <= duration else replace(t, span=Span(t.span.start, duration))
        for t in inside
    ]
    return sorted(clipped, key=lambda t: t.span.start)


def _reason(worker: Worker) -> str:
    return f"{type(worker.error).__name__}: {worker.error}"
