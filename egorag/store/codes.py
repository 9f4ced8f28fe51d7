"""Codes of vectors, an eighth to a sixteenth of their size, that propose candidates quickly.

Pairs of dimensions are coded in 4 bits each (product quantisation; Jégou et al., 2011) and scanned
by SIMD table look-up (André et al., Quicker ADC, 2019): all codes, with no list skipped, so that
spread-out vectors are found as well as clustered ones. How many candidates are needed is measured
on the index itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.store.scope import Int64s
from egorag.store.vector_rows import Floats, VectorRows, load_faiss

Mask = npt.NDArray[np.bool_]

GOALS = {10: 0.985, 100: 0.95, 300: 0.95}
"""Least recall@k that the measured number of candidates must reach, for every kind of query."""

LEAST_ROWS = 1000
"""Fewer are not worth coding: 16 centroids of each pair of dimensions are learned from them."""

_QUERIES = 32  # of each kind
_IN_A_MEAN = 32
_CHOICES = [2**i for i in range(8, 15)]  # numbers of candidates: 256 to 16,384
_STEP = 32_768  # rows read at a time
_SAMPLE = 16_384  # rows that the centroids are learned from


@dataclass(frozen=True)
class Tuned:
    """What was measured on an index against exact search.

    Attributes:
        above: scopes of more scenes than this are searched by codes first.
        wanted: by k, how many candidates are scored exactly; None where no number of them is
            enough, so that every search is exact.
        recall: recall@k by k, with so many candidates, of the kind of query found worst.
        queries: how many queries were asked.
    """

    above: int
    wanted: dict[int, int] | None
    recall: dict[int, float]
    queries: int

    def candidates(self, k: int) -> int:
        """How many are to be scored for the best ``k``; beyond what was measured, in proportion."""
        assert self.wanted is not None
        enough = [number for goal, number in sorted(self.wanted.items()) if goal >= k]
        most = max(self.wanted)
        return enough[0] if enough else self.wanted[most] * -(-k // most)

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Tuned:
        """What ``to_json`` gave."""
        data = json.loads(text)
        recall = {int(k): share for k, share in data["recall"].items()}
        wanted = data["wanted"] and {int(k): number for k, number in data["wanted"].items()}
        return cls(**{**data, "recall": recall, "wanted": wanted})


def encode(rows: VectorRows) -> Any:
    """faiss.IndexPQFastScan over all rows, in their order."""
    faiss = load_faiss()
    count, dim = rows.vectors.shape
    metric = faiss.METRIC_INNER_PRODUCT if rows.normalised else faiss.METRIC_L2
    codes = faiss.IndexPQFastScan(dim, dim // 2 if dim % 2 == 0 else dim, 4, metric)
    sample = np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)
    codes.train(rows.vectors[sample])
    for start in range(0, count, _STEP):
        codes.add(np.ascontiguousarray(rows.part(start, min(start + _STEP, count))))
    return codes


def candidates(codes: Any, query: Floats, seen: Mask, want: int) -> Int64s:
    """Rows that score best by their codes: the best ``want`` of those seen, or all there are.

    FAISS cannot pass rows over in such a scan, so more are asked for until enough are seen.
    """
    total = len(seen)
    share = max(int(np.count_nonzero(seen)) / total, 1 / total)
    ask = min(total, math.ceil(1.2 * want / share))
    while True:
        found = codes.search(np.ascontiguousarray(query[None]), ask)[1][0]
        inside = found[seen[found.clip(min=0)] & (found >= 0)]
        if len(inside) >= want or ask == total:
            return np.asarray(inside[:want])
        ask = min(total, 4 * ask)


def tune(codes: Any, rows: VectorRows, leaves: Mask, above: int) -> Tuned:
    """Measure how many candidates are needed, by exact search.

    Args:
        leaves: bool [n], rows of level 0. Searches among them alone and among all rows are
            measured: means lie elsewhere in the space than what they are means of.
    """
    queries, own = _queries(rows)
    most = min(_CHOICES[-1], len(rows))
    places: list[Int64s] = []  # of the true best in the order of the codes, by kind of query
    among = leaves, np.ones(len(rows), bool)
    for seen, truth in zip(among, _exact(rows, queries, own, among, max(GOALS)), strict=True):
        for i, query in enumerate(queries):
            found = candidates(codes, query, seen, most + 1)
            found = found[found != own[i]][:most]
            order = np.full(len(rows), most, np.int64)
            order[found] = np.arange(len(found))
            places.append(order[truth[i]])
    kinds: npt.NDArray[np.int64] = np.stack(places).reshape((-1, _QUERIES, max(GOALS)))
    choices = [c for c in _CHOICES if c <= most] or [most]
    wanted: dict[int, int] = {}
    recall: dict[int, float] = {}
    for k, goal in GOALS.items():
        for choice in choices:
            recall[k] = float((kinds[:, :, :k] < choice).mean(axis=(1, 2)).min())
            if recall[k] >= goal and choice >= max(wanted.values(), default=0):
                wanted[k] = choice
                break
    return Tuned(above, wanted if len(wanted) == len(GOALS) else None, recall, len(queries))


def _queries(rows: VectorRows) -> tuple[Floats, Int64s]:
    """Queries to tune with, float32 [4 * _QUERIES, d], and the row each one is itself, or -1.

    Rows of the index (more like this), rows mixed with as much noise (near the data), random
    directions (off the data, as vectors of texts are in a space of pictures), and means of rows
    (as far from one as from another).
    """
    dice = np.random.default_rng(0)
    chosen = np.sort(dice.choice(len(rows), 2 * _QUERIES, replace=False))
    near = np.concatenate([rows.part(place, place + 1) for place in chosen.tolist()])
    centre = 0 if rows.normalised else near.mean(axis=0)
    noise = dice.standard_normal((2 * _QUERIES, near.shape[1])).astype(np.float32)
    spread = np.sqrt(np.square(near - centre).sum(axis=1).mean())
    noise *= spread / np.linalg.norm(noise, axis=1, keepdims=True)
    mixed = near[1::2] + noise[::2]
    off = noise[1::2] + centre
    means = near[dice.integers(0, len(near), (_QUERIES, _IN_A_MEAN))].mean(axis=1)
    queries = np.concatenate([near[::2], mixed, off, means]).astype(np.float32)
    if rows.normalised:
        queries /= np.linalg.norm(queries, axis=1, keepdims=True).clip(min=1e-30)
    own = np.full(len(queries), -1)
    own[:_QUERIES] = chosen[::2]
    return queries, own


def _exact(
    rows: VectorRows, queries: Floats, own: Int64s, among: Sequence[Mask], k: int
) -> list[Int64s]:
    """For each mask the best ``k`` of its rows for each query, but the row that is the query
    itself: int64 [q, k], best first."""
    best = [np.full((len(queries), k), -np.inf, np.float32) for _ in among]
    places = [np.full((len(queries), k), -1, np.int64) for _ in among]
    everyone = np.arange(len(queries))
    for start in range(0, len(rows), _STEP):
        part = rows.part(start, min(start + _STEP, len(rows)))
        scores = queries @ part.T
        if not rows.normalised:
            scores -= np.square(part).sum(axis=1) / 2
        mine = (own >= start) & (own < start + len(part))
        scores[everyone[mine], own[mine] - start] = -np.inf
        numbers = np.broadcast_to(np.arange(start, start + len(part)), scores.shape)
        for i, seen in enumerate(among):
            allowed = np.where(seen[start : start + len(part)], scores, -np.inf)
            both = np.concatenate([best[i], allowed], axis=1)
            top = np.argpartition(-both, k - 1, axis=1)[:, :k]
            best[i] = np.take_along_axis(both, top, axis=1)
            numbered = np.concatenate([places[i], numbers], axis=1)
            places[i] = np.take_along_axis(numbered, top, axis=1)
    orders = [np.argsort(-scores, axis=1, kind="stable") for scores in best]
    return [np.take_along_axis(p, order, axis=1) for p, order in zip(places, orders, strict=True)]
