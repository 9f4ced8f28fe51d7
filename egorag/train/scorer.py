"""A scorer of configurations, fitted on judged queries: how likely is a chunk an answer, from what
one ranking at one level says of it.

For each configuration a logistic regression over the three scales of its score, by Newton's
method. What several configurations say is then compared, and averaged, as log odds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from egorag.fuse.pool import SCALES, Floats
from egorag.metrics.intervals import clustered
from egorag.metrics.ranking import ndcg
from egorag.retrieve.adaptive import Told
from egorag.store.scope import Int64s

FEATURES = tuple(SCALES)
CHUNKS = 200
"""Chunks of a query that count: the best by each configuration."""


@dataclass(frozen=True)
class Scoring:
    """How the scorer is fitted.

    Attributes:
        k: nDCG is of the first k chunks.
        folds: of the cross-validation, dealt by query.
        ridge: weight of the sum of squares of all weights beside the log loss.
        seed: of the folds and of the bootstrap.
    """

    k: int = 10
    folds: int = 5
    ridge: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("k", 1), ("folds", 2), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        if not 0 < self.ridge < float("inf"):
            raise ValueError(f"ridge must be a number above 0, got {self.ridge!r}")


@dataclass(frozen=True, eq=False)
class Example:
    """A query and what is said of its chunks.

    Attributes:
        told: by scale, all of the same configurations and chunks.
        ids: int64 [chunks].
        grades: by id.
    """

    query: str
    told: Mapping[str, Told]
    ids: Int64s
    grades: Mapping[int, float]

    @classmethod
    def of(
        cls, query: str, told: Mapping[str, Told], ids: Int64s, grades: Mapping[int, float]
    ) -> Example:
        """With the best ``CHUNKS`` by each configuration alone."""
        by_z = np.nan_to_num(told["z"].values, nan=-np.inf)
        best = np.unique(np.argsort(-by_z, axis=1, kind="stable")[:, :CHUNKS])
        fewer = {
            scale: replace(
                of,
                rows=of.rows[best],
                above=of.above[:, best],
                values=of.values[:, best],
                parts={},
            )
            for scale, of in told.items()
        }
        return cls(query, fewer, ids[best], grades)


@dataclass(frozen=True, eq=False)
class Scorer:
    """Log odds that a chunk is an answer.

    Attributes:
        names: configurations, as ``LEVEL/RANKING``.
        weights: float64 [configurations, features + 1], the intercept last.
    """

    names: tuple[str, ...]
    weights: Floats

    def odds(self, told: Mapping[str, Told], names: Sequence[str]) -> Floats:
        """float64 [configurations, chunks]; NaN where one has no say.

        Args:
            names: of the configurations of ``told``, each one of its own.
        """
        scales = np.stack([told[feature].values for feature in FEATURES], axis=1)
        weights = self.weights[[self.names.index(name) for name in names]]
        return np.asarray(np.einsum("cf,cfn->cn", weights[:, :-1], scales) + weights[:, -1:])


def fit(
    examples: Sequence[Example], names: Sequence[str], scoring: Scoring
) -> tuple[Scorer, dict[str, Any]]:
    """The scorer of all examples, and how well those of all folds but one do on the rest, beside
    the strategy without training; intervals over queries."""
    texts = sorted({example.query for example in examples})
    dealt = np.random.default_rng(scoring.seed).permutation(len(texts)) % scoring.folds
    fold_of = dict(zip(texts, dealt.tolist(), strict=True))
    fold = np.array([fold_of[example.query] for example in examples])

    def fitted(chosen: Sequence[int]) -> Scorer:
        weights = [_fitted([examples[i] for i in chosen], c, scoring) for c in range(len(names))]
        return Scorer(tuple(names), np.array(weights))

    def measured(example: Example, values: Floats) -> float:
        first = example.told[FEATURES[0]]
        scores = Told(first.configurations, first.rows, first.above, values, {}).scores
        order = np.lexsort((example.ids, -scores))[: scoring.k]
        return ndcg(example.ids[order].tolist(), example.grades, scoring.k)

    learned = np.empty(len(examples))
    for number in range(scoring.folds):
        held_out = np.flatnonzero(fold == number).tolist()
        scorer = fitted(np.flatnonzero(fold != number).tolist())
        for i in held_out:
            learned[i] = measured(examples[i], scorer.odds(examples[i].told, names))
    plain = np.array([measured(e, e.told["z"].values) for e in examples])
    queries = [example.query for example in examples]

    def interval(values: Floats) -> dict[str, Any]:
        def mean(chosen: Any) -> float:
            return float(values[chosen].mean())

        return clustered(mean, queries, seed=scoring.seed).to_json()

    compared = {"learned": learned, "untrained": plain, "difference": learned - plain}
    scores = {name: interval(values) for name, values in compared.items()}
    return fitted(range(len(examples))), {f"ndcg@{scoring.k}": scores}


def logistic(inputs: Floats, labels: Floats, ridge: float) -> Floats:
    """float64 [d]: the weights that minimise the log loss over rows float64 [n, d] with labels
    0 or 1, plus ``ridge / 2`` times their sum of squares."""

    def loss(weights: Floats) -> float:
        odds = inputs @ weights
        return float(np.logaddexp(0, odds).sum() - labels @ odds + ridge / 2 * (weights @ weights))

    weights = np.zeros(inputs.shape[1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ weights, -500, 500)))
        slope = inputs.T @ (chance - labels) + ridge * weights
        bend = (inputs * (chance * (1 - chance))[:, None]).T @ inputs
        step = np.linalg.solve(bend + ridge * np.eye(len(weights)), slope)
        before = loss(weights)
        while loss(weights - step) > before and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def _fitted(examples: Sequence[Example], configuration: int, scoring: Scoring) -> Floats:
    """float64 [features + 1]: the weights of one configuration."""
    inputs, labels = [], []
    for example in examples:
        scales = [example.told[feature].values[configuration] for feature in FEATURES]
        says = ~np.isnan(scales[0])
        inputs.append(np.stack([*scales, np.ones(len(says))], axis=1)[says])
        right = [example.grades.get(id, 0.0) > 0 for id in example.ids.tolist()]
        labels.append(np.array(right, np.float64)[says])
    return logistic(np.concatenate(inputs), np.concatenate(labels), scoring.ridge)
