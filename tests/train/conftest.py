"""Shapes that move one of four ways, as moments of an index: what a probe can learn in seconds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.ids import scene_id
from egorag.store.records import EncoderRow, Encoding, VideoRecord
from egorag.types import Scene, Video

WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
RATE, SIDE, CLIP = 8, 48, 1_500_000
STEP = 1_000_000 // RATE


def moving(dice: np.random.Generator, way: str) -> Iterator[npt.NDArray[np.uint8]]:
    """A clip's pictures. Where the path lies, colours, size and speed are the dice's: a single
    picture, or all of them in no order, cannot tell left from right."""
    count = CLIP // STEP
    size, speed = int(dice.integers(7, 12)), dice.uniform(1.0, 1.8)
    colour, ground = dice.integers(150, 256, 3), dice.integers(20, 90, 3)
    round_one = dice.random() < 0.5
    middle = dice.uniform(SIDE * 0.4, SIDE * 0.6, 2)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for i in range(count):
        centre = middle + np.array(WAYS[way]) * speed * (i - (count - 1) / 2)
        away = np.abs(rows - centre[0]), np.abs(columns - centre[1])
        inside = np.hypot(*away) < size / 2 if round_one else np.maximum(*away) < size / 2
        image = np.where(inside[..., None], colour, ground) + dice.normal(0, 4, (SIDE, SIDE, 1))
        yield np.clip(image, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Moving:
    """An index of such videos and the table that tells their clips."""

    index: Path
    labels: Path


GRID = 6
SPACE = EmbeddingSpace("tests/thumbnails", "1", GRID * GRID, True, frozenset())


def thumbnail(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Where a picture is brighter and darker, on a grid; unit length."""
    side = SIDE // GRID
    light = image.mean(-1).reshape(GRID, side, GRID, side).mean((1, 3)).ravel()
    light -= np.median(light)
    return np.asarray(light / np.linalg.norm(light), np.float32)


def make(folder: Path, videos: int, clips: int = 6, seed: int = 0) -> Moving:
    """Videos v00.mp4, ... in the index ``folder/index``, told by ``folder/labels.csv``. Their
    moments are there, the files are not: training reads what is stored."""
    settings = {"_target_": "egorag.encode.picture_frames.PictureFrames"}
    row = EncoderRow("looks", f"thumbnails {seed}", SPACE, settings, "frames")
    rows = []
    with IndexFolder.create(folder / "index", "") as index:
        index.catalog.write_encoders([row])
        for number in range(videos):
            dice = np.random.default_rng((seed, number))
            ways = [str(way) for way in dice.choice(list(WAYS), clips)]
            vectors = np.stack([thumbnail(image) for way in ways for image in moving(dice, way)])
            spans = [Span(i * STEP, (i + 1) * STEP) for i in range(len(vectors))]
            stored = index.artifacts.write_vectors(
                index.artifacts.key(video=number, seed=seed), vectors, spans, {}
            )
            video = Video(f"video{number:04}", f"films/v{number:02}.mp4", clips * CLIP)
            whole = Scene(scene_id(video.id, 0, video.span), video.id, video.span, 0, 0, None,
                          video.duration)  # fmt: skip
            made = Encoding(
                "looks", row.fingerprint, "moments", stored.key, stored.sha256, len(vectors)
            )
            index.catalog.write_video(VideoRecord(video, "", (whole,), encodings=(made,)))
            rows += [
                (f"v{number:02}", i * CLIP / 1e6, (i + 1) * CLIP / 1e6, way)
                for i, way in enumerate(ways)
            ]
    table(folder / "labels.csv", rows)
    return Moving(folder / "index", folder / "labels.csv")


def table(
    path: Path, rows: list[tuple[object, ...]], columns: str = "video,start,end,label"
) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns.split(","))
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Moving:
    """80 videos of six clips each. Read only."""
    return make(tmp_path_factory.mktemp("moving"), 80)


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Moving:
    """Eight videos, for what needs no skill."""
    return make(tmp_path_factory.mktemp("few"), 8)
