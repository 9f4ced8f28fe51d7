"""What a fuser is: several rankings of the same scenes into one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from egorag.types import Part

Ranking: TypeAlias = Sequence[tuple[int, float]]
"""(scene id, score) pairs, best first: scores never rise, no id twice. Scores of two rankings are
not comparable (an inner product, a BM25 score)."""


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

    def fuse(self, rankings: Mapping[str, Ranking]) -> list[Fused]:
        """One list, best first, of every scene that any ranking holds."""


def ranks(ranking: Ranking) -> list[int]:
    """1-based competition ranks: equal scores share the better rank, the next one skips.

    >>> ranks([(7, 0.9), (3, 0.5), (8, 0.5), (1, 0.2)])
    [1, 2, 2, 4]
    """
    found: list[int] = []
    for position, (scene, score) in enumerate(ranking, start=1):
        before = ranking[position - 2][1] if position > 1 else score
        if not score <= before:
            raise ValueError(f"a ranking must be best first: {score} of scene {scene} > {before}")
        found.append(found[-1] if position > 1 and score == before else position)
    if len({scene for scene, _ in ranking}) != len(found):
        raise ValueError("a ranking holds one scene twice")
    return found
