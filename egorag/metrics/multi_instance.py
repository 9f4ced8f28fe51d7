"""Multi-instance retrieval of EPIC-KITCHENS-100: graded relevancy, mAP and nDCG of each query.

Damen et al., "Rescaling Egocentric Vision" (IJCV 2022), section 4.4, on Wray et al., "On semantic
similarity in video retrieval" (CVPR 2021): a clip and a sentence are relevant to each other by
half for the same verb and half for the nouns they share. As in the official code, average precision
is the mean relevancy down to each wholly relevant one, averaged over these; nDCG counts every
grade, down to as many ranks as there are grades above 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.metrics.ranking import Floats, discounts

Ints = npt.NDArray[np.intp]
Matrix = npt.NDArray[np.floating]

_CELLS = 1 << 20
"""Cells that are sorted together: bounds the memory above the two matrices given."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Of each query, in 0..1: average precision and nDCG, float [queries]."""

    average_precision: Floats
    ndcg: Floats


def relevancy(
    verbs: Ints,
    nouns: Sequence[Collection[int]],
    other_verbs: Ints,
    other_nouns: Sequence[Collection[int]],
) -> Floats:
    """Half for the same verb class, half the IoU of the noun classes: float64 [rows, columns].

    Args:
        verbs, other_verbs: the verb class of each row (clip) and column (sentence).
        nouns, other_nouns: their noun classes; one at least.

    Raises:
        ValueError: lengths disagree, or a row or column without nouns.

    >>> relevancy(np.array([0, 1]), [{2}, {2, 3}], np.array([0]), [{2}])
    array([[1.  ],
           [0.25]])
    """
    if len(verbs) != len(nouns) or len(other_verbs) != len(other_nouns):
        raise ValueError("expected as many verbs as sets of nouns")
    width = 1 + max((n for held in (*nouns, *other_nouns) for n in held), default=0)
    rows, columns = _marked(nouns, width), _marked(other_nouns, width)
    shared = (rows @ columns.T).astype(np.float64)
    either = rows.sum(1)[:, None] + columns.sum(1)[None, :] - shared
    shared /= either
    shared += np.asarray(verbs)[:, None] == np.asarray(other_verbs)[None, :]
    shared /= 2
    return shared


def score(similarity: Matrix, relevancy: Matrix) -> Scored:
    """How each row finds its columns; for the other direction give both matrices transposed.

    Equal similarities are in no order: a tie is worth the mean over its orders, as in ``ties.py``,
    so a model that says the same of everything is as good as chance, whatever the order of files.

    Args:
        similarity: [queries, candidates], higher is nearer.
        relevancy: [queries, candidates], in 0..1.

    Raises:
        ValueError: shapes disagree, a similarity is NaN, a relevancy lies outside 0..1, or a query
            has nothing of relevancy 1.
    """
    if similarity.ndim != 2 or similarity.shape != relevancy.shape:
        raise ValueError(
            "expected similarity and relevancy [queries, candidates], got "
            f"{similarity.shape} and {relevancy.shape}"
        )
    parts = [_block(similarity[rows], relevancy[rows]) for rows in _blocks(*similarity.shape)]
    precisions, gains = zip(*parts, strict=True) if parts else ([np.zeros(0)], [np.zeros(0)])
    return Scored(np.concatenate(precisions), np.concatenate(gains))


def _marked(sets: Sequence[Collection[int]], width: int) -> npt.NDArray[np.float32]:
    marks = np.zeros((len(sets), width), np.float32)
    for row, held in enumerate(sets):
        if not held:
            raise ValueError(f"entry {row} has no nouns; its relevancy is not defined")
        marks[row, list(held)] = 1
    return marks


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _CELLS // max(columns, 1))
    for first in range(0, rows, step):
        yield slice(first, first + step)


def _block(similarity: Matrix, relevancy: Matrix) -> tuple[Floats, Floats]:
    """Average precision and nDCG, float [queries] each."""
    if np.isnan(similarity).any():
        raise ValueError("similarity holds NaN; nothing can be ranked by it")
    if not ((relevancy >= 0) & (relevancy <= 1)).all():
        raise ValueError("relevancy must lie in 0..1")
    order = np.argsort(-similarity, axis=1)
    ranked = np.take_along_axis(-similarity, order, 1)
    gains = np.take_along_axis(relevancy, order, 1).astype(np.float64)
    tied = bool((ranked[:, 1:] == ranked[:, :-1]).any())
    whole = (gains == 1).astype(np.float64)
    total = whole.sum(1)
    if not total.all():
        raise ValueError("a query has nothing of relevancy 1; leave it out, and count it")
    ranks = np.arange(1, gains.shape[1] + 1)
    if tied:
        start, size = _runs(ranked)
        chance, together = _sums(whole, start, size) / size, _sums(gains, start, size)
        # A whole one at its place, those before its run, and of its run what lots put before it.
        others = (ranks - 1 - start) * (together - 1) / np.maximum(size - 1, 1)
        precise = chance * (_sums(gains, None, start) + 1 + others) / ranks
        gains = together / size
    else:
        precise = whole * np.cumsum(gains, 1) / ranks
    held = np.sort(relevancy, axis=1)[:, ::-1].astype(np.float64)
    worth = discounts(gains.shape[1]) * (held > 0)
    return precise.sum(1) / total, (gains * worth).sum(1) / (held * worth).sum(1)


def _runs(ranked: Matrix) -> tuple[Ints, Ints]:
    """Of each place [rows, places]: where its run of equal scores starts, and how long it is."""
    places = np.arange(ranked.shape[1])
    new = np.ones(ranked.shape, bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    start = np.maximum.accumulate(np.where(new, places, 0), axis=1)
    last = np.ones(ranked.shape, bool)
    last[:, :-1] = new[:, 1:]
    ends = np.where(last, places + 1, ranked.shape[1])
    end = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return start, end - start


def _sums(values: Floats, start: Ints | None, size: Ints) -> Floats:
    """The sum of ``size`` values from ``start`` (0 where None) on, for each place."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, 1)], axis=1)
    first = np.zeros_like(size) if start is None else start
    return np.asarray(
        np.take_along_axis(sums, first + size, 1) - np.take_along_axis(sums, first, 1)
    )
