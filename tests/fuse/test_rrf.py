"""Reciprocal rank fusion: properties over random rankings, and hand-worked cases."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.fuse.base import Covered, ranks
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


@st.composite
def covered(draw: st.DrawFn) -> Covered:
    pairs = draw(ranking())
    known = draw(st.frozensets(st.integers(0, 30))) | {i for i, _ in pairs}
    return Covered(pairs, known, min((s for _, s in pairs), default=0.0))


@given(fusers, st.dictionaries(st.sampled_from(["bm25", "minilm", "clap"]), covered()))
def test_what_a_ranking_does_not_know_it_places_like_the_others(fuser, given_rankings):
    """By the definition, scene by scene: a mean over those that know it, times all weights."""
    counted = {n: r for n, r in given_rankings.items() if len(r) and fuser.weights.get(n, 1) > 0}
    weight = {n: fuser.weights.get(n, 1) for n in counted}
    for item in fuser.fuse(given_rankings):
        knowing = [n for n, r in counted.items() if item.id in r.known]
        mean = sum(
            weight[n] / (fuser.k + item.parts[n].rank) for n in knowing if n in item.parts
        ) / sum(weight[n] for n in knowing)
        assert item.score == pytest.approx(mean * sum(weight.values()), abs=1e-14)
    plain = replace(fuser, fair=False)
    lists = {name: list(r) for name, r in given_rankings.items()}
    assert plain.fuse(given_rankings) == plain.fuse(lists) == fuser.fuse(lists)


def test_a_scene_without_sound_is_neither_rewarded_nor_punished():
    """Scene 3 has no sound: it stands where its picture puts it, alone or beside."""
    picture = Covered([(3, 0.9), (1, 0.8), (5, 0.7)], frozenset({1, 3, 5}), 0.7)
    sound = Covered([(5, 3.0), (1, 2.0)], frozenset({1, 5}), 2.0)
    both = {"picture": picture, "sound": sound}
    fair = {f.id: f.score for f in ReciprocalRank().fuse(both)}
    assert fair[3] == pytest.approx(2 / 61)  # first by picture, as if first by sound
    assert [f.id for f in ReciprocalRank().fuse(both)] == [3, 5, 1]
    assert [f.id for f in ReciprocalRank(fair=False).fuse(both)] == [5, 1, 3]
    mute = Covered([], frozenset({1, 5}), 0.0)  # names nothing, so it tells nothing of 1 and 5
    alone = ReciprocalRank().fuse({"picture": picture})
    assert ReciprocalRank().fuse({"picture": picture, "sound": mute}) == alone


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
