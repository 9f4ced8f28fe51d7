"""Text retrieval over EPIC-KITCHENS-100's narrations: is the fused default better than its parts?

    python benchmarks/ek100_text.py [--data ../shared/data/ek100] [--queries 3842]

The validation narrations (9,668, of 138 videos) are indexed as timed text, and every sentence of
the official retrieval test is searched. A scene has the official relevancy (half for the verb, half
for the shared nouns) of the narration that starts it, the highest of several. Recall is of the
scenes of relevancy 1.

Either ranking alone and the other fusers stand beside the default with the difference to it:
paired bootstrap over queries, drawn by the video a sentence comes from, p values corrected (Holm)
for the number of comparisons.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measure import machine, report

import egorag
from egorag import config, registry
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.weighted import WeightedScores
from egorag.metrics.intervals import clustered_mean
from egorag.metrics.multi_instance import relevancy
from egorag.metrics.paired import holm, paired_bootstrap
from egorag.metrics.ranking import ndcg, recall_at
from egorag.retrieve.loaded import LoadedEncoders
from egorag.retrieve.retriever import Retriever
from egorag.types import Query

Floats = npt.NDArray[np.float64]

KS = (10, 100)
ALONE = {
    "bm25": ReciprocalRank(weights={"minilm": 0}),
    "dense": ReciprocalRank(weights={"bm25": 0}),
}
OTHERS = {"rrf": ReciprocalRank(), **{n: WeightedScores(n) for n in ("z", "rank")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ek100"))
    parser.add_argument("--queries", type=int, default=0, help="the first so many; 0 for all")
    parser.add_argument("--rounds", type=int, default=10_000, help="of the bootstrap")
    given = parser.parse_args()
    rows = _read(given.data / "EPIC_100_validation.csv")
    by_id = {row["narration_id"]: row for row in rows}
    sentences = _read(given.data / "EPIC_100_retrieval_test_sentence.csv")
    asked = [by_id[s["narration_id"]] for s in sentences][: given.queries or None]
    grades = relevancy(*_classes(rows), *_classes(asked))
    with tempfile.TemporaryDirectory() as folder, _index(Path(folder), rows) as index:
        scored = _scored(index, rows, asked, grades)
    clusters = [row["video_id"] for row in asked]
    report(
        machine=machine(),
        scenes=len(rows),
        queries=len(asked),
        scores=_told(scored, clusters, given.rounds),
    )


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _classes(rows: Sequence[Mapping[str, str]]) -> tuple[npt.NDArray[np.intp], list[set[int]]]:
    verbs = np.array([int(row["verb_class"]) for row in rows])
    return verbs, [set(ast.literal_eval(row["all_noun_classes"])) for row in rows]


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _index(folder: Path, rows: Sequence[Mapping[str, str]]) -> egorag.Index:
    lines = [
        {
            "video": row["video_id"],
            "start": _seconds(row["start_timestamp"]),
            "end": _seconds(row["stop_timestamp"]),
            "text": row["narration"],
        }
        for row in rows
    ]
    corpus = folder / "narrations.jsonl"
    corpus.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return egorag.build(corpus, folder / "index", ["encoder=[minilm]"])


def _scored(
    index: egorag.Index,
    rows: Sequence[Mapping[str, str]],
    asked: Sequence[Mapping[str, str]],
    grades: Floats,
) -> dict[str, dict[str, list[float]]]:
    """Scores of every query by metric, by what was compared."""
    starts = {
        (video.path, scene.span.start): scene.id
        for video in index.videos()
        for scene in index.scenes(video.id, "scene")
    }
    scene_of = [
        starts[row["video_id"], round(_seconds(row["start_timestamp"]) * 1e6)] for row in rows
    ]
    default = registry.methods(config.compose("search", ["index=x"]))["fuser"]
    fusers = {"default": default, **ALONE, **OTHERS}
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    encoder = LoadedEncoders(index.folder, "cpu", {}).get("minilm")
    retriever = Retriever(index.folder, {"minilm": encoder}, default)
    for number, row in enumerate(asked):
        rankings = retriever.rankings(Query(row["narration"]))
        of: dict[int, float] = {}
        for scene, grade in zip(scene_of, grades[:, number].tolist(), strict=True):
            of[scene] = max(grade, of.get(scene, 0.0))
        whole = {scene: 1.0 for scene, grade in of.items() if grade == 1}
        for name, fuser in fusers.items():
            ids = [fused.id for fused in fuser.fuse(rankings)]
            for k in KS:
                found[name][f"ndcg@{k}"].append(ndcg(ids, of, k))
                found[name][f"recall@{k}"].append(recall_at(ids, whole, k))
    return found


def _told(
    scored: Mapping[str, Mapping[str, Sequence[float]]], clusters: Sequence[str], rounds: int
) -> dict[str, dict[str, Any]]:
    """By metric and name: the mean with its interval, and how much better the default is."""
    default, *others = scored
    told: dict[str, dict[str, Any]] = {}
    for metric, best in scored[default].items():
        differences = {
            name: paired_bootstrap(best, scored[name][metric], clusters, rounds=rounds)
            for name in others
        }
        corrected = dict(zip(others, holm([d.p for d in differences.values()]), strict=True))
        told[metric] = {default: str(clustered_mean(best, clusters))}
        for name, difference in differences.items():
            told[metric][name] = {
                "mean": str(clustered_mean(scored[name][metric], clusters)),
                "default_is_better_by": str(difference),
                "p_corrected": round(corrected[name], 4),
            }
    return told


if __name__ == "__main__":
    main()
