"""Searching by a scene: its own stored vectors are the query, and what is later stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.asked import find_scene, make_query
from egorag.asked import given as media
from egorag.errors import ConfigError, SpaceError
from egorag.fuse.early import Concatenated
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.weighted import WeightedScores
from egorag.plan.rules import Rules
from egorag.plan.search import Methods, Search
from egorag.retrieve.adaptive import Adaptive
from egorag.retrieve.collapsed import Collapsed
from egorag.retrieve.flat import Flat
from egorag.retrieve.retriever import Retriever
from egorag.retrieve.top_down import TopDown
from egorag.types import LEVELS, Query

DAY = [
    (0, 4, "open the fridge"),
    (4, 8, "take the milk"),
    (8, 12, "cut bread with the knife"),
    (12, 16, "take the milk again"),
    (16, 20, "wash a plate"),
]
words = st.sampled_from(["fridge", "knife", "milk", "bread", "plate", "soup"])
phrases = st.lists(words, min_size=1, max_size=4).map(" ".join)
STRATEGIES = (Flat(), Collapsed(), TopDown(), Adaptive())


def retriever(toy, fuser=None, without=()):
    return Retriever(toy.folder, {}, fuser or ReciprocalRank(), without=without)


def scene(toy, name):
    return find_scene(toy.folder.catalog, name)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.lists(phrases, min_size=2, max_size=9), place=st.integers(0, 8))
def test_against_every_cosine(make_index, said, place):
    toy = make_index()
    toy.add("a", *[(i, i + 1, text) for i, text in enumerate(said)])
    toy.add("b", *[(i, i + 1, text) for i, text in enumerate(reversed(said))])
    place %= len(said)
    hits = retriever(toy).search(Query(like=scene(toy, f"a@{place}.5")), k=50)
    catalog = toy.folder.catalog
    (encoder,) = catalog.scene_encoders()
    vectors = {}
    for video, key, sha, _ in catalog.vector_sources(encoder):
        rows, spans = toy.folder.artifacts.read_vectors(key, sha)
        vectors |= {(video, span): row for row, span in zip(rows, spans, strict=True)}
    like = scene(toy, f"a@{place}.5")
    asked = vectors.pop((like.video, like.span)).astype(np.float64)
    cosines = {where: float(row @ asked) for where, row in vectors.items()}
    got = {(hit.scene.video, hit.scene.span): hit.parts["words"].score for hit in hits}
    assert got == pytest.approx(cosines, abs=1e-5)
    assert list(got.values()) == sorted(got.values(), reverse=True)


def test_every_space_with_a_vector_of_it_and_no_other(make_index, bag_of_words):
    toy = make_index(
        words=bag_of_words(),
        motion=bag_of_words("video", "motion"),
        mute=bag_of_words("", "mute"),
    )
    toy.add("a.mp4", *DAY)
    query = Query(like=scene(toy, "a.mp4@5"))
    hits = retriever(toy).search(query, k=9)
    assert {name for hit in hits for name in hit.parts} == {"words", "motion", "mute"}
    assert hits[0].scene.span.start == 12_000_000
    assert len(hits) == 4
    assert retriever(toy).left_out(query) == {"bm25": "takes text, not a scene"}
    held = retriever(toy, without=("motion", "bm25"))
    assert held.left_out(query) == dict.fromkeys(("motion", "bm25"), "left out on request")
    with pytest.raises(SpaceError, match=r"no encoder .* has a vector of the scene \(without: m"):
        retriever(toy, without=("words", "motion", "mute")).search(query)


def test_a_space_without_a_vector_of_the_scene_says_so(make_index):
    toy = make_index()
    toy.add("a.mp4", *DAY)
    silent = toy.add("silent.mp4", scenes=[(0, 5), (5, 9)])
    query = Query(like=scene(toy, f"{silent}@1"))
    assert retriever(toy).left_out(query)["words"] == "has no vector of the scene"
    with pytest.raises(SpaceError, match="has a vector of the scene"):
        retriever(toy).search(query)


@pytest.mark.parametrize("fuser", [ReciprocalRank(), WeightedScores(), Concatenated()])
def test_with_text_fusers_strategies_and_filters(make_index, fuser):
    toy = make_index()
    toy.add("a.mp4", *DAY)
    other = toy.add("b.mp4", *DAY)
    like = scene(toy, "a.mp4@5")
    by = Retriever(toy.folder, toy.encoders, fuser)
    for strategy in STRATEGIES:
        alone = strategy.find(Query(like=like), by, 3)
        assert (alone[0].path, alone[0].scene.span.start) == ("b.mp4", 4_000_000)
        both = strategy.find(Query("wash a plate", like=like), by, 20)
        found = {
            (hit.path, hit.scene.span.start // 1_000_000) for hit in both if hit.scene.level == 0
        }
        assert found >= {("b.mp4", 4), ("a.mp4", 16)}
        assert not any(
            hit.scene.video == like.video and hit.scene.span.overlap(like.span)
            for hit in [*alone, *both]
        )
        names = {name for hit in both for name in hit.parts}
        assert "bm25" in names and names & {"words:like", "joint"}
        there = strategy.find(Query(like=like, videos=(other,), after=8.0), by, 9)
        assert {hit.path for hit in there} == {"b.mp4"}
        assert min(hit.scene.span.start for hit in there) >= 8_000_000


def test_other_levels_and_the_plan_of_a_query_without_text(make_index):
    toy = make_index()
    toy.add("a.mp4", *DAY)
    toy.add("b.mp4", *DAY)
    like = scene(toy, "a.mp4@5")
    hits = retriever(toy).search(Query(like=like, levels=LEVELS), k=99)
    assert {hit.scene.level for hit in hits} == {0, 1, 2}
    # Neither the scene nor the event and video it is part of.
    assert {hit.path for hit in hits if hit.scene.level == 2} == {"b.mp4"}
    search = Search(retriever(toy), Methods(planner=Rules()))
    assert search.find(Query(like=like), 2).plan.to_json()["steps"] == []


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    past=st.lists(phrases, min_size=1, max_size=6),
    poison=st.lists(phrases, min_size=1, max_size=6),
    strategy=st.sampled_from(STRATEGIES),
    fuser=st.sampled_from([ReciprocalRank(), WeightedScores(), Concatenated()]),
)
def test_nothing_after_the_cut_off_can_change_a_result(make_index, past, poison, strategy, fuser):
    results = []
    cut = float(2 * len(past))
    for extra in (["plate"] * len(poison), poison):
        toy = make_index()
        lines = [(2 * i, 2 * i + 2, text) for i, text in enumerate([*past, *extra])]
        toy.add("v", *lines, scenes=[(s, e) for s, e, _ in lines])
        if extra is poison:
            late = [(cut + 2 * i, cut + 2 * i + 2, text) for i, text in enumerate(extra)]
            toy.add("later", *late, scenes=[(0, cut + 2 * len(extra))])
        toy.add("other", (0, cut, "milk"))
        query = make_query(toy.folder.catalog, media(None, like="v@0:01"), until=cut)
        by = retriever(toy, fuser)
        hits = strategy.find(query, by, 50)
        results.append(([h.to_json() for h in hits], by.left_out(query)))
        for late_query in ("v@0:01", f"v@{cut}"):
            with pytest.raises(ConfigError, match=r"until=|no scene there"):
                early = 1.5 if late_query == "v@0:01" else cut
                asked = make_query(toy.folder.catalog, media(None, like=late_query), until=early)
                by.search(asked)
    assert results[0] == results[1]


def test_a_scene_known_too_late_is_refused_by_seconds_and_dates(make_index):
    toy = make_index()
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    toy.add("dated", *DAY, recorded_at=noon)
    toy.add("undated", *DAY)
    search = retriever(toy).search
    assert search(Query(like=scene(toy, "dated@5"), until=noon.replace(second=8))) != []
    for name, until in (
        ("dated@5", noon.replace(second=7)),
        ("undated@5", noon.replace(year=2030)),
        ("undated@5", 7.9),
    ):
        with pytest.raises(ConfigError, match="not known before until="):
            search(Query(like=scene(toy, name), until=until))
        with pytest.raises(ConfigError, match="not known before until="):
            retriever(toy).left_out(Query(like=scene(toy, name), until=until))


@pytest.mark.parametrize(
    "name, said",
    [
        ("a.mp4", "is no scene; give VIDEO@TIME"),
        ("nope.mp4@1:05", "no video called 'nope.mp4'"),
        ("a.mp4@soon", "is no time"),
        ("a.mp4@2024-05-01T12:00Z", "needs a time in the video"),
        ("a.mp4@20", r"no scene there; the video is 0:20"),
        ("a.mp4@-1", "no scene there"),
        ("@5", "no video called ''"),
    ],
)
def test_what_is_no_scene(make_index, name, said):
    toy = make_index()
    toy.add("a.mp4", *DAY)
    with pytest.raises(ConfigError, match=said):
        find_scene(toy.folder.catalog, name)


def test_how_long_a_video_is_may_not_be_known_yet(make_index):
    toy = make_index()
    toy.add("a.mp4", *DAY)
    with pytest.raises(ConfigError) as told:
        find_scene(toy.folder.catalog, "a.mp4@25", datetime(2024, 5, 1, tzinfo=UTC))
    assert "0:20" not in str(told.value)


def test_a_scene_of_another_index(make_index):
    toy, other = make_index(), make_index()
    toy.add("a.mp4", *DAY)
    other.add("b.mp4", (0, 3, "elsewhere"))
    with pytest.raises(ConfigError, match="is no scene of this index"):
        retriever(toy).search(Query(like=scene(other, "b.mp4@1")))
