"""How well spans are found: overlap over union of half-open spans, and what is counted by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def iou(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Intersection over union of each of ``first`` with each of ``second``, float [n, m] in 0..1.

    Spans are half-open: those that only touch share nothing, and an empty one shares nothing even
    with itself.

    Args:
        first, second: [n, 2] and [m, 2] of (start, end), in any unit of time, the same for both.

    Raises:
        ValueError: another shape, a time that is not finite, or an end before its start.

    >>> iou([[0, 10], [20, 30]], [[5, 10], [30, 40]]).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    one, other = checked(first), checked(second)
    low = np.maximum(one[:, None, 0], other[None, :, 0])
    high = np.minimum(one[:, None, 1], other[None, :, 1])
    shared = np.maximum(high - low, 0.0)
    # Of spans that overlap the union is the hull; it rounds less than a sum of lengths.
    start = np.minimum(one[:, None, 0], other[None, :, 0])
    whole = np.maximum(one[:, None, 1], other[None, :, 1]) - start
    found: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)
    return found


def best_iou(predicted: npt.ArrayLike, truth: npt.ArrayLike, k: int = 1) -> float:
    """The highest IoU of one of the first ``k`` predicted spans and a true one; 0 with none.

    Raises:
        ValueError: as ``iou``, or k below 1.

    >>> best_iou([[0, 4], [0, 10]], [[0, 8]], k=2)
    0.8
    """
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")
    found = iou(checked(predicted)[:k], truth)
    return float(found.max()) if found.size else 0.0


def recall_at(
    predicted: Sequence[npt.ArrayLike],
    truth: Sequence[npt.ArrayLike],
    k: int,
    threshold: float,
) -> float:
    """Share of the queries one of whose first ``k`` spans has an IoU of at least ``threshold``.

    Raises:
        ValueError: as ``best_iou``; lengths disagree, no queries, or a threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie above 0 and up to 1, got {threshold}")
    return float((_each(predicted, truth, k) >= threshold).mean())


def mean_iou(predicted: Sequence[npt.ArrayLike], truth: Sequence[npt.ArrayLike]) -> float:
    """The mean over queries of the first span's IoU with the nearest true one.

    Raises:
        ValueError: as ``best_iou``; lengths disagree, or no queries.
    """
    return float(_each(predicted, truth, 1).mean())


def checked(spans: npt.ArrayLike) -> Floats:
    """Spans as float64 [n, 2]; none may be ``[]``.

    Raises:
        ValueError: another shape, a time that is not finite, or an end before its start.
    """
    found = np.asarray(spans, np.float64)
    found = found.reshape(0, 2) if not found.size else found
    if found.ndim != 2 or found.shape[1] != 2:
        raise ValueError(f"spans must be [n, 2] of (start, end), got shape {found.shape}")
    if not np.isfinite(found).all() or (found[:, 1] < found[:, 0]).any():
        raise ValueError("spans must be finite, and none may end before it starts")
    return found


def _each(predicted: Sequence[npt.ArrayLike], truth: Sequence[npt.ArrayLike], k: int) -> Floats:
    if len(predicted) != len(truth) or not len(truth):
        raise ValueError(
            f"expected predictions and truth of the same queries, one at least, got "
            f"{len(predicted)} and {len(truth)}"
        )
    return np.array([best_iou(p, t, k) for p, t in zip(predicted, truth, strict=True)])
