"""Recall of text-to-clip and clip-to-text retrieval, against chance, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.metrics.intervals import Interval, clustered

KS = (1, 5, 10)

Ints = npt.NDArray[np.intp]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where each pair's own partner stands.

    Attributes:
        ranks: int [pairs], from 1. Other right answers are taken out (two clips of one text do
            not stand in each other's way, as in the loss); a tie counts against.
        candidates: int [pairs]: how many were ranked, the partner included.
    """

    ranks: Ints
    candidates: Ints

    def recall(self, k: int, rows: Ints | slice = slice(None)) -> float:
        """Share of the pairs whose partner is among the best ``k``."""
        return float(np.mean(self.ranks[rows] <= k))

    def chance(self, k: int) -> float:
        """What a random order reaches."""
        return float(np.mean(np.minimum(1, k / self.candidates)))


def rank(scores: Scores, pairs: Ints) -> Ranks:
    """How the rows of ``scores`` find their partners among its columns.

    Args:
        scores: [queries, candidates].
        pairs: int [pairs, 2], (row, column) each; all that belong together.
    """
    right = np.zeros(scores.shape, bool)
    right[tuple(pairs.T)] = True
    own = scores[tuple(pairs.T)]
    ahead = [
        int(np.sum(~(scores[row] < mine) & ~right[row]))  # so that NaN counts against, too
        for row, mine in zip(pairs[:, 0], own, strict=True)
    ]
    others = (~right).sum(axis=1)[pairs[:, 0]]
    return Ranks(np.array(ahead, np.intp) + 1, others.astype(np.intp) + 1)


def reciprocal(scores: Scores, pairs: Ints) -> float:
    """Mean reciprocal rank, of both directions."""
    both = rank(scores, pairs), rank(scores.T, pairs[:, ::-1])
    return float(np.mean([np.mean(1 / found.ranks) for found in both]))


def report(scores: Scores, pairs: Ints, videos: Sequence[str], seed: int) -> dict[str, Any]:
    """Recall of both directions as plain data: interval and chance at each of ``KS``.

    Args:
        scores: [texts, clips].
        pairs: int [pairs, 2], (text, clip) each.
        videos: the video of each pair; the bootstrap draws videos, the candidates stay.
    """
    directions: Mapping[str, Ranks] = {
        "text_to_clip": rank(scores, pairs),
        "clip_to_text": rank(scores.T, pairs[:, ::-1]),
    }
    return {
        name: {
            f"recall@{k}": {
                **_interval(found, k, videos, seed).to_json(),
                "chance": found.chance(k),
            }
            for k in KS
        }
        for name, found in directions.items()
    }


def _interval(found: Ranks, k: int, videos: Sequence[str], seed: int) -> Interval:
    return clustered(lambda rows: found.recall(k, rows), videos, seed=seed)
