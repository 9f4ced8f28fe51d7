"""Orders against all permutations, and segments whose right order is known."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.predict.ordering import Order, best_path, greedy_path, path_cost


@given(st.integers(2, 6), st.integers(0, 10**6), st.booleans())
def test_the_best_order_is_the_best_of_all_permutations(n: int, seed: int, ties: bool) -> None:
    dice = np.random.default_rng(seed)
    costs = dice.integers(0, 3, (n, n)).astype(float) if ties else dice.random((n, n))
    best = min(path_cost(costs, path) for path in permutations(range(n)))
    found = best_path(costs)
    assert sorted(found) == list(range(n))
    assert path_cost(costs, found) == pytest.approx(best)
    assert sorted(greedy_path(costs)) == list(range(n))
    assert path_cost(costs, greedy_path(costs)) >= best - 1e-12


def test_a_chain_is_found_by_both() -> None:
    right = np.random.default_rng(0).permutation(12).tolist()
    costs = np.ones((12, 12))
    for a, b in pairwise(right):
        costs[a, b] = 0.1
    assert best_path(costs) == tuple(right)
    assert greedy_path(costs) == tuple(right)


def test_an_order_tells_what_others_cost() -> None:
    costs = np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 3.0], [4.0, 1.0, 0.0]])
    found = Order(best_path(costs), costs, True)
    assert found.positions == (0, 2, 1)
    assert (found.cost, found.cost_as_given) == (1.0, 2.5)
    every = [path_cost(costs, path) for path in permutations(range(3))]
    assert found.cost_by_chance == pytest.approx(np.mean(every))
    assert "0, 2, 1" in str(found)


def test_costs_are_the_energies_of_the_pairs(predictor) -> None:  # type: ignore[no-untyped-def]
    from predict.conftest import FRAMES, blocks

    from egorag.predict import order

    segments = [blocks(FRAMES + k, seed=k) for k in range(3)]
    found = order(predictor, segments, seconds=1)
    for i, a in enumerate(segments):
        for j, b in enumerate(segments):
            if i != j:
                assert found.costs[i, j] == predictor.coherence(a, b, seconds=1).energy
    assert found.exact
    assert found.positions == best_path(found.costs)


def test_one_segment_has_no_order(predictor) -> None:  # type: ignore[no-untyped-def]
    from predict.conftest import FRAMES, blocks

    from egorag.predict import order

    with pytest.raises(ConfigError, match="two segments or more, got 1"):
        order(predictor, [blocks(FRAMES)])
    with pytest.raises(ConfigError, match="too short"):
        order(predictor, [blocks(FRAMES), blocks(3)])
    with pytest.raises(ConfigError, match="a context of 1 frames is too short"):
        order(predictor, [blocks(FRAMES), blocks(1)])
