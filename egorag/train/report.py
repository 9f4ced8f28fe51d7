"""How well a probe does on videos it has not seen, beside what guessing reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from egorag.metrics.classmean import Hits, Ints, class_mean, hits, numbered
from egorag.metrics.intervals import Rows, clustered
from egorag.train.probe import Scores

KS = (1, 5)


def report(
    found: Mapping[str, Scores],
    labels: Mapping[str, Sequence[str]],
    shown: Mapping[str, Sequence[str]],
    learned_from: Mapping[str, Sequence[str]],
    videos: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """By query: accuracy and class-mean recall at 1 and 5, each with its interval over videos and
    what guessing reaches.

    Args:
        found: scores [clips, labels] by query.
        labels: that were learned, in the order of the scores.
        shown: what each clip really shows.
        learned_from: the labels of the clips learned from, for the most frequent one.
        videos: of each clip.
    """
    return {
        query: _of_query(scores, labels[query], shown[query], learned_from[query], videos, seed)
        for query, scores in found.items()
    }


def _of_query(
    scores: Scores,
    labels: Sequence[str],
    shown: Sequence[str],
    learned_from: Sequence[str],
    videos: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    truth, classes = numbered(shown, labels)
    usual = Counter(sorted(learned_from)).most_common(1)[0][0]
    first = hits(scores, truth, 1)
    told: dict[str, Any] = {
        "accuracy": {
            **clustered(lambda rows: float(first[rows].mean()), videos, seed=seed).to_json(),
            "chance": float((truth >= 0).mean()) / len(labels),  # one never learned: never
            "most_frequent": float(np.mean([label == usual for label in shown])),
        },
    }
    for k in KS:
        if k < len(labels):
            told[f"class_mean_recall@{k}"] = _recall(scores, truth, classes, k, videos, seed)
    return {
        **told,
        "labels": len(labels),
        "never_learned": int((truth < 0).sum()),
    }


def _recall(
    scores: Scores, truth: Ints, classes: Ints, k: int, videos: Sequence[str], seed: int
) -> dict[str, Any]:
    hit: Hits = hits(scores, truth, k)

    def statistic(rows: Rows) -> float:
        return class_mean(hit[rows], classes[rows])

    # Guessing finds a learned label k times in so many, and one never learned never.
    guessed = class_mean(np.where(truth >= 0, k / scores.shape[1], 0.0), classes)
    return {**clustered(statistic, videos, seed=seed).to_json(), "chance": guessed}
