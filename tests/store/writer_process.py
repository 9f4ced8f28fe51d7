"""Writers for the tests of kills and of readers, forked from one process that has imported all.

For each line ``ROUNDS INDEX`` on stdin it forks a writer and prints the writer's process id, then
waits for it and prints how it ended. A writer writes videos whose scenes all say the same number,
in rounds: a reader that ever sees two numbers in one video has seen it half-written.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import faiss  # noqa: F401 - so that kills fall into the work, not into an import
import numpy as np

from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.catalog import EncoderRow, Encoding, SceneText, VideoRecord
from egorag.store.folder import IndexFolder
from egorag.store.ids import scene_id
from egorag.types import Scene, TimedText, Video

SPACE = EmbeddingSpace("toy", "1", 8, True, frozenset({"text"}))
VIDEOS, SCENES = 6, 12


def record(folder: IndexFolder, number: int, round: int) -> VideoRecord:
    """Video ``number`` in its state of ``round``: scenes, texts and vectors all tell the round."""
    id = f"video{number}"
    spans = [Span(i, i + 1 + round) for i in range(0, SCENES * (1 + round), 1 + round)]
    scenes = tuple(Scene(scene_id(id, 0, s), id, s, 0, i, None, s.end) for i, s in enumerate(spans))
    vectors = np.zeros((SCENES, SPACE.dim), np.float32)
    vectors[:, round % SPACE.dim] = 1
    key = folder.artifacts.key(video=id, round=round)
    stored = folder.artifacts.write_vectors(key, vectors, spans, {"round": str(round)})
    return VideoRecord(
        Video(id, f"{id}.mp4", spans[-1].end),
        f"round{round}",
        scenes,
        tuple(TimedText(s, f"round{round}", "subtitle", "s") for s in spans),
        {s.id: SceneText(f"round{round} common") for s in scenes},
        (Encoding("toy", "f", "vectors", key, stored.sha256, SCENES),),
    )


def write(index: Path, rounds: int) -> None:
    with IndexFolder.create(index, "seed: 0\n", device="cpu") as folder, folder.writing():
        folder.catalog.write_encoders([EncoderRow("toy", "f", SPACE, {})])
        for round in range(rounds):
            for number in range(VIDEOS):
                folder.catalog.write_video(record(folder, number, round))
            folder.vectors.refresh()


def main() -> None:
    for line in sys.stdin:
        rounds, index = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if child == 0:
            write(Path(index), int(rounds))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitpid(child, 0)[1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
