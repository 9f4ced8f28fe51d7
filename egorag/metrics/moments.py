"""Moment retrieval: average precision of scored spans against true ones, at several IoUs.

As the official evaluation of QVHighlights has it (Lei et al., "QVHighlights: Detecting moments
and highlights in videos via natural language queries", NeurIPS 2021), which took it from
ActivityNet and Pascal VOC: interpolated, each true span found once at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.metrics.temporal import Floats, best_iou, checked, iou

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
MOST = 10
"""Predicted spans of a query that count."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of each query: average precision at each of ``THRESHOLDS``, float [queries, 10]; the highest
    IoU of its first span with a true one, float [queries]."""

    average_precision: Floats
    iou: Floats

    def recall_at_one(self, threshold: float) -> float:
        """Share of the queries whose first span has an IoU of at least ``threshold``."""
        return float((self.iou >= threshold).mean())


def moments(predicted: Sequence[npt.ArrayLike], truth: Sequence[npt.ArrayLike]) -> Moments:
    """Score the predictions of each query.

    Only the first ``MOST`` spans count, so they should come best first; of these, equal scores
    stand in the order given.

    Args:
        predicted: for each query [n, 3] of (start, end, score).
        truth: for each query [m, 2] of (start, end), one at least.

    Raises:
        ValueError: lengths disagree, a query without a true span, a score that is NaN, or spans
            that ``temporal.checked`` refuses.
    """
    if len(predicted) != len(truth):
        raise ValueError(f"expected one prediction a query, got {len(predicted)} of {len(truth)}")
    found = [_of_query(p, t) for p, t in zip(predicted, truth, strict=True)]
    return Moments(
        np.array([ap for ap, _ in found], np.float64).reshape(-1, len(THRESHOLDS)),
        np.array([best for _, best in found], np.float64),
    )


def average_precision(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, thresholds: Sequence[float] = THRESHOLDS
) -> Floats:
    """Interpolated average precision of one query at each IoU threshold, float [thresholds].

    Best score first, a span takes the nearest true span that is still free at that threshold; what
    finds none is wrong.

    >>> average_precision([[0, 10, 0.9], [50, 60, 0.8], [20, 29, 0.1]], [[0, 10], [20, 30]], [0.5])
    array([0.83333333])
    """
    true = checked(truth)
    if not len(true):
        raise ValueError("a query has no true span; leave it out, and count it")
    spans, scores = _split(predicted)
    if not len(spans):
        return np.zeros(len(thresholds))
    order = np.argsort(-scores, kind="stable")
    overlaps = iou(spans[order], true)
    nearest = np.argsort(overlaps, axis=1, kind="stable")[:, ::-1]
    return np.array([_interpolated(_taken(overlaps, nearest, t), len(true)) for t in thresholds])


def _of_query(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Floats, float]:
    spans, scores = _split(predicted)
    counted = np.column_stack([spans, scores])[:MOST]
    return average_precision(counted, truth), best_iou(spans, truth)


def _split(predicted: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Spans [n, 2] and scores [n]."""
    found = np.asarray(predicted, np.float64)
    found = found.reshape(0, 3) if not found.size else found
    if found.ndim != 2 or found.shape[1] != 3 or np.isnan(found[:, 2]).any():
        raise ValueError(
            f"predictions must be [n, 3] of (start, end, score), without NaN, got {found.shape}"
        )
    return checked(found[:, :2]), found[:, 2]


def _taken(overlaps: Floats, nearest: npt.NDArray[np.intp], threshold: float) -> Floats:
    """1 for each span, best first, that takes a true one, else 0."""
    free = set(range(overlaps.shape[1]))
    right = np.zeros(len(overlaps))
    for row, true_ones in enumerate(nearest.tolist()):
        for true in true_ones:
            if overlaps[row, true] < threshold:
                break
            if true in free:
                free.remove(true)
                right[row] = 1
                break
    return right


def _interpolated(right: Floats, total: int) -> float:
    """The highest precision at each recall or beyond, over all the true ones."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float((highest * right).sum() / total)
