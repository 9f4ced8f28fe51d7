"""Choosing among hits: against brute force, scikit-learn, and what must not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from retrieve.conftest import BagOfWords

from egorag.errors import ConfigError
from egorag.rerank.base import Top, Unchanged, by_scores
from egorag.rerank.clusters import Clusters, average_linkage
from egorag.rerank.fold import fold, same
from egorag.rerank.likeness import cosines, mean_cosine
from egorag.rerank.mmr import MMR, most_marginal
from egorag.spans import Span
from egorag.types import Hit, Query, Scene

ASKED = Query("a dog")


def hit(number: int) -> Hit:
    return Hit(
        Scene(number, "v", Span(number, number + 1), 0, number, None, number + 1), "v", 1.0, {}, ""
    )


def symmetric(values: np.ndarray) -> np.ndarray:
    return (values + values.T) / 2


squares = (
    st.integers(2, 8)
    .flatmap(
        lambda n: arrays.arrays(
            np.float64, (n, n), elements=st.floats(-1, 1).map(lambda x: round(x, 3))
        )
    )
    .map(symmetric)
)


def by_hand(relevance: Any, likeness: Any, weight: float, k: int) -> list[int]:
    """The paper's formula, word for word: argmax of lambda Sim1 - (1 - lambda) max Sim2."""
    taken: list[int] = []
    while len(taken) < min(k, len(relevance)):
        left = [i for i in range(len(relevance)) if i not in taken]

        def worth(i: int) -> float:
            if not taken:
                return float(relevance[i])
            nearest = max(likeness[i][j] for j in taken)
            return round(weight * relevance[i] - (1 - weight) * nearest, 12)

        taken.append(max(left, key=lambda i: (worth(i), -i)))
    return taken


@given(squares, st.floats(0, 1).map(lambda x: round(x, 2)), st.integers(1, 9))
def test_mmr_is_the_papers_formula(likeness: np.ndarray, weight: float, k: int) -> None:
    relevance = np.linspace(1, 0, len(likeness))
    assert most_marginal(relevance, likeness, weight, k) == by_hand(relevance, likeness, weight, k)


@given(squares)
def test_mmr_of_relevance_alone_keeps_the_order(likeness: np.ndarray) -> None:
    n = len(likeness)
    assert most_marginal(np.linspace(1, 0, n), likeness, 1.0, n) == list(range(n))


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_those_of_scikit_learn(seed: int) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(30, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    likeness = rows @ rows.T
    count = int(rng.integers(1, 12))
    theirs = cluster.AgglomerativeClustering(
        n_clusters=count, metric="precomputed", linkage="average"
    ).fit_predict(1 - likeness)
    groups = average_linkage(likeness, count)
    assert sorted(i for group in groups for i in group) == list(range(30))
    assert {frozenset(g) for g in groups} == {
        frozenset(np.flatnonzero(theirs == label).tolist()) for label in set(theirs.tolist())
    }
    assert [g[0] for g in groups] == sorted(g[0] for g in groups)


def test_clusters_take_turns(make_index: Any, all_hits: Any) -> None:
    toy = make_index()
    for name, text in enumerate(
        ("dog dog", "dog dog run", "dog dog sit", "cup tea", "cup tea hot")
    ):
        toy.add(f"v{name}", (0, 2, text))
    hits = sorted(all_hits(toy), key=lambda h: h.path)
    chosen = Clusters(clusters=2).select(ASKED, hits, toy.folder, 5)
    assert [h.path for h in chosen] == ["v0", "v3", "v1", "v4", "v2"]
    first = Clusters().select(ASKED, hits, toy.folder, 2)
    assert [h.path for h in first] == ["v0", "v3"]
    assert Clusters().depth == 50


def test_mmr_prefers_what_is_not_shown_yet(make_index: Any, all_hits: Any) -> None:
    toy = make_index()
    for name, text in enumerate(("dog dog", "dog dog", "dog dog", "cup tea")):
        toy.add(f"v{name}", (0, 2, text))
    hits = sorted(all_hits(toy), key=lambda h: h.path)
    assert [h.path for h in MMR(relevance=0.5).select(ASKED, hits, toy.folder, 2)] == ["v0", "v3"]
    assert [h.path for h in MMR(relevance=1).select(ASKED, hits, toy.folder, 2)] == ["v0", "v1"]
    assert MMR().select(ASKED, [], toy.folder, 3) == []
    assert MMR().select(ASKED, hits[:1], toy.folder, 3) == hits[:1]


def test_an_encoder_can_be_chosen(make_index: Any, all_hits: Any) -> None:
    toy = make_index(words=BagOfWords(), other=BagOfWords(name="other", dim=64))
    for name in "ab":
        toy.add(name, (0, 2, f"{name} word"))
    hits = all_hits(toy)
    both = cosines(hits, toy.folder)
    assert set(both) == {"words", "other"}
    assert set(cosines(hits, toy.folder, ["other"])) == {"other"}
    for name, encoder in toy.encoders.items():
        rows = toy.folder.vectors.rows(name, np.array([h.scene.id for h in hits]))
        assert rows.shape == (2, encoder.dim)
        np.testing.assert_allclose(both[name], rows @ rows.T, atol=1e-5)
    for made in (MMR(encoders=["word"]), Clusters(encoders=["word"])):
        with pytest.raises(ConfigError, match=r"selector.encoders.*did you mean 'words'"):
            made.select(ASKED, hits, toy.folder, 2)


def test_vectors_of_scenes_without_one_are_not_numbers(make_index: Any, all_hits: Any) -> None:
    toy = make_index()
    assert np.isnan(toy.folder.vectors.rows("words", np.array([1, 2]))).all()
    toy.add("a", (0, 2, "dog"), (4, 6, "cat"))
    hits = all_hits(toy)
    assert [h.scene.span.start for h in hits] == [0, 2_000_000, 4_000_000]
    rows = toy.folder.vectors.rows("words", np.array([hits[2].scene.id, 5, hits[1].scene.id]))
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, True]


def test_lacking_a_modality_is_neither_near_nor_far() -> None:
    nan = np.nan
    first = np.array([[1, 0.2, nan], [0.2, 1, nan], [nan, nan, nan]])
    second = np.array([[1, 0.6, nan], [0.6, 1, nan], [nan, nan, nan]])
    mean = mean_cosine({"a": first, "b": second}, 3)
    np.testing.assert_allclose(mean, [[1, 0.4, 0.4], [0.4, 1, 0.4], [0.4, 0.4, 1]])
    np.testing.assert_allclose(mean_cosine({}, 2), np.eye(2))


def test_near_duplicates_are_folded_with_a_count(make_index: Any, all_hits: Any) -> None:
    toy = make_index()
    for name, text in enumerate(("dog run", "dog run", "cup tea", "dog run")):
        toy.add(f"v{name}", (0, 2, text))
    hits = sorted(all_hits(toy), key=lambda h: h.path)
    for made in (Top(fold=0.97), MMR(fold=0.97), Clusters(fold=0.97)):
        chosen = made.select(ASKED, hits, toy.folder, 4)
        assert [(h.path, h.similar) for h in chosen] == [("v0", 2), ("v2", 0)]
        assert chosen[0].to_json()["similar"] == 2
        assert made.depth == 50
    assert Top().select(ASKED, hits, toy.folder, 3) == hits[:3] and Top().depth == 0


def test_no_more_candidates_than_asked_for(make_index: Any, all_hits: Any) -> None:
    toy = make_index()
    for name, text in enumerate(("dog run", "dog run", "dog run", "cup tea")):
        toy.add(f"v{name}", (0, 2, text))
    hits = sorted(all_hits(toy), key=lambda h: h.path)
    few = MMR(relevance=0.1, candidates=3)
    assert [h.path for h in few.select(ASKED, hits, toy.folder, 2)] == ["v0", "v1"]
    assert len(few.select(ASKED, hits, toy.folder, 4)) == 4
    assert [h.similar for h in Top(fold=0.97, candidates=2).select(ASKED, hits, toy.folder, 1)] == [
        1
    ]


def test_what_counts_as_the_same() -> None:
    near = np.array([[1, 0.98], [0.98, 1]])
    far, unknown = np.array([[1, 0.1], [0.1, 1]]), np.full((2, 2), np.nan)

    def alike(by: dict[str, np.ndarray], *texts: str) -> bool:
        return bool(same(by, texts, 0.97)[0, 1])

    assert alike({"a": near}, "x", "y") and alike({"a": near, "b": unknown}, "x", "y")
    assert not alike({"a": near, "b": far}, "x", "y") and not alike({"a": unknown}, "x", "y")
    assert alike({"a": far}, "x", "x") and not alike({"a": far}, "", "") and not alike({}, "", "")


def test_being_the_same_is_not_passed_on() -> None:
    alike = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], bool)
    assert [(h.scene.id, h.similar) for h in fold([hit(i) for i in range(3)], alike)] == [
        (0, 1),
        (2, 0),
    ]
    twice = fold(fold([hit(i) for i in range(3)], alike), np.ones((2, 2), bool))
    assert [(h.scene.id, h.similar) for h in twice] == [(0, 2)]


@pytest.mark.parametrize(
    ("kind", "wrong", "told"),
    [
        (Top, {"fold": 0.0}, "fold must be a cosine"),
        (Top, {"fold": 1.5}, "fold must be a cosine"),
        (Top, {"candidates": 0}, "candidates"),
        (MMR, {"relevance": 1.2}, "relevance must lie in 0..1"),
        (MMR, {"relevance": float("nan")}, "relevance"),
        (Clusters, {"clusters": 0}, "clusters"),
    ],
)
def test_wrong_settings_are_refused(kind: Any, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        kind(**wrong)


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=9))
def test_unscored_hits_keep_their_place(scores: list[int | None]) -> None:
    hits = [hit(i) for i in range(len(scores))]
    known = {i: float(s) for i, s in enumerate(scores) if s is not None}
    ordered = by_scores(hits, known, "judge")
    for place, score in enumerate(scores):
        if score is None:
            assert ordered[place] == hits[place]
    ranked = [h for h in ordered if "judge" in h.parts]
    assert [h.scene.id for h in ranked] == sorted(known, key=lambda i: (-known[i], i))
    for h in ranked:
        better = sum(s > known[h.scene.id] for s in known.values())
        assert (h.parts["judge"].rank, h.parts["judge"].score) == (better + 1, known[h.scene.id])


def test_none_leaves_all_as_it_is() -> None:
    hits = [hit(2), hit(1)]
    found = Unchanged().rerank(ASKED, hits, None)
    assert found.hits == hits and found.notes == ()
