"""Weighted scores: properties over random rankings, oracles of the scales, hand-worked cases."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.fuse.base import Covered
from egorag.fuse.pool import SCALES, Pool
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.weighted import WeightedScores

NAMES = ["bm25", "clap", "minilm", "picture"]


@st.composite
def ranking(draw: st.DrawFn) -> Covered:
    """Whole numbers as scores: exact under a change of scale."""
    pairs = draw(st.dictionaries(st.integers(0, 20), st.integers(-50, 50), max_size=10))
    low = min(pairs.values(), default=0) - draw(st.integers(0, 5))
    known = draw(st.frozensets(st.integers(0, 20), max_size=12)) | pairs.keys()
    return Covered(sorted(pairs.items(), key=lambda pair: -pair[1]), known, low)


rankings = st.dictionaries(st.sampled_from(NAMES), ranking())
fusers = st.builds(
    WeightedScores,
    normalise=st.sampled_from(list(SCALES)),
    weights=st.dictionaries(st.sampled_from(NAMES), st.integers(0, 4)),
)


def scores(fuser: WeightedScores, given_rankings: dict) -> dict[int, float]:  # type: ignore[type-arg]
    return {item.id: item.score for item in fuser.fuse(given_rankings)}


def by_the_definition(fuser, given_rankings):  # type: ignore[no-untyped-def]
    """The class's docstring, scene by scene."""
    counted = {n: r for n, r in given_rankings.items() if fuser.weights.get(n, 1)}
    pool = sorted({i for r in counted.values() for i, _ in r})
    scale = {"z": _z, "minmax": _minmax, "rank": _rank}[fuser.normalise]
    on_scale = {}
    for name, r in counted.items():
        raw = {i: dict(r).get(i, r.floor) for i in pool if i in r.known}
        if len(set(raw.values())) > 1:
            on_scale[name] = {i: scale(s, list(raw.values())) for i, s in raw.items()}
    found = {}
    for scene in pool:
        says = [(fuser.weights.get(n, 1), v[scene]) for n, v in on_scale.items() if scene in v]
        middle = 0.0 if fuser.normalise == "z" else 0.5
        total = sum(w for w, _ in says)
        found[scene] = sum(w * v for w, v in says) / total if says else middle
    return found


def _z(score, every):  # type: ignore[no-untyped-def]
    return (score - np.mean(every)) / np.std(every)


def _minmax(score, every):  # type: ignore[no-untyped-def]
    return (score - min(every)) / (max(every) - min(every))


def _rank(score, every):  # type: ignore[no-untyped-def]
    ties = every.count(score) - 1
    return (sum(s < score for s in every) + ties / 2) / (len(every) - 1)


@given(fusers, rankings)
def test_it_is_the_mean_that_its_definition_says(fuser, given_rankings):
    fused = fuser.fuse(given_rankings)
    assert {f.id: f.score for f in fused} == pytest.approx(
        by_the_definition(fuser, given_rankings), abs=1e-9
    )
    assert all(a.score >= b.score for a, b in pairwise(fused))
    for item in fused:
        of = {n for n, r in given_rankings.items() if item.id in dict(r)}
        assert set(item.parts) == {n for n in of if fuser.weights.get(n, 1)}


@given(fusers, rankings, st.randoms())
def test_order_of_rankings_and_of_ties_does_not_matter(fuser, given_rankings, random):
    shuffled = random.sample(list(given_rankings.items()), len(given_rankings))
    again = {
        name: replace(r, pairs=sorted(random.sample(r.pairs, len(r)), key=lambda p: -p[1]))
        for name, r in shuffled
    }
    assert fuser.fuse(again) == fuser.fuse(given_rankings)


@given(fusers, rankings, st.permutations(NAMES))
def test_names_do_not_matter(fuser, given_rankings, names):
    new = dict(zip(NAMES, names, strict=True))
    renamed = replace(fuser, weights={new[n]: w for n, w in fuser.weights.items()})
    again = renamed.fuse({new[n]: r for n, r in given_rankings.items()})
    assert [(f.id, f.score) for f in again] == [(f.id, f.score) for f in fuser.fuse(given_rankings)]


@given(fusers, rankings, st.sampled_from(NAMES), st.integers(1, 900), st.integers(-900, 900))
def test_the_scale_of_one_rankings_scores_does_not_matter(
    fuser, given_rankings, name, factor, shift
):
    assume(name in given_rankings)
    old = given_rankings[name]
    pairs = [(i, s * factor + shift) for i, s in old]
    new = Covered(pairs, old.known, old.floor * factor + shift)
    before, after = fuser.fuse(given_rankings), fuser.fuse({**given_rankings, name: new})
    assert [f.score for f in after] == pytest.approx([f.score for f in before], abs=1e-9)
    clear = all(a.score == b.score or a.score - b.score > 1e-9 for a, b in pairwise(before))
    assert not clear or [f.id for f in after] == [f.id for f in before]


@given(fusers, rankings, st.lists(st.integers(0, 20), unique=True), st.booleans())
def test_what_is_missing_everywhere_or_tells_nothing_changes_nothing(
    fuser, given_rankings, ids, missing
):
    """A modality no scene has; one that every scene has and that gives each the same score."""
    assume("picture" not in given_rankings)
    pool = {f.id for f in fuser.fuse(given_rankings)}
    empty = Covered([], frozenset() if missing else frozenset(ids), 0.0)
    flat = Covered([(i, 3.0) for i in ids if i in pool], pool & set(ids), 3.0)
    for more in (empty, flat):
        assert scores(fuser, {**given_rankings, "picture": more}) == scores(fuser, given_rankings)


@pytest.mark.parametrize("normalise", SCALES)
def test_a_scene_without_sound_is_neither_rewarded_nor_punished(normalise):
    """Scene 3 has no sound. It stands as high as what is known of it; once its sound is known to
    be far off, it falls, and known to be as good as its picture, it stays."""
    picture = Covered([(1, 9.0), (3, 7.0), (5, 5.0), (7, 3.0), (9, 1.0)], frozenset(range(10)), 0)
    sound = [(1, 0.9), (5, 0.5), (7, 0.3), (9, 0.1)]
    fuser = WeightedScores(normalise)

    def place(of_sound: Covered) -> float:
        return scores(fuser, {"picture": picture, "sound": of_sound})[3]

    lacking = place(Covered(sound, frozenset({1, 5, 7, 9}), 0.1))
    assert lacking == pytest.approx(scores(fuser, {"picture": picture})[3])
    far_off = place(Covered(sound, frozenset({1, 3, 5, 7, 9}), 0.1))
    as_good = place(Covered([sound[0], (3, 0.7), *sound[1:]], frozenset({1, 3, 5, 7, 9}), 0.1))
    assert far_off < lacking == pytest.approx(as_good)
    # Reciprocal ranks cannot tell the first two apart, and put both behind the third.
    rank = {f.id: i for i, f in enumerate(fuser.fuse({"picture": picture, "sound": sound}))}
    assert rank[3] > 1  # a plain list knows all that it does not name


def test_each_is_really_different():
    """The three scales and reciprocal ranks give four orders of the same two rankings."""
    given_rankings = {
        "a": [(5, 20.0), (3, 5.0), (4, 3.0), (1, 3.0), (2, 2.0)],
        "b": [(4, 10.0), (3, 8.0), (2, 2.0), (1, 2.0), (5, 1.0)],
    }
    fusers = {"rrf": ReciprocalRank(), **{name: WeightedScores(name) for name in SCALES}}
    orders = {name: [f.id for f in fuser.fuse(given_rankings)] for name, fuser in fusers.items()}
    assert orders == {
        "rrf": [4, 3, 5, 1, 2],  # two high places
        "z": [5, 4, 3, 1, 2],  # one score far from the others
        "minmax": [4, 5, 3, 1, 2],
        "rank": [3, 4, 5, 1, 2],  # second twice before first and shared third
    }
    third = {name: scores(WeightedScores(name), given_rankings)[3] for name in SCALES}
    assert third == pytest.approx(
        {
            "z": (-1.6 / math.sqrt(45.84) + 3.4 / math.sqrt(13.44)) / 2,
            "minmax": (3 / 18 + 7 / 9) / 2,
            "rank": 0.75,
        }
    )


def test_weights_move_the_mean_and_zero_leaves_out():
    given_rankings = {"a": [(1, 2.0), (2, 1.0), (3, 0.0)], "b": [(3, 2.0), (4, 1.0), (1, 0.0)]}
    told = scores(WeightedScores("minmax", {"a": 3}), given_rankings)
    assert told == pytest.approx({1: 0.75, 2: 0.375, 3: 0.25, 4: 0.125})
    alone = WeightedScores("minmax", {"b": 0}).fuse(given_rankings)
    assert alone == WeightedScores("minmax").fuse({"a": given_rankings["a"]})
    assert WeightedScores().fuse({}) == []
    assert WeightedScores(weights={"a": 0, "b": 0}).fuse(given_rankings) == []


def test_ties_prefer_the_better_single_rank_then_the_id():
    """1 and 2 are each other's mirror image, 4 and 5 the same; thirds are not exact numbers."""
    a = [(1, 0.3), (4, 0.2), (5, 0.2), (2, 0.1)]
    b = [(2, 0.3), (4, 0.2), (5, 0.2), (1, 0.1)]
    fused = WeightedScores("minmax").fuse({"a": a, "b": b})
    assert [f.id for f in fused] == [1, 2, 4, 5]
    assert len({f.score for f in fused}) == 1
    assert [f.best_rank for f in fused] == [1, 1, 2, 2]


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=30))
def test_scales_hold_for_any_numbers(values):
    assume(min(values) < max(values) and math.isfinite(max(values) - min(values)))
    raw = np.array(values)
    for name, (scale, middle) in SCALES.items():
        found = scale(raw)
        assert np.isfinite(found).all()
        assert (np.diff(found[np.argsort(raw, kind="stable")]) >= 0).all()
        if name != "minmax":
            assert found.mean() == pytest.approx(middle, abs=1e-9)
        if name == "z":
            assert found.std() == pytest.approx(1)
        else:
            assert 0 <= found.min() <= found.max() <= 1


def test_a_pool_tells_who_knows_what():
    sound = Covered([(2, 0.9), (3, 0.4)], frozenset({2, 3, 5}), 0.4)
    pool = Pool.of({"sound": sound, "picture": [(5, 1.0), (4, 0.5)]}, "minmax")
    assert (pool.places.ids.tolist(), pool.places.names) == ([2, 3, 4, 5], ("picture", "sound"))
    expected = [[0, 0, 0, 1], [1, 0, math.nan, 0]]
    np.testing.assert_array_equal(pool.values, expected)
    assert pool.places.best.tolist() == [1, 2, 2, 1]
    assert list(sound) == [sound[0], sound[1]] == sound[:] and len(sound) == 2


def test_settings_are_checked():
    with pytest.raises(ValueError, match="did you mean 'minmax'"):
        WeightedScores("minmx")
    for weight in (-1, math.inf, math.nan):
        with pytest.raises(ValueError, match="weight of bm25 must be 0 or more"):
            WeightedScores(weights={"bm25": weight})
    with pytest.raises(ConfigError, match="did you mean 'minilm'"):
        WeightedScores(weights={"minlm": 1}).check(["minilm", "bm25"])
    WeightedScores(weights={"bm25": 1}).check(["minilm", "bm25"])
