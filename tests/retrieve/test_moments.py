"""Search over moments: a scene by its best one, where it lies, and never one from after the cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.fuse.rrf import ReciprocalRank
from egorag.render import hits_text
from egorag.retrieve.adaptive import Adaptive
from egorag.retrieve.collapsed import Collapsed
from egorag.retrieve.flat import Flat
from egorag.retrieve.retriever import Retriever
from egorag.retrieve.top_down import TopDown
from egorag.spans import Span
from egorag.store.records import Encoding
from egorag.types import Query

WORDS = ["knife", "fridge", "milk", "bread", "soup"]


@pytest.fixture
def fine_index(make_index, bag_of_words):
    """``make(texts, shown, reach)``: scenes of 4 s, and moments of 1 s by another encoder."""

    @dataclass(frozen=True)
    class Fine(bag_of_words):
        reach: int = 0

    def make(videos, reach=0, takes="text"):
        words, fine = bag_of_words(), Fine(takes, "toy-moments", reach=reach)
        toy = make_index(words=words, fine=fine)
        toy.encoders = {"words": words}
        for name, (texts, moments) in videos.items():
            lines = [(4 * i, 4 * i + 4, text) for i, text in enumerate(texts)]
            video = toy.add(name, *lines, scenes=[line[:2] for line in lines])
            spans = [Span.seconds(i, i + 1) for i in range(len(moments))]
            artifacts = toy.folder.artifacts
            key = artifacts.key(video=video, encoder="corpus-fine")
            made = artifacts.write_vectors(key, fine.embed_texts(moments), spans, {})
            record = toy.folder.catalog.record(video)
            own = Encoding("fine", "corpus-fine", "moments", key, made.sha256, len(spans))
            toy.folder.catalog.write_video(replace(record, encodings=(*record.encodings, own)))
        toy.encoders = {"words": words, "fine": fine}
        return toy

    return make


def search(toy, query, k=9, strategy=None, **given_settings):
    by = Retriever(toy.folder, toy.encoders, ReciprocalRank(), **given_settings)
    return (strategy or Flat()).find(query, by, k)


SHOWN = ["milk", "soup", "knife", "knife", "bread", "bread", "fridge", "soup", "milk knife"]


def test_a_scene_is_found_by_its_best_moment_and_tells_where_it_is(fine_index):
    toy = fine_index({"v": (["milk", "bread", "soup"], SHOWN)})
    hits = search(toy, Query("knife"), without=["bm25", "words"])
    assert [(h.scene.span.start // 10**6, h.focus) for h in hits][:2] == [
        (0, Span.seconds(2, 4)),
        (8, Span.seconds(8, 9)),
    ]
    assert hits[0].parts["fine"].score == pytest.approx(1, abs=0.1)
    assert hits[0].to_json()["focus"] == [2.0, 4.0]
    assert "best at 0:02 - 0:04" in hits_text(hits).replace(".000", "")
    # An encoder of scenes alone tells no focus; neither does a query that moments cannot take.
    assert {h.focus for h in search(toy, Query("knife"), without=["fine"])} == {None}
    mute = fine_index({"v": (["milk"], SHOWN)}, takes="image")
    assert {h.focus for h in search(mute, Query("milk"))} == {None}
    assert search(mute, Query(image=Path("milk.png")))[0].focus == Span.seconds(0, 1)
    for strategy in (Collapsed(), TopDown(), Adaptive()):
        assert search(toy, Query("knife"), strategy=strategy)[0].focus is not None


moments = st.lists(st.sampled_from(WORDS), min_size=1, max_size=13)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shown=moments,
    question=st.sampled_from(WORDS),
    until=st.none() | st.floats(1, 13),
    after=st.none() | st.sampled_from([0.0, 4.0]),
    reach=st.sampled_from([0, 500_000, 3_000_000]),
    level=st.sampled_from(["scene", "event", "video"]),
)
def test_against_brute_force(fine_index, shown, question, until, after, reach, level):
    toy = fine_index({"v": (["milk"] * -(-len(shown) // 4), shown)}, reach)
    query = Query(question, until=until, after=after, levels=(level,))
    retriever = Retriever(toy.folder, toy.encoders, ReciprocalRank())
    fine = toy.encoders["fine"]
    scores = fine.embed_texts(shown) @ fine.embed_texts([question])[0]
    last = (until if until is not None else 99) - reach / 1e6
    expected = {}
    for scene in toy.folder.catalog.scenes_by_id(toy.folder.catalog.scope(query).ids.tolist()):
        inside = [
            scores[t]
            for t in range(len(shown))
            if scene.span.start <= t * 10**6 < scene.span.end and t + 1 <= last
            and t >= (after or 0)
        ]  # fmt: skip
        if inside:
            expected[scene.id] = max(inside)
    ranking = retriever.rankings(query)["fine"]
    assert dict(ranking) == pytest.approx(expected, abs=1e-6)
    assert set(expected) <= ranking.known
    for hit in search(toy, query):
        assert (hit.focus is None) == (hit.scene.id not in expected)
        if hit.focus is not None:
            assert hit.focus.end / 1e6 <= last + 1e-9
            assert hit.scene.span.start <= hit.focus.start < hit.focus.end <= hit.scene.span.end
            best = max(
                range(len(shown)),
                key=lambda t: scores[t] if t * 10**6 in hit.focus else -9,
            )
            assert scores[best] == pytest.approx(expected[hit.scene.id], abs=1e-6)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    past=moments,
    poison=st.lists(st.sampled_from(WORDS), min_size=4, max_size=9),
    question=st.sampled_from(WORDS),
    strategy=st.sampled_from([Flat(), Collapsed(), TopDown(), Adaptive()]),
)
def test_no_moment_from_after_the_cut_off_shows(fine_index, past, poison, question, strategy):
    whole = -(-len(past) // 4)
    past = (past * 4)[: 4 * whole]
    told = []
    for extra in (["milk"] * len(poison), poison):
        videos = {"v": (["milk"] * (whole + 3), [*past, *extra]), "w": (["soup"], ["soup"] * 4)}
        toy = fine_index(videos, reach=1_000_000)
        hits = search(toy, Query(question, until=4.0 * whole), strategy=strategy)
        told.append([hit.to_json() for hit in hits])
    assert told[0] == told[1] != []
