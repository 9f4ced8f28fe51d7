"""Highlight detection: which clips of a video are worth seeing for a query.

As the official evaluation of QVHighlights has it (Lei et al., NeurIPS 2021): three annotators rate
each clip, each is a truth of its own, and a clip is right for one from a rating up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.metrics.temporal import Floats

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Highlights:
    """Of each query, float [queries] each.

    Attributes:
        average_precision: the mean over annotators.
        hit: whether the clip scored highest is right for one of them at least. Of several, the
            first counts, as in the official code, which favours early clips.
        fair_hit: where the first would count, the share of them that is right.
    """

    average_precision: Floats
    hit: Floats
    fair_hit: Floats


def highlights(
    predicted: Sequence[npt.ArrayLike], ratings: Sequence[npt.ArrayLike], least: int
) -> Highlights:
    """Score the predictions of each query.

    Args:
        predicted: for each query the score of each clip, float [n]. Clips without one count as
            scored 0, scores beyond the video's end are not read.
        ratings: for each query the rating of each clip by each annotator, [clips, annotators].
        least: from which rating on a clip is right.

    Raises:
        ValueError: lengths disagree, no score at all for a query, or one that is not finite.
    """
    if len(predicted) != len(ratings):
        raise ValueError(f"expected one prediction a query, got {len(predicted)} of {len(ratings)}")
    precisions, tops = [], []
    for given, rated in zip(predicted, ratings, strict=True):
        right: Bools = np.asarray(np.asarray(rated) >= least)
        scores = np.asarray(given, np.float64)
        if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
            raise ValueError("saliency scores must be finite, one for each clip")
        tops.append(_tops(scores, right))
        fitted = np.zeros(len(right))
        fitted[: len(scores)] = scores[: len(right)]
        precisions.append(np.mean([average_precision(fitted, each) for each in right.T]))
    return Highlights(
        np.array(precisions, np.float64),
        np.array([top[0] for top in tops], np.float64),
        np.array([top.mean() for top in tops], np.float64),
    )


def average_precision(scores: Floats, right: Bools) -> float:
    """The highest precision at each recall reached or beyond, averaged over these recalls.

    Equal scores are one step, taken or left together. 0 where nothing is right.

    >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    0.8333333333333333
    """
    if not right.any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum(right[order])[last]
    precision = found / (np.flatnonzero(last) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(highest[np.diff(found, prepend=0) > 0].mean())


def _tops(scores: Floats, right: Bools) -> Bools:
    """Whether each of the clips scored highest is right for an annotator; none beyond the end."""
    shown = np.zeros(max(len(scores), len(right)), bool)
    shown[: len(right)] = right.any(1)
    return np.asarray(shown[: len(scores)][scores == scores.max()])
