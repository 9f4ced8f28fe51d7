"""Weights of rankings, fitted on judged queries, and what they are worth on queries not seen.

Coordinate ascent on the very measure that is reported (Metzler and Croft, "Linear feature-based
models for information retrieval", Information Retrieval 10, 2007): one ranking's weight at a time
is tried over a few powers of two, and kept where the mean nDCG of the queries rises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.fuse.base import Ranking
from egorag.fuse.pool import SCALES, Pool
from egorag.fuse.weighted import WeightedScores
from egorag.metrics.intervals import clustered
from egorag.metrics.ranking import ndcg

GRID = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LEAST_GAIN = 1e-6

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Fitting:
    """How weights are fitted.

    Attributes:
        k: nDCG is of the first k scenes.
        folds: of the cross-validation, dealt by query.
        rounds: through all weights, at most.
        seed: of the folds and of the bootstrap.
    """

    k: int = 10
    folds: int = 5
    rounds: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("k", 1), ("folds", 2), ("rounds", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")


@dataclass(frozen=True)
class Example:
    """A query, its rankings (every example has the same names), and the grades of scenes (some
    above 0)."""

    query: str
    rankings: Mapping[str, Ranking]
    grades: Mapping[int, float]


@dataclass(frozen=True)
class Weights:
    """What is fitted: a normalisation and a weight each, the highest 1."""

    normalise: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Fitted:
    """Weights from all queries; those of each fold; and how well the folds' do on the others."""

    chosen: Weights
    folds: tuple[Weights, ...]
    scores: Mapping[str, Any]


def fit(examples: Sequence[Example], fitting: Fitting) -> Fitted:
    """Fit on all examples, and on all but one fold each to score the rest.

    The folds deal queries by their text, so that no query is both learned from and tested on.
    """
    table = _Table(examples, fitting.k)
    texts = sorted({example.query for example in examples})
    dealt = np.random.default_rng(fitting.seed).permutation(len(texts)) % fitting.folds
    fold_of = dict(zip(texts, dealt.tolist(), strict=True))
    fold = np.array([fold_of[example.query] for example in examples])
    folds = []
    learned = np.empty(len(examples))
    for number in range(fitting.folds):
        chosen = table.climb(np.flatnonzero(fold != number), fitting.rounds)
        rest = fold == number
        learned[rest] = table.scores(*chosen)[rest]
        folds.append(table.weights(*chosen))
    every = table.climb(np.arange(len(examples)), fitting.rounds)
    plain = WeightedScores()
    unfitted = np.array(
        [ndcg([f.id for f in plain.fuse(e.rankings)], e.grades, fitting.k) for e in examples]
    )
    queries = [example.query for example in examples]

    def interval(values: Floats) -> dict[str, Any]:
        return clustered(
            lambda rows: float(values[rows].mean()), queries, seed=fitting.seed
        ).to_json()

    measured = {"learned": learned, "weighted": unfitted, "difference": learned - unfitted}
    scores = {name: interval(values) for name, values in measured.items()}
    scores["on_what_it_was_fitted_on"] = {"value": float(table.scores(*every).mean())}
    return Fitted(table.weights(*every), tuple(folds), {f"ndcg@{fitting.k}": scores})


class _Table:
    """nDCG of every example by normalisation and weights, computed once."""

    def __init__(self, examples: Sequence[Example], k: int) -> None:
        self._examples = examples
        self._k = k
        self._names = sorted(examples[0].rankings)
        self._pools: dict[tuple[str, tuple[str, ...]], list[Pool]] = {}
        self._scores: dict[tuple[str, tuple[float, ...]], Floats] = {}

    def weights(self, normalise: str, weights: tuple[float, ...]) -> Weights:
        return Weights(normalise, dict(zip(self._names, weights, strict=True)))

    def scores(self, normalise: str, weights: tuple[float, ...]) -> Floats:
        """float64 [examples]."""
        key = normalise, weights
        if key not in self._scores:
            # As WeightedScores: a weight of 0 takes the ranking's scenes out of the pool, too.
            counted = tuple(n for n, w in zip(self._names, weights, strict=True) if w > 0)
            factors = np.array([w for w in weights if w > 0], np.float64)
            found = []
            pools = self._pools_of(normalise, counted)
            for example, pool in zip(self._examples, pools, strict=True):
                order = pool.places.order(pool.blend(factors))[: self._k]
                found.append(ndcg(pool.places.ids[order].tolist(), example.grades, self._k))
            self._scores[key] = np.array(found)
        return self._scores[key]

    def climb(self, rows: Rows, rounds: int) -> tuple[str, tuple[float, ...]]:
        """The best normalisation and weights for the examples ``rows``."""
        found = [self._climb(normalise, rows, rounds) for normalise in SCALES]
        return max(found, key=lambda chosen: float(self.scores(*chosen)[rows].mean()))

    def _climb(self, normalise: str, rows: Rows, rounds: int) -> tuple[str, tuple[float, ...]]:
        weights = (1.0,) * len(self._names)
        best = float(self.scores(normalise, weights)[rows].mean())
        for _ in range(rounds):
            before = weights
            for place in range(len(weights)):
                for value in GRID:
                    tried = _scaled((*weights[:place], value, *weights[place + 1 :]))
                    score = float(self.scores(normalise, tried)[rows].mean()) if any(tried) else 0
                    if score > best + LEAST_GAIN:
                        weights, best = tried, score
            if weights == before:
                break
        return normalise, weights

    def _pools_of(self, normalise: str, counted: tuple[str, ...]) -> list[Pool]:
        key = normalise, counted
        if key not in self._pools:
            self._pools[key] = [
                Pool.of({name: e.rankings[name] for name in counted}, normalise)
                for e in self._examples
            ]
        return self._pools[key]


def _scaled(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Only ratios count: the highest is 1. Powers of two stay exact."""
    most = max(weights)
    return tuple(weight / most for weight in weights) if most else weights
