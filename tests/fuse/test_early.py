"""Early fusion against brute force: joined vectors, what is missing, and whitening."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.fuse.early import MISSING, Concatenated, Rows, Whitened, unit
from egorag.fuse.whitening import Whitening

WIDTHS = {"looks": 5, "sound": 3, "words": 4}


def corpus(seed, share=0.6, count=30):
    """Three encoders' vectors of 30 scenes, each of a part of them; the sound follows the looks."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(1000, count, replace=False))
    rows = {}
    looks = rng.normal(size=(count, 5))
    for name, width in WIDTHS.items():
        has = rng.random(count) < share
        has[:3] = True
        full = looks @ rng.normal(size=(5, width)) if name == "sound" else looks
        full = full if name != "words" else rng.normal(size=(count, width))
        rows[name] = Rows(ids[has], unit(full[has]).astype(np.float32))
    query = {n: rng.normal(size=w).astype(np.float32) for n, w in WIDTHS.items()}
    return ids, rows, query


def dense(rows, ids, unit_rows=True):
    """By name (what each scene has [n, d], whether it has it [n])."""
    found = {}
    for name, given_rows in rows.items():
        place = {int(i): k for k, i in enumerate(given_rows.ids)}
        block = np.zeros((len(ids), given_rows.vectors.shape[1]))
        has = np.array([int(i) in place for i in ids])
        for n, i in enumerate(ids):
            if has[n]:
                v = given_rows.vectors[place[int(i)]].astype(np.float64)
                block[n] = v / np.linalg.norm(v) if unit_rows else v
        found[name] = block, has
    return found


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize("seed", range(4))
def test_concatenated_is_the_cosine_of_the_long_vectors(seed):
    ids, rows, query = corpus(seed)
    weights = {"looks": 2.0, "words": 0.5}
    fuser = Concatenated(weights=weights)
    joined = fuser.join(rows)
    assert joined.ids.tolist() == [i for i in ids if any(i in r.ids for r in rows.values())]
    known = dense(rows, joined.ids)
    for n, score in enumerate(fuser.scores(query, joined)):
        there = [name for name in known if known[name][1][n]]
        roots = {name: weights.get(name, 1) ** 0.5 for name in there}
        q = np.concatenate([roots[m] * query[m] / np.linalg.norm(query[m]) for m in there])
        v = np.concatenate([roots[m] * known[m][0][n] for m in there])
        assert score == pytest.approx(cosine(q, v), abs=1e-6)


@pytest.mark.parametrize("missing", ["mean", "least_squares"])
@pytest.mark.parametrize("seed", range(4))
def test_imputed_is_the_mean_or_the_least_squares_of_what_is_there(seed, missing):
    _, rows, query = corpus(seed)
    fuser = Concatenated(missing)
    joined = fuser.join(rows)
    known = dense(rows, joined.ids)
    filled = {}
    for name, (block, has) in known.items():
        filled[name] = block.copy()
        for n in np.flatnonzero(~has):
            there = [m for m in known if known[m][1][n]]
            both = has & np.all([known[m][1] for m in there], axis=0)
            if missing == "mean" or not both.any():
                filled[name][n] = block[has].mean(axis=0)
                continue
            x = np.hstack([known[m][0] for m in there])
            a, b = x[both] - x[both].mean(0), block[both] - block[both].mean(0)
            told = (x[n] - x[both].mean(0)) @ (np.linalg.pinv(a, rcond=1e-6) @ b)
            filled[name][n] = told + block[both].mean(0)
    q = np.concatenate([query[m] / np.linalg.norm(query[m]) for m in sorted(known)])
    for n, score in enumerate(fuser.scores(query, joined)):
        v = np.concatenate([filled[m][n] for m in sorted(known)])
        assert score == pytest.approx(cosine(q, v), abs=1e-6)


@pytest.mark.parametrize("fuser", [Concatenated, Whitened])
def test_excluded_and_imputed_are_three_results(fuser):
    _, rows, query = corpus(1)
    orders = {}
    for missing in MISSING:
        made = fuser(missing)
        joined = made.join(rows)
        scores = made.scores(query, joined)
        whole = np.all([np.isin(joined.ids, r.ids) for r in rows.values()], axis=0)
        orders[missing] = scores
        if fuser is Concatenated:  # who lacks nothing has the same score either way
            assert scores[whole] == pytest.approx(orders["excluded"][whole])
    orders = {missing: tuple(np.argsort(-scores)) for missing, scores in orders.items()}
    assert len(set(orders.values())) == 3


@pytest.mark.parametrize("fuser", [Concatenated(), Whitened()])
def test_excluded_is_neither_good_nor_bad(fuser):
    """A scene without sound has the score that it has where nobody asks for sound."""
    _, rows, query = corpus(2)
    silent = sorted({*rows["looks"].ids} & {*rows["words"].ids} - {*rows["sound"].ids})
    assert silent
    with_sound = dict(zip((j := fuser.join(rows)).ids, fuser.scores(query, j), strict=True))
    fewer = {name: rows[name] for name in ("looks", "words")}
    without = dict(zip((j := fuser.join(fewer)).ids, fuser.scores(query, j), strict=True))
    for scene in silent:
        assert with_sound[scene] == pytest.approx(without[scene], abs=1e-6)


def test_least_squares_finds_what_follows_from_the_rest():
    """Sound here is a linear map of the looks: imputed, it is as it would have been."""
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(40, 5))
    sound = looks @ rng.normal(size=(5, 3)) + 2
    ids = np.arange(40)
    every = {"looks": Rows(ids, looks), "sound": Rows(ids, sound)}
    part = {"looks": Rows(ids, looks), "sound": Rows(ids[:30], sound[:30])}
    query = {"looks": rng.normal(size=5), "sound": rng.normal(size=3)}

    class Plain(Concatenated):  # not at unit length, so that the map is linear
        def prepared(self, rows):
            return {name: r.vectors for name, r in rows.items()}, {}

    told = {missing: Plain(missing).scores(query, Plain(missing).join(part)) for missing in MISSING}
    true = Plain().scores(query, Plain().join(every))
    assert told["least_squares"] == pytest.approx(true, abs=1e-6)
    for other in ("mean", "excluded"):
        assert np.abs(told[other] - true).max() > 0.1


@settings(max_examples=30)
@given(st.integers(0, 999), st.integers(2, 40), st.integers(1, 8), st.integers(1, 12))
def test_whitened_rows_have_no_mean_and_no_covariance(seed, count, width, dim):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + 3
    (made,) = Whitening.common({"a": rows}, dim, zca=False).values()
    white = made(rows)
    assert made.width <= min(dim, width, count - 1)
    assert white.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert white.T @ white / count == pytest.approx(np.eye(made.width), abs=1e-5)


def test_whitening_is_that_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    ours = Whitening.common({"a": rows}, 4, zca=False)["a"](rows)
    theirs = decomposition.PCA(4, whiten=True).fit_transform(rows) * np.sqrt(50 / 49)
    assert np.abs(ours) == pytest.approx(np.abs(theirs))
    zca = Whitening.common({"a": rows}, 6, zca=True)["a"](rows)
    covariance = np.cov(rows.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    assert zca == pytest.approx((rows - rows.mean(0)) @ root)


@pytest.mark.parametrize("missing", MISSING)
def test_whitened_is_the_cosine_of_the_means(missing):
    _, rows, query = corpus(3)
    fuser = Whitened(missing, {"looks": 3}, dim=4)
    joined = fuser.join(rows)
    by = Whitening.common({n: r.vectors for n, r in rows.items()}, 4, zca=False)
    assert {of.width for of in by.values()} == {4}
    told = {n: unit(by[n](query[n][None]))[0] for n in rows}
    for n, score in enumerate(fuser.scores(query, joined)):
        there = [m for m in rows if missing != "excluded" or joined.ids[n] in rows[m].ids]
        q = np.mean([(3 if m == "looks" else 1) * told[m] for m in there], axis=0)
        v = np.mean([(3 if m == "looks" else 1) * joined.blocks[m][n] for m in there], axis=0)
        assert score == pytest.approx(cosine(q, v), abs=1e-6)


def test_few_or_no_scenes():
    for fuser in (Concatenated(), Whitened(), Whitened("mean"), Concatenated("least_squares")):
        empty = {"a": Rows(np.empty(0, np.int64), np.empty((0, 4), np.float32))}
        assert fuser.scores({"a": np.ones(4)}, fuser.join(empty)).shape == (0,)
        one = {"a": Rows(np.array([7]), np.ones((1, 4))), "b": empty["a"]}
        joined = fuser.join(one)
        assert joined.ids.tolist() == [7]
        assert fuser.scores({"a": np.ones(4), "b": np.ones(4)}, joined).shape == (1,)
    alone = Concatenated(weights={"a": 0}).join({"a": Rows(np.array([7]), np.ones((1, 4)))})
    assert len(alone.ids) == 0


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="did you mean 'excluded'"):
        Concatenated("exclude")
    with pytest.raises(ValueError, match="dim must be a whole number from 1 up, got 0"):
        Whitened(dim=0)
    with pytest.raises(ValueError, match="weight of bm25 must be 0 or more"):
        Whitened(bm25=-1)
    with pytest.raises(ConfigError, match="did you mean 'minilm'"):
        Concatenated(weights={"minlm": 1}).check(["minilm", "bm25"])
    _, rows, _ = corpus(0)
    with pytest.raises(ConfigError, match="looks 5, sound 3, words 4"):
        Whitened(zca=True).join(rows)
    same = {"a": rows["looks"], "b": rows["looks"]}
    assert Whitened(zca=True).join(same).blocks["a"].shape[1] == 5
