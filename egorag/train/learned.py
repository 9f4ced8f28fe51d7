"""Fusion with the weights that ``python -m egorag.train fusion`` fitted.

It is a fuser, but lies with what reads trained folders: the fusers are a layer below.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from egorag.errors import ConfigError, StoreError
from egorag.fuse.base import Ranking
from egorag.fuse.places import FusedList
from egorag.fuse.weighted import WeightedScores
from egorag.train.card import read

KIND = "fusion"
WEIGHTS = "weights"


@dataclass(frozen=True)
class LearnedWeights:
    """Weighted scores with fitted weights and the normalisation that went best with them.

    Weights hold for the rankings they were fitted beside: a search that lacks one with a weight,
    or has one they were not fitted with, is refused.

    Attributes:
        card: the folder that the training wrote; read when first needed.
    """

    card: str = ""

    def __post_init__(self) -> None:
        if not self.card:
            raise ValueError("card is missing; give fuser.card=FOLDER of egorag.train fusion")

    @functools.cached_property
    def weighted(self) -> WeightedScores:
        """The fuser that was fitted.

        Raises:
            ConfigError: nothing fitted lies there.
            StoreError: it is damaged.
        """
        card, tensors = read(Path(self.card), KIND)
        try:
            values = tensors[WEIGHTS].tolist()
            weights = dict(zip(card.model["names"], values, strict=True))
            return WeightedScores(card.model["normalise"], weights)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self.card!r} is damaged ({error}); train again") from error

    def check(self, names: Collection[str]) -> None:
        self._demand(names)

    def fuse(self, rankings: Mapping[str, Ranking]) -> FusedList:
        self._demand(rankings)
        for name in rankings:
            if name not in self.weighted.weights:
                raise self._refusal(f"was fitted without the ranking {name!r}", rankings)
        return self.weighted.fuse(rankings)

    def _demand(self, names: Collection[str]) -> None:
        for name, weight in self.weighted.weights.items():
            if weight > 0 and name not in names:
                raise self._refusal(f"was fitted with the ranking {name!r}", names)

    def _refusal(self, why: str, names: Collection[str]) -> ConfigError:
        return ConfigError(
            f"fuser.card={self.card} {why}, and this search has {', '.join(sorted(names))}; its "
            f"weights hold for {', '.join(self.weighted.weights)} of a query by text. Choose the "
            "same (without=[...]), fit anew (python -m egorag.train fusion), or take fuser=weighted"
        )
