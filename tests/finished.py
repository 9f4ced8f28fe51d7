"""Folders of finished runs, made without an index: what ``bench`` would leave for given scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egorag.evaluate import told
from egorag.evaluate.base import Item, Relevant
from egorag.evaluate.compare import comparisons
from egorag.evaluate.record import Outcome, RunFolder
from egorag.evaluate.score import Row, summarise
from egorag.spans import Span

CONFIG: dict[str, Any] = {
    "fuser": {"_target_": "egorag.fuse.rrf.ReciprocalRank"},
    "k": 2,
    "seed": 0,
}
MEDIA = {f"v{number}": f"{number:064x}" for number in range(4)}

Outputs = Mapping[str, Sequence[tuple[dict[str, float], dict[str, Any]]]]
"""What each item scored and what came out, by condition."""


def items_of(count: int = 12, text: str = "Where is the knife?") -> list[Item]:
    """Questions of two choices over four videos, of two kinds."""
    return [
        Item(
            f"q{number}",
            f"{text} {number}",
            choices=("on the board", "in the sink"),
            answer=0,
            relevant=(Relevant(f"v{number % 4}", Span.seconds(10, 20), 1.0),),
            labels={"kind": "odd" if number % 2 else "even"},
        )
        for number in range(count)
    ]


def ranking(
    *grades: float, relevant: int = 1, **hit: Any
) -> tuple[dict[str, float], dict[str, Any]]:
    """A ranking whose hits have these grades, and its scores."""
    found = [grade > 0 for grade in grades]
    first = found.index(True) + 1 if any(found) else 0
    values = {"mrr": 1 / first if first else 0.0, "recall@1": found[0] / relevant}
    place = {"video": MEDIA["v0"], "path": "v0.mp4", "start": 0.0, "end": 10.0, "focus": None}
    hits = [{**place, "text": "said", "grade": grade, **hit} for grade in grades]
    return values, {"hits": hits, "relevant": relevant}


def answer(
    right: float, confidence: float = 0.5, **output: Any
) -> tuple[dict[str, float], dict[str, Any]]:
    """An answer to the question of ``items_of``, and its scores."""
    told = {"answer": "it is there", "choice": int(not right), "abstained": False, "evidence": []}
    values = {"accuracy": right, "abstained": 0.0, "evidence": 1.0}
    return values, {**told, "confidence": confidence, "relevant": 1, **output}


def write_run(
    folder: Path,
    items: Sequence[Item],
    outputs: Outputs,
    config: Mapping[str, Any] | None = None,
    **record: Any,
) -> Path:
    """A run as ``bench`` leaves it; ``main`` must be among the conditions."""
    kind = "retrieval" if "hits" in outputs["main"][0][1] else "choice"
    main = "mrr" if kind == "retrieval" else "accuracy"
    rows = {
        name: [Row(item, *of, 0.25) for item, of in zip(items, given, strict=True)]
        for name, given in outputs.items()
    }
    scores = {name: summarise(of, main) for name, of in rows.items()}
    plain = {name: told.plain_scores(of) for name, of in scores.items()}
    result = {
        "benchmark": "toy",
        "kind": kind,
        "main": main,
        "scores": plain.pop("main"),
        "categories": {
            category: {
                label: {name: score.to_json() for name, score in of.items()}
                for label, of in labels.items()
            }
            for category, labels in scores["main"].categories.items()
        },
        "items": {"all": len(items), "run": len(items), "scored": len(items), "left_out": 0},
        "missing_media": [],
        "left_out": {},
        "notes": [],
        "controls": plain,
        "comparisons": comparisons(rows, main),
    }
    environment = {
        "egorag": "0.1.0",
        "python": "3.11.7",
        "packages": {"numpy": "2.0"},
        "machine": {"system": "Linux", "processor": "a processor", "cores": 2},
    }
    cost = {
        "indexing_seconds": 12.0,
        "indexed_now": True,
        "asking_seconds": {name: 0.25 * len(items) for name in rows},
        "tokens": dict.fromkeys(rows, 0),
        "peak_memory_bytes": 2_000_000_000,
        "rows_taken_over": 0,
    }
    told_all = {
        "key": folder.name,
        "config": {**CONFIG, **(config or {})},
        "code": "c" * 32,
        "sources": {"toy": "0" * 64},
        "media": MEDIA,
        "revision": {"commit": "abc1234", "changed": True},
        "folder": str(folder),
        "environment": environment,
        "cost": cost,
        "result": result,
    }
    with RunFolder.open(folder) as run:
        run.keep(items)
        for name, of in rows.items():
            for row in of:
                run.put(name, row.item.id, Outcome(row.values, row.output, row.seconds))
        run.finish({**told_all, **record})
    return folder
