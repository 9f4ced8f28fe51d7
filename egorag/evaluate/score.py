"""What an index gave for one item, measured; and the mean over items with its interval."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egorag.evaluate.base import Item, Relevant, Scores
from egorag.metrics.intervals import Interval, clustered_mean
from egorag.metrics.ranking import ndcg, recall_at, reciprocal_rank
from egorag.metrics.temporal import best_iou
from egorag.segment.tuning import match
from egorag.train.pairs import together
from egorag.types import Answer, Hit, Scene

KS = (1, 5, 10)
IOUS = (0.5, 0.7)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True)
class Row:
    """What became of one item.

    Attributes:
        values: what it scored, by metric; empty where the answer is not public.
        output: what the index gave, as plain data.
        seconds: it took.
    """

    item: Item
    values: Mapping[str, float]
    output: Mapping[str, Any]
    seconds: float


def grades(relevant: Iterable[Relevant], scenes: Mapping[str, Sequence[Scene]]) -> dict[int, float]:
    """Grade by scene id, the highest where several stretches hold for a scene.

    A scene that shares over half of the shorter of the two with a stretch has its grade; where
    none does (the stretch straddles a cut evenly), the one that shares most of it, so that what
    is asked can be found however the video was cut.

    Args:
        scenes: of one level, in order of time, by video as ``relevant`` calls it.
    """
    found: dict[int, float] = {}
    for one in relevant:
        there = scenes.get(one.video, ())
        spans = [scene.span for scene in there]
        numbers = together(one.span, spans)
        if not numbers and spans:
            shares = [one.span.overlap(span) for span in spans]
            numbers = [int(np.argmax(shares))] if max(shares) else []
        for number in numbers:
            id = there[number].id
            found[id] = max(one.grade, found.get(id, 0.0))
    return {id: grade for id, grade in found.items() if grade > 0}


def of_ranking(hits: Sequence[Hit], right: Mapping[int, float], k: int) -> dict[str, float]:
    """Recall at ``KS`` and ``k``, nDCG and the reciprocal rank of the first ``k`` hits.

    Args:
        right: see ``grades``; at least one.
    """
    ids = [hit.scene.id for hit in hits]
    recalls = {f"recall@{n}": recall_at(ids, right, n) for n in sorted({*KS, k}) if n <= k}
    return {f"ndcg@{k}": ndcg(ids, right, k), "mrr": reciprocal_rank(ids, right, k), **recalls}


def of_answer(answer: Answer, item: Item) -> dict[str, float]:
    """Whether the answer is right, and whether one was given.

    A choice is right if it is the choice; an open answer if it holds the expected words in their
    order, articles and punctuation apart; where nothing answers the question, right is to abstain.
    ``f1`` of an open answer is that of SQuAD (Rajpurkar et al., 2016), over words.
    """
    abstained = float(answer.abstained)
    if item.answer is None:
        return {"accuracy": abstained, "abstained": abstained}
    if isinstance(item.answer, int):
        right = not answer.abstained and answer.choice == item.answer
        return {"accuracy": float(right), "abstained": abstained}
    said = [] if answer.abstained else words(answer.text)
    expected = words(item.answer)
    places = range(len(said) - len(expected) + 1)
    right = any(said[i : i + len(expected)] == expected for i in places)
    return {"accuracy": float(right), "abstained": abstained, "f1": _f1(said, expected)}


def of_moments(hits: Sequence[Hit], relevant: Sequence[Relevant]) -> dict[str, float]:
    """Whether the first hit shares enough time with a right moment, and how much it shares: the
    intersection over union of half-open spans."""
    found = [[hit.scene.span.start, hit.scene.span.end] for hit in hits[:1]]
    best = best_iou(found, [[one.span.start, one.span.end] for one in relevant])
    return {**{f"R1@{least:g}": float(best >= least) for least in IOUS}, "mIoU": best}


def of_cuts(scenes: Sequence[Scene], item: Item, tolerance: int) -> dict[str, float]:
    """Precision, recall and F1 of scene starts within ``tolerance`` microseconds; 0 is no cut."""
    found = [scene.span.start for scene in scenes if scene.span.start > 0]
    score = match(found, [r.span.start for r in item.relevant if r.span.start > 0], tolerance)
    return {"f1": score.f1, "precision": score.precision, "recall": score.recall}


def words(text: str) -> list[str]:
    """Words in lower case, without articles and punctuation.

    >>> words("The board says: EXIT 42.")
    ['board', 'says', 'exit', '42']
    """
    return re.findall(r"\w+", _ARTICLES.sub(" ", text.lower()))


def summarise(rows: Sequence[Row], main: str, seed: int = 0) -> Scores:
    """Means of every metric over the rows that have it, drawn by video; by category too."""
    by: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for category, labels in row.item.labels.items():
            for label in (labels,) if isinstance(labels, str) else labels:
                by[category][label].append(row)
    return Scores(
        main,
        _means(rows, seed),
        {
            category: {label: _means(some, seed) for label, some in sorted(labels.items())}
            for category, labels in by.items()
        },
    )


def _means(rows: Sequence[Row], seed: int) -> dict[str, Interval]:
    names = dict.fromkeys(name for row in rows for name in row.values)
    found = {}
    for name in names:
        having = [row for row in rows if name in row.values]
        values = np.array([row.values[name] for row in having], np.float64)
        clusters = [row.item.cluster for row in having]
        found[name] = clustered_mean(values, clusters, seed=seed)
    return found


def _f1(said: Sequence[str], expected: Sequence[str]) -> float:
    shared = sum((Counter(said) & Counter(expected)).values())
    return 2 * shared / (len(said) + len(expected)) if shared else 0.0
