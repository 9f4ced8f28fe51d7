"""How long a search over many scenes takes.

    python benchmarks/search.py [--captions 10000] [--scenes 10000] [--queries 200]

Captions, query embedding included: an index of captions is written straight into the store. Warm:
one process, each query new, wall and CPU milliseconds of `Index.search`. Cold: whole
`python -m egorag.search` processes. Targets at 10,000: warm 20 ms (median), cold 2 s, or less.

Scenes, embedding excluded (`search_scale.py`): two dense encoders of 768-d and text, with recall
against exact search, and the time of exact search and of a loop over videos beside it. Targets at
1,000,000 (`--captions 0 --scenes 1000000`; 17 GB on the disk, 15 minutes the first time): 25 ms or
less (median), 50 ms (95th percentile), recall@10 of 0.97 or more; at 100,000 exact search 8 ms or
less an encoder.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import corpus
import search_scale
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
    parser.add_argument("--captions", type=int, default=10_000, help="0: none")
    parser.add_argument("--scenes", type=int, default=10_000, help="0: none; in hundreds")
    parser.add_argument("--exact-scenes", type=int, help="for exact search; 100000 or fewer")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()

    report(
        captions=_of_captions(given) if given.captions else None,
        scenes=search_scale.measured(
            given.scenes,
            given.exact_scenes or min(given.scenes, 100_000),
            given.queries,
            given.repeats,
        )
        if given.scenes
        else None,
    )


def _of_captions(given: argparse.Namespace) -> dict[str, Any]:
    folder = CACHE / f"search_{given.captions}.index"
    if not (folder / "catalog.sqlite").exists():
        _write(folder, given.captions)
    queries = [f"where did I {said}?" for said in _captions(given.queries + 5, seed=1)]
    with egorag.open(folder) as index:
        for query in queries[:5]:
            index.search(query)
        walls, cpus = zip(*(_timed(index, query) for query in queries[5:]), strict=True)
    command = [sys.executable, "-m", "egorag.search", f"index={folder}", "query=the red mug"]
    cold = [measure(command).wall for _ in range(given.repeats)]
    return {
        "count": given.captions,
        "warm_wall_ms": search_scale.summary(walls),
        "warm_cpu_ms": search_scale.summary(cpus),
        "cold_s": {"median": round(statistics.median(cold), 3), "worst": round(max(cold), 3)},
    }


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


if __name__ == "__main__":
    main()
