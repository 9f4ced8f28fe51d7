"""The 104 values of QVHighlights' official evaluation, by its names, in percent.

https://github.com/jayleicn/moment_detr, ``standalone_eval``. It prints two decimals; here nothing
is rounded, and the values of each query are at hand in ``moments`` and ``highlights``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.metrics.highlights import highlights
from egorag.metrics.moments import THRESHOLDS, Moments, moments
from egorag.metrics.temporal import Floats

LENGTHS = {"short": (0, 10), "middle": (10, 30), "long": (30, 150), "full": (0, 150)}
"""Seconds of the true moments that count: longer than the first, up to the second."""
RATINGS = {"Fair": 2, "Good": 3, "VeryGood": 4}
"""From which rating on a clip is right."""
CLIP_SECONDS = 2
ANNOTATORS = 3

Values = dict[str, float]


@dataclass(frozen=True, eq=False)
class Truth:
    """What one query asks for.

    Attributes:
        windows: seconds, [n, 2].
        ratings: of each clip by each annotator, 0..4, [clips, 3].
    """

    windows: Floats
    ratings: Floats


@dataclass(frozen=True, eq=False)
class Predicted:
    """What was found for one query: windows [n, 3] of (start, end, score) in seconds, best first;
    saliency [clips]."""

    windows: Floats
    saliency: Floats


def ratings(duration: float, clips: Sequence[int], scores: npt.ArrayLike) -> Floats:
    """Ratings of every clip of a video, [clips, 3]: as annotated for ``clips``, 0 for the rest.

    Raises:
        ValueError: a clip beyond the video's end, or not three scores for each.

    >>> ratings(6, [1], [[4, 3, 2]]).tolist()
    [[0.0, 0.0, 0.0], [4.0, 3.0, 2.0], [0.0, 0.0, 0.0]]
    """
    every = np.zeros((int(duration / CLIP_SECONDS), ANNOTATORS))
    if clips and not 0 <= min(clips) <= max(clips) < len(every):
        raise ValueError(f"clips must lie in 0..{len(every) - 1}, got {min(clips)}..{max(clips)}")
    given = np.asarray(scores, np.float64)
    if given.shape != (len(clips), ANNOTATORS) and (clips or given.size):
        raise ValueError(f"expected {ANNOTATORS} scores for each of {len(clips)} clips")
    if clips:
        every[list(clips)] = given
    return every


def evaluate(predicted: Mapping[int, Predicted], truth: Mapping[int, Truth]) -> dict[str, Any]:
    """``{"full": {"MR-mAP": {"0.5", ..., "average"}, "MR-R1": {...}}, "short", "middle", "long",
    "HL-min-Fair": {"HL-mAP", "HL-Hit1"}, ..., "brief": {...}}``, percent; None for a length that no
    true moment has.

    Args:
        predicted, truth: by query id.

    Raises:
        ValueError: the ids differ, or what ``moments`` and ``highlights`` refuse.
    """
    if set(predicted) != set(truth) or not truth:
        odd = sorted(set(predicted) ^ set(truth))
        raise ValueError(
            "predictions and truth must be of the same queries, one at least; "
            f"{len(odd)} are in one alone{f', as {odd[0]}' if odd else ''}"
        )
    told: dict[str, Any] = {}
    for name, (longer, up_to) in LENGTHS.items():
        windows = {query: _within(one.windows, longer, up_to) for query, one in truth.items()}
        counted = [query for query, held in windows.items() if len(held)]
        told[name] = _retrieval(
            moments([predicted[q].windows for q in counted], [windows[q] for q in counted])
        )
    for name, least in RATINGS.items():
        found = highlights(
            [predicted[query].saliency for query in truth],
            [one.ratings for one in truth.values()],
            least,
        )
        told[f"HL-min-{name}"] = {
            "HL-mAP": 100 * float(found.average_precision.mean()),
            "HL-Hit1": 100 * float(found.hit.mean()),
        }
    return {"brief": _brief(told), **told}


def _within(windows: Floats, longer: float, up_to: float) -> Floats:
    """The windows of such a length; all of them where any length in the data set is asked for."""
    if (longer, up_to) == LENGTHS["full"]:
        return windows
    length = windows[:, 1] - windows[:, 0]
    return np.asarray(windows[(length > longer) & (length <= up_to)])


def _retrieval(found: Moments) -> dict[str, Values] | None:
    """None where no query has a true moment of such a length."""
    if not len(found.iou):
        return None
    precisions = 100 * found.average_precision.mean(0)
    precise = {str(t): float(p) for t, p in zip(THRESHOLDS, precisions, strict=True)}
    return {
        "MR-mAP": {**precise, "average": float(precisions.mean())},
        "MR-R1": {str(t): 100 * found.recall_at_one(t) for t in THRESHOLDS},
    }


def _brief(told: Mapping[str, Any]) -> dict[str, float | None]:
    """The official summary."""
    full = told["full"]
    brief = {
        "MR-full-R1@0.5": full["MR-R1"]["0.5"],
        "MR-full-R1@0.7": full["MR-R1"]["0.7"],
        "MR-full-mAP": full["MR-mAP"]["average"],
        "MR-full-mAP@0.5": full["MR-mAP"]["0.5"],
        "MR-full-mAP@0.75": full["MR-mAP"]["0.75"],
    }
    for name in ("long", "middle", "short"):
        brief[f"MR-{name}-mAP"] = told[name] and told[name]["MR-mAP"]["average"]
    for name in RATINGS:
        for measure in ("mAP", "Hit1"):
            brief[f"HL-min-{name}-{measure}"] = told[f"HL-min-{name}"][f"HL-{measure}"]
    return brief
