"""How long a search over many scenes takes, query embedding included.

    python benchmarks/search.py [--scenes 10000] [--queries 200]

An index of captions is written straight into the store. Warm: one process, each query new, wall and
CPU milliseconds of `Index.search`. Cold: whole `python -m egorag.search` processes. Targets at
10,000 scenes: warm 20 ms or less (median), cold 2 s or less.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import corpus
import numpy as np
from measure import CACHE, measure, report

import egorag
from egorag import config
from egorag.encode.minilm import MiniLM
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.types import TimedText

SCENES_A_VIDEO = 100
# fmt: off
ACTIONS = [
    "take", "wash", "cut", "open", "close", "pour", "stir", "lift", "drop", "carry", "fold",
    "peel", "wipe", "clean", "find", "move",
]
THINGS = [
    "knife", "plate", "cup", "kettle", "bottle", "onion", "carrot", "towel", "drawer", "fridge",
    "bread", "bicycle", "phone", "book", "lamp", "jacket", "basket", "ladder", "hammer", "rope",
    "paint", "brush", "door", "window", "table", "letter", "parcel", "guitar", "plant", "shoe",
    "glove", "bucket", "candle", "mirror", "clock", "radio", "pillow", "blanket", "spoon",
    "bowl",
]
PLACES = [
    "in the kitchen", "on the table", "under the stairs", "near the window", "behind the sofa",
    "in the garage", "outside in the garden", "by the front door", "on the balcony",
    "at the workbench",
]
# fmt: on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()

    folder = CACHE / f"search_{given.scenes}.index"
    if not (folder / "catalog.sqlite").exists():
        _write(folder, given.scenes)
    queries = [f"where did I {said}?" for said in _captions(given.queries + 5, seed=1)]
    with egorag.open(folder) as index:
        for query in queries[:5]:
            index.search(query)
        walls, cpus = zip(*(_timed(index, query) for query in queries[5:]), strict=True)
    command = [sys.executable, "-m", "egorag.search", f"index={folder}", "query=the red mug"]
    cold = [measure(command).wall for _ in range(given.repeats)]
    report(
        scenes=given.scenes,
        warm_wall_ms=_summary(walls),
        warm_cpu_ms=_summary(cpus),
        cold_s={"median": round(statistics.median(cold), 3), "worst": round(max(cold), 3)},
    )


def _write(folder: Path, scenes: int) -> None:
    encoders = {"minilm": MiniLM()}
    encoders["minilm"].setup()
    captions = _captions(scenes, seed=0)
    settings = config.compose("index", ["encoder=minilm", f"index={folder}", "input=x"])
    with IndexFolder.create(folder, "") as index, index.writing():
        corpus.write_encoders(index, encoders, {"minilm": settings["encoders"]["minilm"]})
        for number, first in enumerate(range(0, scenes, SCENES_A_VIDEO)):
            lines = [
                TimedText(Span.seconds(5 * i, 5 * i + 5), text, "caption", "benchmark")
                for i, text in enumerate(captions[first : first + SCENES_A_VIDEO])
            ]
            corpus.write_video(index, f"video{number:04}.mp4", lines, encoders)
        index.vectors.refresh()


def _captions(count: int, seed: int) -> list[str]:
    """Distinct sentences, shuffled by seed."""
    pairs = itertools.product(ACTIONS, THINGS, THINGS, PLACES)
    said = [f"{act} the {one} and the {other} {place}" for act, one, other, place in pairs]
    return random.Random(seed).sample(said, count)


def _timed(index: egorag.Index, query: str) -> tuple[float, float]:
    """(wall ms, CPU ms) of one search."""
    wall, cpu = time.perf_counter(), time.process_time()
    index.search(query)
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def _summary(values: Sequence[float]) -> dict[str, float]:
    median, p95 = np.percentile(values, [50, 95])
    return {"median": round(float(median), 2), "p95": round(float(p95), 2)}


if __name__ == "__main__":
    main()
