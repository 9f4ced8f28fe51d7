"""Reciprocal rank fusion: properties over random rankings, and hand-worked cases."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.fuse.base import ranks
from egorag.fuse.rrf import ReciprocalRank

scores = st.sampled_from([0.9, 0.5, 0.25, 0.0, -1.0]) | st.floats(-1e3, 1e3)


@st.composite
def ranking(draw: st.DrawFn) -> list[tuple[int, float]]:
    ids = draw(st.lists(st.integers(0, 30), unique=True, max_size=12))
    return sorted(((i, draw(scores)) for i in ids), key=lambda pair: -pair[1])


rankings = st.dictionaries(st.sampled_from(["bm25", "minilm", "clap", "picture"]), ranking())
fusers = st.builds(
    ReciprocalRank,
    k=st.floats(0.1, 100),
    weights=st.dictionaries(st.sampled_from(["bm25", "minilm", "clap"]), st.floats(0, 5)),
)


@given(fusers, rankings)
def test_every_scene_once_best_first_with_its_own_ranks(fuser, given_rankings):
    fused = fuser.fuse(given_rankings)
    counted = {n: r for n, r in given_rankings.items() if fuser.weights.get(n, 1) > 0}
    ids = [f.id for f in fused]
    assert len(ids) == len(set(ids))
    assert set(ids) == {i for r in counted.values() for i, _ in r}
    assert all(a.score >= b.score for a, b in pairwise(fused))
    for item in fused:
        assert set(item.parts) == {n for n, r in counted.items() if item.id in dict(r)}
        for name, part in item.parts.items():
            own = dict(counted[name])
            assert part.score == own[item.id]
            assert part.rank == 1 + sum(s > part.score for s in own.values())
        assert item.score == pytest.approx(
            sum(fuser.weights.get(n, 1) / (fuser.k + p.rank) for n, p in item.parts.items())
        )


@given(fusers, rankings, st.randoms())
def test_order_of_rankings_and_of_ties_does_not_matter(fuser, given_rankings, random):
    shuffled = list(given_rankings.items())
    random.shuffle(shuffled)
    again = {}
    for name, pairs in shuffled:
        mixed = random.sample(pairs, len(pairs))
        again[name] = sorted(mixed, key=lambda pair: -pair[1])
    assert fuser.fuse(again) == fuser.fuse(given_rankings)


@given(ranking(), st.integers(0, 11), st.floats(0.1, 100))
def test_a_further_ranking_never_hurts(pairs, place, k):
    """The same places in one list and in two: the scene in both is never behind."""
    if place >= len(pairs):
        return
    fuser = ReciprocalRank(k=k)
    one = {f.id: f.score for f in fuser.fuse({"a": pairs})}
    two = {f.id: f.score for f in fuser.fuse({"a": pairs, "b": pairs[place : place + 1]})}
    chosen = pairs[place][0]
    assert two[chosen] > one[chosen]
    assert all(two[i] == one[i] for i in one if i != chosen)


def test_hand_worked():
    fused = ReciprocalRank(k=60, weights={"bm25": 2}).fuse(
        {"minilm": [(1, 0.9), (2, 0.8)], "bm25": [(2, 7.0), (3, 7.0), (4, 1.0)]}
    )
    assert [f.id for f in fused] == [2, 3, 4, 1]
    assert fused[0].score == pytest.approx(1 / 62 + 2 / 61)
    assert fused[2].parts["bm25"].rank == 3
    assert fused[2].score == pytest.approx(2 / 63)


def test_ties_prefer_the_better_single_rank_then_the_id():
    fused = ReciprocalRank(k=1).fuse(
        {"a": [(9, 1.0), (5, 1.0)], "b": [(4, 1.0), (5, 0.5)], "c": [(4, 2.0), (7, 1.0)]}
    )
    assert [f.id for f in fused] == [4, 5, 9, 7]
    assert ReciprocalRank().fuse({}) == []


@pytest.mark.parametrize(
    "broken", [[(1, 0.1), (2, 0.2)], [(1, 0.2), (1, 0.1)], [(1, math.nan), (2, 0.1)]]
)
def test_a_broken_ranking_is_refused(broken):
    with pytest.raises(ValueError, match="ranking"):
        ranks(broken)


def test_settings_are_checked():
    for bad in ({"k": 0}, {"k": math.nan}, {"weights": {"bm25": -1}}, {"weights": {"a": math.inf}}):
        with pytest.raises(ValueError, match="must be"):
            ReciprocalRank(**bad)
    with pytest.raises(ConfigError, match="did you mean 'minilm'"):
        ReciprocalRank(weights={"minlm": 1}).check(["minilm", "bm25"])
    ReciprocalRank(weights={"bm25": 1}).check(["minilm", "bm25"])
