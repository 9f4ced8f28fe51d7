"""Chunk-adaptive evidence with the scorer that ``python -m egorag.train evidence`` fitted.

It is a strategy, but lies with what reads trained folders: the strategies are layers below.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from egorag.errors import ConfigError, StoreError
from egorag.retrieve.adaptive import Adaptive, Told
from egorag.retrieve.retriever import QueryVectors, Retriever
from egorag.train.card import read
from egorag.train.scorer import FEATURES, Scorer
from egorag.types import LEVELS, Query

KIND = "evidence"
WEIGHTS = "weights"


@dataclass(frozen=True, kw_only=True)
class LearnedAdaptive(Adaptive):
    """As ``Adaptive``, but configurations are compared by fitted log odds of being an answer.

    A configuration it was not fitted with is refused; ``widest`` must be that of the training.

    Attributes:
        card: the folder that the training wrote; read when first needed.
    """

    card: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.card:
            raise ValueError("card is missing; give strategy.card=FOLDER of egorag.train evidence")

    @functools.cached_property
    def scorer(self) -> Scorer:
        """The scorer that was fitted.

        Raises:
            ConfigError: nothing fitted lies there.
            StoreError: it is damaged.
        """
        card, tensors = read(Path(self.card), KIND)
        try:
            names, weights = tuple(card.model["names"]), tensors[WEIGHTS].astype(np.float64)
        except (KeyError, TypeError) as error:
            raise StoreError(f"{self.card!r} is damaged ({error}); train again") from error
        if weights.shape != (len(names), len(FEATURES) + 1):
            raise StoreError(f"{self.card!r} is damaged (shape {weights.shape}); train again")
        return Scorer(names, weights)

    def told(self, query: Query, vectors: QueryVectors, retriever: Retriever) -> Told:
        told = scales(query, vectors, retriever, self.widest)
        first = told[FEATURES[0]]
        names = called(first)
        for name in names:
            if name not in self.scorer.names:
                raise ConfigError(
                    f"strategy.card={self.card} was fitted without {name!r}, only with "
                    f"{', '.join(self.scorer.names)}. Choose the same (without=[...], "
                    "strategy.widest), fit anew (python -m egorag.train evidence), or take "
                    "strategy=adaptive"
                )
        return replace(first, values=self.scorer.odds(told, names))


def scales(
    query: Query, vectors: QueryVectors, retriever: Retriever, widest: str
) -> Mapping[str, Told]:
    """What every configuration says, on each scale; belongs into a snapshot."""
    return {
        scale: Adaptive(widest=widest, normalise=scale).told(query, vectors, retriever)
        for scale in FEATURES
    }


def called(told: Told) -> Sequence[str]:
    """The configurations by name, as ``LEVEL/RANKING``."""
    return [f"{LEVELS[level]}/{ranking}" for level, ranking in told.configurations]
