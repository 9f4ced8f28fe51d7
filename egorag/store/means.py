"""Vectors of longer stretches: the mean of their scenes' vectors, weighted by duration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from egorag.errors import StoreError
from egorag.spans import Span
from egorag.types import Scene

Vectors = npt.NDArray[np.float32]


def weighted_mean(vectors: Vectors, weights: npt.NDArray[np.int64], normalised: bool) -> Vectors:
    """float32 [d]: the mean of [n, d] rows, made unit length again in a normalised space.

    >>> weighted_mean(np.float32([[1, 0], [0, 1]]), np.array([3, 1]), normalised=False)
    array([0.75, 0.25], dtype=float32)
    """
    mean = np.average(vectors.astype(np.float64), axis=0, weights=weights)
    norm = float(np.linalg.norm(mean))
    # Opposite vectors may cancel out; the zero vector is then near to nothing, rightly.
    return (mean / norm if normalised and norm > 0 else mean).astype(np.float32)


def all_levels(
    scenes: Sequence[Scene], spans: Sequence[Span], vectors: Vectors, normalised: bool
) -> tuple[list[int], Vectors]:
    """Scene ids and vectors of all levels of one video, from those of its level-0 scenes.

    A scene above level 0 gets the mean of the level-0 scenes below it that have a vector; one
    with none has no row.

    Args:
        scenes: all scenes of the video.
        spans, vectors: the artifact's rows, float32 [n, d].

    Raises:
        StoreError: a row is of no level-0 scene: the artifact belongs to another segmentation.
    """
    by_id = {scene.id: scene for scene in scenes}
    leaves = {scene.span: scene for scene in scenes if scene.level == 0}
    ids: list[int] = []
    below: dict[int, list[int]] = {}
    for row, span in enumerate(spans):
        if span not in leaves:
            raise StoreError(
                f"vectors over {span} belong to no scene of video {scenes[0].video[:12]}"
                if scenes
                else f"vectors over {span} belong to a video without scenes"
            )
        leaf = leaves[span]
        ids.append(leaf.id)
        above = leaf.parent
        while above is not None:
            below.setdefault(above, []).append(row)
            above = by_id[above].parent
    durations = np.array([span.duration for span in spans], dtype=np.int64)
    means = [weighted_mean(vectors[rows], durations[rows], normalised) for rows in below.values()]
    return [*ids, *below], np.vstack([vectors, *means]) if means else vectors
