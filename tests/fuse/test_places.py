"""Fusing by columns gives, bit for bit, what fusing scene by scene gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.fuse.base import Covered, Fused
from egorag.fuse.places import FusedList, Places
from egorag.fuse.pool import SCALES, Pool
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.weighted import WeightedScores
from egorag.types import Part

NAMES = ["bm25", "clap", "minilm", "picture"]
SCORES = st.sampled_from([0.9, 0.5, 0.25, 0.0, -0.0, -1.0]) | st.floats(-1e3, 1e3)


@st.composite
def ranking(draw: st.DrawFn):
    of = draw(st.dictionaries(st.integers(-(2**62), 2**62) | st.integers(0, 25), SCORES))
    pairs = sorted(of.items(), key=lambda pair: -pair[1])
    if draw(st.booleans()):
        return pairs
    known = draw(st.frozensets(st.integers(0, 25))) | of.keys()
    return Covered(pairs, known, min(of.values(), default=0.0) - draw(st.integers(0, 2)))


rankings = st.dictionaries(st.sampled_from(NAMES), ranking())
weights = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0, 1]) | st.floats(0, 5))
fusers = st.builds(
    ReciprocalRank, st.floats(0.1, 100), weights=weights, fair=st.booleans()
) | st.builds(WeightedScores, st.sampled_from(list(SCALES)), weights)


def knows(of, scene):
    return not isinstance(of, Covered) or scene in of.known


def scene_by_scene(fuser, given_rankings):
    """The definition, one scene after the other; the mean itself is that of ``Pool.blend``."""
    counted = {n: r for n, r in sorted(given_rankings.items()) if fuser.weights.get(n, 1) > 0}
    if isinstance(fuser, ReciprocalRank):
        counted = {n: r for n, r in counted.items() if len(r)}
    weight = {n: fuser.weights.get(n, 1) for n in counted}
    parts = {}
    for name, of in counted.items():
        for scene, score in of:
            rank = 1 + sum(other > score for _, other in of)
            parts.setdefault(scene, {})[name] = Part(rank, score)
    scenes = sorted(parts)
    if isinstance(fuser, ReciprocalRank):
        score = {}
        for scene, own in parts.items():
            shares = math.fsum(weight[n] / (fuser.k + part.rank) for n, part in own.items())
            told = [w for n, w in weight.items() if not fuser.fair or knows(counted[n], scene)]
            score[scene] = round(shares * (math.fsum(weight.values()) / math.fsum(told)), 15)
    else:
        scale, neutral = SCALES[fuser.normalise]
        values = np.full((len(counted), len(scenes)), np.nan)
        for row, of in zip(values, counted.values(), strict=True):
            named = dict(of)
            floor = of.floor if isinstance(of, Covered) else min(named.values(), default=0.0)
            raw = np.array(
                [named.get(i, floor if knows(of, i) else np.nan) for i in scenes], np.float64
            )
            known = ~np.isnan(raw)
            if len(set(raw[known].tolist())) > 1:
                row[known] = scale(raw[known])
        pool = Pool(Places.of(counted), values, neutral)
        blended = pool.blend(np.array([*weight.values()], np.float64))
        score = dict(zip(scenes, blended.tolist(), strict=True))
    fused = [Fused(scene, score[scene], parts[scene]) for scene in scenes]
    return sorted(fused, key=lambda item: (-item.score, item.best_rank, item.id))


@given(fusers, rankings)
def test_bit_for_bit_as_scene_by_scene(fuser, given_rankings):
    fused, oracle = fuser.fuse(given_rankings), scene_by_scene(fuser, given_rankings)
    assert list(fused) == oracle
    assert [item.score.hex() for item in fused] == [item.score.hex() for item in oracle]
    assert all(type(item.id) is int and type(item.score) is float for item in fused)
    assert [list(item.parts) for item in fused] == [list(item.parts) for item in oracle]
    assert (fused.ids.tolist(), len(fused)) == ([item.id for item in oracle], len(oracle))
    best = [min(part.rank for part in item.parts.values()) for item in oracle]
    assert fused.places.best[fused.columns].tolist() == best


@given(fusers, rankings, st.randoms())
def test_another_order_of_ties_holds_after_score_and_best_place(fuser, given_rankings, random):
    fused = fuser.fuse(given_rankings)
    ties = random.sample(range(len(fused)), len(fused))
    turned = FusedList(fused.places, fused.scores, np.array(ties, np.int64))
    tie = dict(zip(fused.places.ids.tolist(), ties, strict=True))
    assert list(turned) == sorted(fused, key=lambda f: (-f.score, f.best_rank, tie[f.id]))


def test_a_list_is_a_list():
    fused = WeightedScores().fuse({"a": [(7, 3.0), (5, 2.0), (2, 1.0)]})
    assert [item.id for item in fused] == [7, 5, 2]
    assert fused[:2] == [fused[0], fused[1]] == list(fused)[:2]
    assert (fused[-1].id, fused[::-1][0].id, fused[3:]) == (2, 2, [])
    assert fused[1].parts == {"a": Part(2, 2.0)}
    assert fused != fused[:2] and fused != 3
    with pytest.raises(IndexError):
        fused[3]


def test_what_a_ranking_says_of_what_it_does_not_name():
    sound = Covered([(5, 3.0), (1, 2.0)], frozenset({1, 4, 5}), 1.5)
    places = Places.of({"sound": sound, "a": [(4, 0.5), (9, 0.5)], "none": []})
    assert places.names == ("a", "none", "sound") and places.ids.tolist() == [1, 4, 5, 9]
    assert places.ranks.tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [2, 0, 1, 0]]
    expected = [[0.5] * 4, [0.0] * 4, [2.0, 1.5, 3.0, math.nan]]
    np.testing.assert_array_equal(places.scores, expected)
    assert places.parts(1) == {"a": Part(1, 0.5)}
