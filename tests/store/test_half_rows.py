"""The float16 copies find exactly what scoring every row finds; damage of a row is noticed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.store.columns import DamagedError
from egorag.store.half_rows import HalfRows
from egorag.store.vector_rows import VectorRows, row_sums


def vectors_of(kind: str, count: int, dim: int, dice: np.random.Generator) -> np.ndarray:
    made = dice.standard_normal((count, dim)).astype(np.float32)
    if kind == "alike":  # nearer to one another than float16 can tell
        made = (1 + 1e-5 * made).astype(np.float32)
    if kind == "equal":
        made = made[dice.integers(0, min(3, count), count)]
    if kind == "tiny":
        made *= np.float32(1e-6)
    return made


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(["spread", "alike", "equal", "tiny"]),
    normalised=st.booleans(),
    seed=st.integers(0, 99),
    k=st.integers(1, 40),
    share=st.floats(0.05, 1),
)
def test_it_is_exact(kind, normalised, seed, k, share) -> None:
    dice = np.random.default_rng(seed)
    vectors = vectors_of(kind, 900, 24, dice)
    rows = VectorRows(vectors, None, normalised)
    query = vectors_of(kind, 1, 24, dice)[0]
    seen = dice.random(900) < share
    k = min(k, int(seen.sum()))
    found = HalfRows(rows).search(query, seen, k)
    true = rows.scores(query, np.arange(900))
    kth = np.sort(true[seen])[::-1][k - 1]
    assert found is not None
    places, scores = found
    assert len(set(places.tolist())) == len(places) and seen[places].all()
    assert np.array_equal(scores, true[places])  # bit for bit
    assert set(np.flatnonzero(seen & (true >= kth))) <= set(places.tolist())
    # The rows' own scores are what they are said to be.
    wide = vectors.astype(np.float64)
    expected = wide @ query if normalised else -np.linalg.norm(wide - query, axis=1)
    assert true == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_what_float16_cannot_hold_is_left_to_the_rows() -> None:
    vectors = np.full((50, 4), 1e5, np.float32)
    rows = VectorRows(vectors, None, False)
    assert HalfRows(rows).search(vectors[0], np.ones(50, bool), 3) is None


def test_too_many_alike_are_left_to_the_rows(monkeypatch) -> None:
    monkeypatch.setattr("egorag.store.half_rows._MOST", 100)
    rows = VectorRows(np.ones((500, 4), np.float32), None, True)
    assert HalfRows(rows).search(np.ones(4, np.float32), np.ones(500, bool), 3) is None


def test_a_score_depends_on_its_own_row_alone() -> None:
    vectors = np.random.default_rng(0).standard_normal((300, 7)).astype(np.float32)
    query = vectors[0]
    for normalised in (True, False):
        whole = VectorRows(vectors, None, normalised).scores(query, np.arange(300))
        for place in (0, 1, 299):
            alone = VectorRows(vectors[place : place + 1].copy(), None, normalised)
            assert alone.scores(query, np.array([0]))[0] == whole[place]


@settings(max_examples=60, deadline=None)
@given(row=st.integers(0, 9), number=st.integers(0, 6), bit=st.integers(0, 31))
def test_every_changed_bit_is_noticed(row, number, bit) -> None:
    vectors = np.random.default_rng(1).standard_normal((10, 7)).astype(np.float32)
    sums = row_sums(vectors)
    vectors.view(np.uint32)[row, number] ^= np.uint32(1 << bit)
    rows = VectorRows(vectors, sums, True)
    others = np.array([i for i in range(10) if i != row])
    rows.scores(vectors[others[0]], others)
    for _ in range(2):
        with pytest.raises(DamagedError):
            rows.scores(vectors[others[0]], np.arange(10))
    with pytest.raises(DamagedError):
        rows.part(row, row + 1)
