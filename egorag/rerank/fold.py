"""Scenes that are nearly the same: shown once, with a count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from egorag.chat.settings import check_whole
from egorag.rerank.likeness import cosines
from egorag.rerank.texts import readable
from egorag.store.folder import IndexFolder
from egorag.types import Hit, Query


@dataclass(frozen=True, kw_only=True)
class Folding:
    """What all selectors have in common.

    Attributes:
        fold: scenes whose cosine is at least this in every encoder that has both, or whose texts
            are equal, are shown once, as the best of them; 0.97 or so. None shows all.
        candidates: how many of the best hits are chosen from.
    """

    fold: float | None = None
    candidates: int = 50

    def __post_init__(self) -> None:
        check_whole(self, candidates=1)
        if self.fold is not None and not 0 < self.fold <= 1:
            raise ValueError(f"fold must be a cosine above 0 and at most 1, got {self.fold}")

    def pool(self, query: Query, hits: Sequence[Hit], folder: IndexFolder, k: int) -> list[Hit]:
        """The candidates, without those that are nearly the same as a better one, which counts
        them; ``candidates`` of ``hits``, or ``k`` if that is more."""
        best = hits[: max(k, self.candidates)]
        if self.fold is None or len(best) < 2:
            return list(best)
        texts = readable(query, best, folder.catalog)
        said = [texts[hit.scene.id] for hit in best]
        return fold(best, same(cosines(best, folder), said, self.fold))


def same(
    by_encoder: Mapping[str, npt.NDArray[np.float64]], texts: Sequence[str], threshold: float
) -> npt.NDArray[np.bool_]:
    """bool [n, n]: which two scenes are nearly the same.

    Args:
        by_encoder: cosines float64 [n, n], NaN where a scene has no vector.
        texts: of each scene; two empty ones say nothing.
    """
    count = len(texts)
    alike, compared = np.ones((count, count), bool), np.zeros((count, count), bool)
    for values in by_encoder.values():
        there = ~np.isnan(values)
        # A vector and its copy can come to a hair below 1.
        alike &= ~there | (values >= threshold - 1e-6)
        compared |= there
    equal = [[bool(a) and a == b for b in texts] for a in texts]
    return np.asarray((alike & compared) | np.array(equal, bool).reshape(count, count))


def fold(hits: Sequence[Hit], alike: npt.NDArray[np.bool_]) -> list[Hit]:
    """The hits that are alike to no better one that is kept; each counts those it stands for.

    Being nearly the same is not passed on: A may be alike to B and B to C, but not A to C.
    """
    kept: list[int] = []
    similar = [hit.similar for hit in hits]
    for i, hit in enumerate(hits):
        first = next((j for j in kept if alike[i, j]), None)
        if first is None:
            kept.append(i)
        else:
            similar[first] += 1 + hit.similar
    return [replace(hits[i], similar=similar[i]) for i in kept]
