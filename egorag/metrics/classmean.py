"""Class-mean recall at k, the measure of action anticipation: each class counts alike.

Damen et al., "Rescaling Egocentric Vision" (IJCV 2022), section 4.3: of each class that occurs, the
share of its clips whose label is among the k best; the mean over these classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


def hits(scores: npt.NDArray[np.floating], truth: Ints, k: int) -> Hits:
    """For each row how likely its label is among the ``k`` best, float [n] in 0..1.

    Equal scores are in no order: a label that shares the last places with others has a share of
    them. So a model that says the same of every label is as good as chance, whatever its labels'
    order.

    Args:
        scores: [n, labels].
        truth: int [n]; -1 is a label that was never learned, a miss.

    Raises:
        ValueError: shapes disagree, k is below 1, or a score is NaN.

    >>> hits(np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]]), np.array([1, 1]), k=1)
    array([0.        , 0.33333333])
    """
    if scores.ndim != 2 or truth.shape != (len(scores),) or k < 1:
        raise ValueError(f"expected scores [n, labels], truth [n] and k >= 1, got k={k}")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN; nothing can be ranked by them")
    known = truth >= 0
    own = scores[np.arange(len(scores)), np.where(known, truth, 0)][:, None]
    better = (scores > own).sum(1)
    equal = (scores == own).sum(1)
    share: Hits = np.clip((k - better) / equal, 0.0, 1.0)
    return np.where(known, share, 0.0)


def class_mean(hit: Hits, classes: Ints) -> float:
    """The mean over classes of the mean over their rows; ``classes`` int [n], any numbers >= 0."""
    counts = np.bincount(classes)
    sums = np.bincount(classes, weights=hit)
    present = counts > 0
    return float((sums[present] / counts[present]).mean())


def numbered(labels: Sequence[str], learned: Sequence[str]) -> tuple[Ints, Ints]:
    """``(truth, classes)`` of labels: truth counts within ``learned`` and is -1 outside it, classes
    number every label, learned or not.

    >>> numbered(["b", "z", "a"], ["a", "b"])
    (array([ 1, -1,  0]), array([1, 2, 0]))
    """
    order = {label: i for i, label in enumerate(learned)}
    classes = dict(order)
    for label in labels:
        classes.setdefault(label, len(classes))
    return (
        np.array([order.get(label, -1) for label in labels], np.intp),
        np.array([classes[label] for label in labels], np.intp),
    )
