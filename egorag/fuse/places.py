"""Where several rankings place each of their scenes, and the list that is fused of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from egorag.fuse.base import Covered, Fused, Ranking, ranks
from egorag.types import Part

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Places:
    """The scenes that any of the rankings names, one a column, and a row for each ranking.

    Attributes:
        ids: int64 [scenes], ascending.
        names: of the rankings, ascending.
        ranks: int64 [rankings, scenes]; 0 where a ranking does not name a scene.
        scores: float64 [rankings, scenes]: the floor of a ranking that knows a scene and does not
            name it, NaN of one that does not know it.
    """

    ids: Ints
    names: tuple[str, ...]
    ranks: Ints
    scores: Floats

    @classmethod
    def of(cls, rankings: Mapping[str, Ranking]) -> Places:
        """ValueError where a ranking is not best first or holds a scene twice."""
        names = tuple(sorted(rankings))
        named = [np.array([i for i, _ in rankings[name]], np.int64) for name in names]
        ids = np.unique(np.concatenate([*named, np.empty(0, np.int64)]))
        listed = ids.tolist()
        placed = np.zeros((len(names), len(ids)), np.int64)
        scores = np.full((len(names), len(ids)), np.nan)
        for row, (name, own) in enumerate(zip(names, named, strict=True)):
            ranking = rankings[name]
            told = np.array([score for _, score in ranking], np.float64)
            if isinstance(ranking, Covered):
                known = np.fromiter(map(ranking.known.__contains__, listed), bool, len(listed))
                scores[row, known] = ranking.floor
            else:
                scores[row] = told[-1] if len(told) else 0.0
            columns = np.searchsorted(ids, own)
            placed[row, columns] = ranks(ranking)
            scores[row, columns] = told
        return cls(ids, names, placed, scores)

    @cached_property
    def best(self) -> Ints:
        """int64 [scenes]: the best place any ranking gave it."""
        most = np.iinfo(np.int64).max
        return np.asarray(np.where(self.ranks > 0, self.ranks, most).min(axis=0, initial=most))

    def parts(self, column: int) -> dict[str, Part]:
        """Place and score of one scene, by the rankings that name it."""
        places, scores = self.ranks[:, column].tolist(), self.scores[:, column].tolist()
        told = zip(self.names, places, scores, strict=True)
        return {name: Part(place, score) for name, place, score in told if place}

    def order(self, scores: Floats, ties: Ints | None = None) -> npt.NDArray[np.intp]:
        """Columns, best first; ties by the best single place, then by ``ties`` or the id."""
        return np.lexsort((self.ids if ties is None else ties, self.best, -scores))


@dataclass(frozen=True, eq=False)
class FusedList(Sequence[Fused]):
    """Every scene that any ranking names, best first. An item is made when it is asked for: of
    hundreds, a search shows ten.

    Attributes:
        places: what was fused.
        scores: float64 [scenes], in the order of the columns of ``places``.
        ties: int64 [scenes], likewise: what decides after score and best place; the id if None.
    """

    places: Places
    scores: Floats
    ties: Ints | None = None

    @cached_property
    def columns(self) -> npt.NDArray[np.intp]:
        """Columns of ``places``, best first."""
        return self.places.order(self.scores, self.ties)

    @property
    def ids(self) -> Ints:
        """int64 [scenes], best first."""
        return self.places.ids[self.columns]

    @overload
    def __getitem__(self, place: int) -> Fused: ...
    @overload
    def __getitem__(self, place: slice) -> list[Fused]: ...
    def __getitem__(self, place: int | slice) -> Fused | list[Fused]:
        if isinstance(place, slice):
            return [self._item(column) for column in self.columns[place].tolist()]
        return self._item(int(self.columns[place]))

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def _item(self, column: int) -> Fused:
        id, score = int(self.places.ids[column]), float(self.scores[column])
        return Fused(id, score, self.places.parts(column))
