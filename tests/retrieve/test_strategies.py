"""Strategies over small indexes: what is found at which level, and nothing after the cut-off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag import config, registry
from egorag.fuse.early import Concatenated, Whitened
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.weighted import WeightedScores
from egorag.retrieve.adaptive import Adaptive
from egorag.retrieve.collapsed import Collapsed
from egorag.retrieve.flat import Flat
from egorag.retrieve.levels import line, parents
from egorag.retrieve.retriever import Retriever
from egorag.retrieve.top_down import TopDown
from egorag.types import LEVELS, Query

words = st.sampled_from(["knife", "fridge", "milk", "bread", "soup", "open", "take", "plate"])
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join)
videos = st.lists(st.lists(phrases, min_size=1, max_size=9), min_size=1, max_size=4)
strategies = st.one_of(
    st.builds(Flat),
    st.builds(Collapsed, nested=st.sampled_from(["finer", "better", "both"])),
    st.builds(
        TopDown,
        videos=st.integers(1, 3),
        events=st.integers(1, 3),
        above=st.sampled_from([0.0, 0.3, 1.0]),
    ),
)
SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def said(texts, start=0):
    return [(start + 2 * i, start + 2 * i + 2, text) for i, text in enumerate(texts)]


def retriever(toy, fuser=None, depth=100):
    return Retriever(toy.folder, toy.encoders, fuser or ReciprocalRank(), depth)


def filled(make_index, texts):
    """An index with one video a list; four scenes make an event."""
    toy = make_index()
    for number, lines in enumerate(texts):
        toy.add(f"v{number}", *said(lines))
    return toy


@pytest.mark.parametrize("name", config.options()["strategy"])
def test_every_strategy_is_built_by_its_config(name):
    shared = [f"strategy={name}", "strategy.neighbours=2", "strategy.tokens=500"]
    card = ["strategy.card=anywhere"] if name == "adaptive_learned" else []
    chosen = config.compose("ask", ["index=i", "question=q", *shared, *card])["strategy"]
    built = registry.build("strategies", "strategy", chosen)
    assert (built.neighbours, built.tokens, built.seconds) == (2, 500, None)


@settings(max_examples=8, **SLOW)
@given(texts=videos)
def test_parents_by_time_are_those_of_the_catalog(make_index, texts):
    catalog = filled(make_index, texts).folder.catalog
    table, above = catalog.table(), parents(catalog)
    row = {int(id): i for i, id in enumerate(table.ids)}
    for scene in catalog.scenes():
        parent = above[row[scene.id]]
        assert (None if parent < 0 else int(table.ids[parent])) == scene.parent
        assert len(line(row[scene.id], above)) == len(LEVELS) - scene.level


@settings(max_examples=10, **SLOW)
@given(texts=videos, strategy=strategies, question=phrases, k=st.integers(1, 12))
def test_as_many_as_there_are_each_once_best_first(make_index, texts, strategy, question, k):
    toy = filled(make_index, texts)
    hits = strategy.find(Query(question), retriever(toy, depth=3), k)
    scenes = len(toy.folder.catalog.scenes(level=0))
    if not (isinstance(strategy, Collapsed) and strategy.nested == "better"):
        assert len(hits) >= min(k, scenes)
    assert len({hit.scene.id for hit in hits}) == len(hits) <= k
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    if not isinstance(strategy, Collapsed):
        assert {hit.scene.level for hit in hits} == {0}


@settings(max_examples=10, **SLOW)
@given(texts=videos, question=phrases, k=st.integers(1, 12))
def test_collapsed_against_its_definition(make_index, texts, question, k):
    """All levels ranked as one list; of two nested scenes one is kept."""
    toy = filled(make_index, texts)
    by = retriever(toy)
    every = by.search(Query(question, levels=LEVELS), 999)

    def nested(a, b):
        wider, finer = sorted((a.scene, b.scene), key=lambda scene: -scene.level)
        return wider.video == finer.video and (
            wider.span.start <= finer.span.start and finer.span.end <= wider.span.end
        )

    assert Collapsed(nested="both").find(Query(question), by, k) == every[:k]
    better = []
    for hit in every:
        if not any(nested(hit, other) for other in better):
            better.append(hit)
    assert Collapsed(nested="better").find(Query(question), by, k) == better[:k]
    finer = Collapsed().find(Query(question), by, k)
    assert not any(nested(a, b) for a in finer for b in finer if a is not b)
    places = {hit.scene.id: place for place, hit in enumerate(every)}
    for hit in finer:  # its own score, or that of something it is part of
        assert hit.score in {h.score for h in every if nested(h, hit) and h.score >= hit.score}
        assert hit.parts == every[places[hit.scene.id]].parts


def test_a_good_event_lifts_its_best_scene(make_index):
    toy = make_index()
    toy.add("a", *said(["soup soup", "knife", "bread", "milk"]))
    toy.add("b", *said(["plate", "plate", "soup", "open"]))
    hits = Collapsed().find(Query("knife bread milk"), retriever(toy), 3)
    assert {hit.scene.level for hit in hits} == {0}
    best = retriever(toy).search(Query("knife bread milk", levels=LEVELS), 1)[0]
    assert best.scene.level > 0 and hits[0].score == best.score


@settings(max_examples=8, **SLOW)
@given(texts=videos, question=phrases)
def test_top_down_with_wide_beams_is_the_mean_along_the_path(make_index, texts, question):
    """Against a search of each level by itself: half its own, a quarter event, a quarter video."""
    toy = filled(make_index, texts)
    by = retriever(toy)
    score = {}
    for level in LEVELS:
        score |= {h.scene.id: h.score for h in by.search(Query(question, levels=(level,)), 999)}
    hits = TopDown(above=0.5).find(Query(question), by, 999)
    parent = {scene.id: scene.parent for scene in toy.folder.catalog.scenes()}
    assert len(hits) == len(toy.folder.catalog.scenes(level=0))
    for hit in hits:
        event = hit.scene.parent
        above = (score[event] + score[parent[event]]) / 2
        assert hit.score == pytest.approx((score[hit.scene.id] + above) / 2)


def test_top_down_follows_the_beam_and_widens_it_only_for_want_of_scenes(make_index):
    toy = make_index()
    toy.add("a", *said(["knife", "knife bread", "milk", "milk"]))
    toy.add("b", *said(["soup", "soup", "soup", "bread knife milk"]))
    narrow = TopDown(videos=1, events=1)
    by = retriever(toy)
    assert {hit.path for hit in narrow.find(Query("knife milk"), by, 4)} == {"a"}
    assert {hit.path for hit in narrow.find(Query("knife milk"), by, 5)} == {"a", "b"}
    assert {hit.scene.level for hit in narrow.find(Query("knife", levels=("event",)), by, 5)} == {1}
    with pytest.raises(ValueError, match="videos must be a whole number from 1 up, got 0"):
        TopDown(videos=0)
    with pytest.raises(ValueError, match=r"above must lie in 0\.\.1, got 2"):
        TopDown(above=2)
    with pytest.raises(ValueError, match="did you mean 'finer'"):
        Collapsed(nested="fine")


def test_scenes_of_an_event_that_is_not_over_are_found(make_index):
    """At 6 s the event and the video still run: neither may be used, their three scenes may."""
    toy = make_index()
    toy.add("v", *said(["knife", "milk", "bread", "poison", "knife", "knife"]))
    query = Query("knife", until=6.0)
    for strategy in (Flat(), Collapsed(), TopDown(videos=1, events=1)):
        hits = strategy.find(query, retriever(toy), 9)
        assert [h.scene.span.start // 10**6 for h in hits][:1] == [0]
        assert len(hits) == 3 and {h.scene.level for h in hits} == {0}
        assert "poison" not in str(hits)
    # At 8 s the first event is over; the scene in the second is not behind for having none.
    hits = TopDown().find(Query("knife", until=10.0), retriever(toy), 9)
    assert len(hits) == 5
    assert {h.scene.span.start // 10**6 for h in hits[:2]} == {0, 8}
    before = TopDown().find(Query("knife", before=6.0), retriever(toy), 9)
    after = TopDown().find(Query("knife", after=2.0), retriever(toy), 9)
    assert len(before) == 3 and len(after) == 5


@settings(max_examples=12, **SLOW)
@given(
    past=st.lists(phrases, min_size=1, max_size=7),
    poison=st.lists(phrases, min_size=1, max_size=7),
    question=phrases,
    strategy=strategies,
    fuser=st.sampled_from([ReciprocalRank(), WeightedScores("z"), WeightedScores("rank")]),
    k=st.integers(1, 9),
)
def test_no_strategy_shows_what_is_after_the_cut_off(
    make_index, past, poison, question, strategy, fuser, k
):
    """The same scenes, events and videos with other words after ``until``, and further videos:
    hits, neighbours and notes stay the same to the last bit."""
    cut = float(2 * len(past))
    strategy = replace(strategy, neighbours=2, tokens=90, seconds=9.0)
    results = []
    for extra in (["plate"] * len(poison), poison):
        toy = make_index()
        toy.add("v", *said(past), *said(extra, cut))
        if extra is poison:
            toy.add("later", *said(extra, cut), scenes=[(0, cut + 2 * len(extra))])
        toy.add("other", *said(["take the milk"]))
        by = retriever(toy, fuser, depth=4)
        query = Query(question, until=cut)
        hits = strategy.find(query, by, k)
        found, notes = strategy.evidence(query, hits, by, lambda q, hit, c: 5 * len(hit.text))
        assert hits
        results.append(([h.to_json() for h in hits], [h.to_json() for h in found], notes))
    assert results[0] == results[1]


def test_an_index_with_nothing_in_it_or_with_words_alone(make_index):
    empty, toy = make_index(), make_index()
    toy.add("v", *said(["knife", "milk"]))
    by_words = Retriever(toy.folder, {}, ReciprocalRank())
    for strategy in (Flat(neighbours=1), Collapsed(), TopDown(), Adaptive()):
        assert strategy.find(Query("knife"), retriever(empty), 3) == []
        assert strategy.find(Query("helicopter"), by_words, 3) == []
        hits = strategy.find(Query("knife"), by_words, 3)
        assert hits[0].text == "knife" and hits[0].scene.level == 0
    for fuser in (Concatenated(), Whitened()):
        assert retriever(empty, fuser).search(Query("knife")) == []
        assert [h.text for h in retriever(toy, fuser).search(Query("knife"), 1)] == ["knife"]
        assert set(Retriever(toy.folder, {}, fuser).search(Query("knife"))[0].parts) == {"bm25"}
