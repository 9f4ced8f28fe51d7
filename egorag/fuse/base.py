"""What a fuser is: several rankings of the same scenes into one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, did_you_mean
from egorag.types import Part

if TYPE_CHECKING:
    from egorag.fuse.places import FusedList

Ranking: TypeAlias = Sequence[tuple[int, float]]
"""(scene id, score) pairs, best first: scores never rise, no id twice. Scores of two rankings are
not comparable (an inner product, a BM25 score). A plain one could have named any scene; one that
could not is ``Covered``."""


@dataclass(frozen=True, slots=True)
class Covered(Sequence[tuple[int, float]]):
    """A ranking that tells a scene it ranked low from one it knows nothing of.

    A scene without sound has no place in a ranking by sound, and none at its end either.

    Attributes:
        pairs: (scene id, score), best first.
        known: ids, of all that the rankings beside it name, that it could have named: those it
            has a vector or a text of. It holds all of ``pairs``.
        floor: the score of a known scene that it does not name; at most the last one's.
    """

    pairs: Sequence[tuple[int, float]]
    known: AbstractSet[int]
    floor: float

    @overload
    def __getitem__(self, place: int) -> tuple[int, float]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[int, float]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, float] | Sequence[tuple[int, float]]:
        return self.pairs[place]

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(self.pairs)


@dataclass(frozen=True, slots=True)
class Fused:
    """One scene of the fused list, with the place each ranking gave it."""

    id: int
    score: float
    parts: Mapping[str, Part]

    @property
    def best_rank(self) -> int:
        """The best place any ranking gave it."""
        return min(part.rank for part in self.parts.values())


class Fuser(Protocol):
    """Settings of a way to fuse; a frozen dataclass."""

    def check(self, names: Collection[str]) -> None:
        """Raise ConfigError where a setting names a ranking that ``names`` does not hold."""

    def fuse(self, rankings: Mapping[str, Ranking]) -> FusedList:
        """One list, best first, of every scene that any ranking holds."""


def ranks(ranking: Ranking) -> npt.NDArray[np.int64]:
    """1-based competition ranks, int64 [n]: equal scores share the better rank, the next one skips.

    >>> ranks([(7, 0.9), (3, 0.5), (8, 0.5), (1, 0.2)]).tolist()
    [1, 2, 2, 4]
    """
    scores = np.array([score for _, score in ranking], np.float64)
    before = np.concatenate([scores[:1], scores[:-1]])
    falls = scores <= before
    if not falls.all():
        at = int(falls.argmin())
        scene, score = ranking[at]
        raise ValueError(
            f"a ranking must be best first: {score} of scene {scene} > {ranking[max(at, 1) - 1][1]}"
        )
    if len({scene for scene, _ in ranking}) != len(scores):
        raise ValueError("a ranking holds one scene twice")
    places = np.arange(1, len(scores) + 1)
    places[1:][scores[1:] == before[1:]] = 0
    return np.maximum.accumulate(places)


def check_weights(weights: Mapping[str, float]) -> None:
    """Raise ValueError unless every weight is a number from 0 up."""
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"the weight of {name} must be 0 or more, got {weight}")


def check_names(weights: Mapping[str, float], names: Collection[str]) -> None:
    """Raise ConfigError where ``fuser.weights`` names a ranking that ``names`` does not hold."""
    for name in weights:
        if name not in names:
            raise ConfigError(f"fuser.weights names {name!r}{did_you_mean(name, names)}")
