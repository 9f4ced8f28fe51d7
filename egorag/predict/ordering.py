"""Putting shuffled segments in order by how well each follows on the one before.

Unproven on general video: within one place and action the predictor may tell before from after; of
two scenes that share nothing it cannot. The result says what the order given would have cost, and
what one drawn by chance costs on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from egorag.encode.vjepa2 import TUBELET
from egorag.errors import ConfigError
from egorag.predict.clips import Clip
from egorag.predict.energy import energy
from egorag.predict.predictor import Predictor

EXACT = 12
"""Segments up to which the best of all orders is found: n^2 2^n steps."""


@dataclass(frozen=True, eq=False)
class Order:
    """Segments in the order found.

    Attributes:
        positions: of the segments given, the first to come first.
        costs: float64 [n, n]; energy of segment j after segment i.
        exact: whether no order is cheaper; else each was followed by the nearest left.
    """

    positions: tuple[int, ...]
    costs: npt.NDArray[np.float64]
    exact: bool

    @property
    def cost(self) -> float:
        """Mean energy of the transitions."""
        return path_cost(self.costs, self.positions)

    @property
    def cost_as_given(self) -> float:
        """That of the order given."""
        return path_cost(self.costs, range(len(self.costs)))

    @property
    def cost_by_chance(self) -> float:
        """The mean over all orders: that of all pairs."""
        apart = ~np.eye(len(self.costs), dtype=bool)
        return float(self.costs[apart].mean())

    def __str__(self) -> str:
        how = "the best of all" if self.exact else "greedy"
        return (
            f"order {', '.join(map(str, self.positions))} ({how}): mean energy {self.cost:.4f}, "
            f"as given {self.cost_as_given:.4f}, by chance {self.cost_by_chance:.4f}"
        )


def order(predictor: Predictor, segments: Sequence[Clip], seconds: float = 1.0) -> Order:
    """Order segments so that each goes on as the one before predicts; n (n - 1) judgements.

    Args:
        seconds: how much of each segment's beginning is judged, at most; the same of all, as
            much as the shortest has, so that energies can be compared.

    Raises:
        ConfigError: fewer than two segments, or one too short for a context.
        MediaError: a clip cannot be read.
    """
    if len(segments) < 2:
        raise ConfigError(f"ordering needs two segments or more, got {len(segments)}")
    shown = [list(predictor.pictures(segment)) for segment in segments]
    steps = min(predictor.steps(seconds), min(map(len, shown)) // TUBELET)
    contexts = [predictor.context(before, steps) for before in shown]  # refuses before it computes
    costs = np.zeros((len(shown), len(shown)))
    for i, context in enumerate(contexts):
        predicted, _ = predictor.ahead(context, steps)
        for j, after in enumerate(shown):
            if i != j:
                came = predictor.came(context, after[: steps * TUBELET])
                costs[i, j] = energy(predicted, came)
    exact = len(shown) <= EXACT
    return Order(best_path(costs) if exact else greedy_path(costs), costs, exact)


def path_cost(costs: npt.NDArray[np.float64], path: Sequence[int]) -> float:
    """Mean cost of the transitions along ``path``."""
    return float(np.mean([costs[i, j] for i, j in pairwise(path)]))


def best_path(costs: npt.NDArray[np.float64]) -> tuple[int, ...]:
    """The cheapest order of all (Held & Karp, 1962); the first in lexical order of equals.

    >>> best_path(np.array([[0.0, 9.0, 1.0], [1.0, 0.0, 9.0], [9.0, 9.0, 0.0]]))
    (1, 0, 2)
    """
    n = len(costs)
    # By the segments still to come (a bit each) and the one just shown: the cheapest way on.
    rest: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {}

    def on_from(last: int, left: int) -> tuple[float, tuple[int, ...]]:
        ways = []
        for j in range(n):
            if left >> j & 1:
                cost, path = rest[left & ~(1 << j), j]
                ways.append((float(costs[last, j]) + cost, (j, *path)))
        return min(ways, default=(0.0, ()))

    for left in range(1 << n):
        for last in range(n):
            if not left >> last & 1:
                rest[left, last] = on_from(last, left)
    every = (1 << n) - 1
    firsts = ((rest[every & ~(1 << j), j], j) for j in range(n))
    return min((cost, (j, *path)) for (cost, path), j in firsts)[1]


def greedy_path(costs: npt.NDArray[np.float64]) -> tuple[int, ...]:
    """From every start, always the cheapest next one; the cheapest of these."""
    found: list[tuple[float, tuple[int, ...]]] = []
    for first in range(len(costs)):
        path, left = [first], set(range(len(costs))) - {first}
        while left:
            last = path[-1]
            path.append(min(left, key=lambda j: (costs[last, j], j)))
            left.remove(path[-1])
        found.append((path_cost(costs, path), tuple(path)))
    return min(found)[1]
