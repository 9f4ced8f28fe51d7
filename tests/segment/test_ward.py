"""Ward trees in time order: scikit-learn as oracle, and cuts that are always partitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from egorag.errors import ConfigError
from egorag.segment import ward
from egorag.segment.ward import WardTree, ward_tree
from egorag.segment.ward_merges import Merges, compiled, merges


def oracle(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cluster = pytest.importorskip("sklearn.cluster")
    sparse = pytest.importorskip("scipy.sparse")
    n = len(vectors)
    chain = sparse.diags([np.ones(n - 1), np.ones(n - 1)], [-1, 1], format="csr")
    children, _, _, _, distances = cluster.ward_tree(
        vectors.astype(np.float64), connectivity=chain, return_distance=True
    )
    return children, distances


def check(vectors: np.ndarray) -> None:
    tree = ward_tree(vectors)
    children, distances = oracle(vectors)
    assert np.array_equal(tree.children, children)
    assert np.allclose(tree.distances, distances, rtol=1e-9, atol=1e-9)


def test_the_same_merges_as_scikit_learn_on_thousands_of_cases() -> None:
    rng = np.random.default_rng(0)
    for case in range(3000):
        n, dim = int(rng.integers(2, 40)), int(rng.integers(1, 6))
        kind = case % 4
        if kind == 0:
            vectors = rng.normal(size=(n, dim))
        elif kind == 1:  # a drifting scene
            vectors = np.cumsum(rng.normal(size=(n, dim)), axis=0)
        elif kind == 2:  # full of ties: few values, exact in floating point
            vectors = rng.integers(0, 3, size=(n, dim)).astype(np.float64)
        else:  # stills, with cuts between them
            vectors = np.repeat(rng.normal(size=(n, dim)), rng.integers(1, 5, size=n), axis=0)
        check(vectors)


def test_the_same_merges_on_unit_vectors_of_a_thousand_frames() -> None:
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=(1000, 64)), axis=0)
    check((walk / np.linalg.norm(walk, axis=1, keepdims=True)).astype(np.float32))


ROWS = arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.integers(1, 3)),
    elements=st.integers(-4, 4).map(float),
)


@given(ROWS, st.floats(0, 20), st.integers(1, 40))
def test_every_cut_tiles_the_leaves(vectors: np.ndarray, distance: float, count: int) -> None:
    tree = ward_tree(vectors)
    n = len(vectors)
    assert tree.leaves == n and tree.extent[-1].tolist() == [0, n]
    by_distance, by_count = tree.cut(distance), tree.cut_into(count)
    assert len(by_count) == min(count, n)
    for nodes in (by_distance, by_count):
        bounds = tree.extent[nodes].ravel()
        assert bounds[0] == 0 and bounds[-1] == n
        assert np.array_equal(bounds[1:-1:2], bounds[2::2])


@given(ROWS, st.lists(st.floats(0, 20), min_size=2, max_size=2).map(sorted))
def test_a_larger_distance_is_coarser(vectors: np.ndarray, distances: list[float]) -> None:
    tree = ward_tree(vectors)
    fine, coarse = (_cuts(tree, tree.cut(d)) for d in distances)
    assert coarse <= fine


@given(ROWS, st.integers(1, 30))
def test_a_larger_count_only_adds_cuts(vectors: np.ndarray, count: int) -> None:
    tree = ward_tree(vectors)
    assert _cuts(tree, tree.cut_into(count)) <= _cuts(tree, tree.cut_into(count + 1))


def _cuts(tree: WardTree, nodes: list[int]) -> set[int]:
    return set(tree.extent[nodes, 0].tolist())


def test_heights_never_fall_where_distances_do() -> None:
    """The case that makes a plain cut by distance no partition."""
    rng = np.random.default_rng(2)
    fallen = 0
    for _ in range(50):
        tree = ward_tree(np.cumsum(rng.normal(size=(60, 2)), axis=0))
        fallen += int((np.diff(tree.distances) < 0).sum())
        inner = tree.parents[tree.leaves : -1]
        assert (tree.heights[inner] >= tree.heights[tree.leaves : -1]).all()
        assert (tree.heights[tree.leaves :] >= tree.distances).all()
    assert fallen > 0


def test_cuts_of_known_scenes() -> None:
    vectors = np.repeat(np.eye(3), [4, 2, 5], axis=0)
    tree = ward_tree(vectors)
    assert tree.extent[tree.cut(0)].tolist() == [[0, 4], [4, 6], [6, 11]]
    assert tree.extent[tree.cut_into(3)].tolist() == [[0, 4], [4, 6], [6, 11]]
    assert tree.cut(np.inf) == tree.cut_into(1) == [20]


def test_one_moment_is_one_leaf() -> None:
    tree = ward_tree(np.ones((1, 4), np.float32))
    assert tree.cut(0) == tree.cut_into(5) == [0]
    assert tree.parents.tolist() == [-1] and tree.heights.tolist() == [0]


@pytest.mark.parametrize("bad", [np.empty((0, 3)), np.empty((3, 0)), np.ones(3), [[np.nan]]])
def test_what_is_no_table_of_finite_numbers_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"expected vectors|NaN"):
        ward_tree(np.asarray(bad, dtype=np.float64))


def test_wrong_cuts_are_refused() -> None:
    tree = ward_tree(np.eye(3))
    with pytest.raises(ConfigError, match="count of 1 or more"):
        tree.cut_into(0)
    for bad in (-0.1, float("nan")):
        with pytest.raises(ConfigError, match="distance of 0 or more"):
            tree.cut(bad)


def cases(count: int) -> list[np.ndarray]:
    """Float32, as encoders give them; every second one full of ties."""
    rng = np.random.default_rng(5)
    made = []
    for case in range(count):
        shape = int(rng.integers(2, 40)), int(rng.integers(1, 6))
        rows = rng.normal(size=shape) if case % 2 else rng.integers(0, 3, size=shape)
        made.append(rows.astype(np.float32))
    return made


def same(vectors: np.ndarray, found: Merges) -> None:
    """What NumPy finds, to the last bit."""
    tree = ward_tree(vectors)
    assert np.array_equal(found[0], tree.children)
    assert np.array_equal(np.sqrt(2.0 * found[1]), tree.distances)


def test_the_loops_to_be_compiled_find_the_same_merges() -> None:
    for vectors in cases(60):
        same(vectors, merges(vectors))


def test_compiled_they_still_do() -> None:
    pytest.importorskip("numba")
    fast = compiled()
    assert fast is not None
    for vectors in cases(600):
        same(vectors, fast(vectors))
        same(vectors.astype(np.float64), fast(vectors.astype(np.float64)))
    rng = np.random.default_rng(6)
    walk = np.cumsum(rng.normal(size=(5000, 32)), axis=0).astype(np.float32)
    same(walk, fast(walk))
    same(walk, fast(np.asfortranarray(walk)))


def test_many_moments_take_the_compiled_path(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fast(vectors: np.ndarray) -> Merges:
        calls.append(len(vectors))
        return merges(vectors)

    monkeypatch.setattr(ward, "compiled", lambda: fast)
    monkeypatch.setattr(ward, "COMPILED_FROM", 30)
    for n in (29, 30):
        vectors = np.arange(n * 2.0).reshape(n, 2) ** 2
        check(vectors)
    check(np.arange(80).reshape(40, 2))  # whole numbers
    assert calls == [30, 40]
    with pytest.raises(ValueError, match="NaN"):
        ward_tree(np.where(np.arange(80) == 77, np.inf, 0.0).reshape(40, 2))
