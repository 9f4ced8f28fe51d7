"""A small index to test with: records of made-up videos with vectors that are easy to check."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.catalog import EncoderRow, Encoding, SceneText, Source, VideoRecord
from egorag.store.folder import IndexFolder
from egorag.store.ids import scene_id
from egorag.types import Scene, TimedText, Video

SECOND = 1_000_000
SPACE = EmbeddingSpace("toy", "1", 8, True, frozenset({"text"}))
ENCODER = EncoderRow("toy", "f" * 32, SPACE, {"_target_": "toy.Toy"}, "text")


def make_scenes(video: str, seconds: Sequence[float]) -> list[Scene]:
    """Level-0 scenes of these lengths, an event for each pair of them, and the whole video."""
    ends = np.cumsum([round(s * SECOND) for s in seconds]).tolist()
    leaves = [Span(a, b) for a, b in zip([0, *ends], ends, strict=False)]
    pairs = [leaves[i].union(leaves[min(i + 1, len(leaves) - 1)]) for i in range(0, len(leaves), 2)]
    top = Span(0, ends[-1])
    ids = [
        [scene_id(video, level, s) for s in spans] for level, spans in enumerate((leaves, pairs))
    ]
    top_id = scene_id(video, 2, top)
    return [
        *(Scene(ids[0][i], video, s, 0, i, ids[1][i // 2], s.end) for i, s in enumerate(leaves)),
        *(Scene(ids[1][i], video, s, 1, i, top_id, s.end) for i, s in enumerate(pairs)),
        Scene(top_id, video, top, 2, 0, None, top.end),
    ]


def make_record(
    video: str,
    texts: Sequence[str],
    *,
    visuals: Sequence[str] = (),
    path: str | None = None,
    recorded_at: datetime | None = None,
) -> VideoRecord:
    """A video with one 2 s scene a text, the texts of higher levels joined from below."""
    scenes = make_scenes(video, [2.0] * len(texts))
    leaves = [s for s in scenes if s.level == 0]
    seen = list(visuals) or [""] * len(texts)
    documents = {
        scene.id: SceneText(
            " ".join(t for t, s in zip(texts, leaves, strict=True) if scene.span.overlap(s.span)),
            " ".join(t for t, s in zip(seen, leaves, strict=True) if scene.span.overlap(s.span)),
        )
        for scene in scenes
    }
    name = path or f"{video}.mp4"
    return VideoRecord(
        Video(video, name, scenes[-1].span.end, recorded_at, {"camera": "head"}),
        "cut",
        tuple(scenes),
        tuple(
            TimedText(s.span, t, "subtitle", "x.srt") for t, s in zip(texts, leaves, strict=True)
        ),
        documents,
        (Encoding("other", "0" * 32, "text", None, None, 0, skipped="no sound"),),
        (Source(name, recorded_at),),
    )


def with_vectors(folder: IndexFolder, record: VideoRecord, seed: int = 0) -> VideoRecord:
    """The record with random unit vectors for its level-0 scenes, kept as an artifact."""
    leaves = [scene for scene in record.scenes if scene.level == 0]
    rng = np.random.default_rng([seed, *record.video.id.encode()])
    vectors = rng.standard_normal((len(leaves), SPACE.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    key = folder.artifacts.key(video=record.video.id, seed=seed, rows=len(leaves))
    stored = folder.artifacts.write_vectors(key, vectors, [s.span for s in leaves], {"e": "toy"})
    made = Encoding("toy", ENCODER.fingerprint, "vectors", key, stored.sha256, len(leaves))
    return VideoRecord(
        **{**vars(record), "encodings": (*record.encodings, made)},
    )


def fill(folder: IndexFolder, records: Sequence[VideoRecord]) -> None:
    """Write these videos with vectors, as an index run would."""
    with folder.writing():
        folder.catalog.write_encoders([ENCODER])
        for record in records:
            folder.catalog.write_video(with_vectors(folder, record))
        folder.vectors.refresh()


@pytest.fixture(scope="session")
def toy() -> SimpleNamespace:
    """The builders above, for tests to use."""
    return SimpleNamespace(
        SPACE=SPACE,
        ENCODER=ENCODER,
        VideoRecord=VideoRecord,
        scenes=make_scenes,
        record=make_record,
        with_vectors=with_vectors,
        fill=fill,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[IndexFolder]:
    """A new, empty index."""
    with IndexFolder.create(tmp_path / "index", "seed: 0\n", device="cpu") as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a memory disk of a given size (``"64k"``); skips where mounting is not allowed.

    ``small_disk("remount,ro")`` makes it read-only.
    """
    point = tmp_path / "disk"
    point.mkdir()
    mounted = False

    def mount(size: str) -> Path:
        nonlocal mounted
        options = size if size.startswith("remount") else f"size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk needs root on Linux")
        mounted = True
        return point

    yield mount
    if mounted:
        subprocess.run(["umount", "-l", str(point)], check=True)
