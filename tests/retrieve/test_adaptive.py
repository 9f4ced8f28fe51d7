"""Chunk-adaptive evidence: which configuration represents a scene, and in which form it goes on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.fuse.rrf import ReciprocalRank
from egorag.generate.evidence import gather
from egorag.generate.numbered import cost, fitting
from egorag.retrieve.adaptive import Adaptive
from egorag.retrieve.forms import form_of
from egorag.retrieve.retriever import Retriever
from egorag.store.records import EncoderRow
from egorag.types import LEVELS, Query

WORDS = ["knife", "fridge", "milk", "bread", "soup", "open", "take", "plate"]
phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


def retriever(toy):
    return Retriever(toy.folder, toy.encoders, ReciprocalRank())


@pytest.fixture
def tracks(make_index):
    """Scenes of 10 s that are found by what is said, written or shown in them."""
    toy = make_index()
    toy.add(
        "v",
        (0, 5, "put the knife into the drawer", "transcript"),
        (1, 6, "a person at a table", "caption"),
        (2, 3, "SALE", "ocr"),
        (10, 15, "so I said to her", "subtitle"),
        (11, 16, "a knife lies beside the bread", "caption"),
        (20, 25, "well well", "transcript"),
        (21, 26, "KNIFE BREAD SHOP", "ocr"),
        (30, 39, "washing a plate", "caption"),
        scenes=[(0, 10), (10, 20), (20, 30), (30, 40)],
    )
    return toy


def test_each_scene_goes_on_in_the_form_in_which_it_was_found(tracks):
    by = retriever(tracks)
    query = Query("knife in the drawer, bread shop")
    hits = Adaptive(widest="scene").find(query, by, 4)
    forms = {hit.scene.span.start // 10**6: hit.form for hit in hits}
    assert forms == {0: "transcript", 10: "caption", 20: "ocr", 30: "caption"}
    assert all(hit.to_json()["form"] == hit.form for hit in hits)
    catalog = tracks.folder.catalog
    scenes, dropped = fitting(query, hits, catalog, 9999)
    told = {(s.span.start // 10**6, p.track) for s in scenes for p in s.passages}
    assert told == {(0, "transcript"), (10, "caption"), (20, "ocr"), (30, "caption")}
    assert dropped == 0
    assert {p.track for p in gather(query, hits[:1], catalog)} == {hits[0].form}
    assert cost(query, hits[0], catalog) < cost(query, by.search(query, 1)[0], catalog)


def test_the_filters_bind_what_decides_the_form(make_index):
    """The line that answers reaches over the end of what is asked for, so the caption is left."""
    toy = make_index()
    lines = [(0, 4, "a plate", "caption"), (10, 14, "a knife", "caption")]
    late = (15, 22, "the knife is in the drawer", "transcript")
    toy.add("v", *lines, late, (25, 29, "soup"), scenes=[(0, 10), (10, 20), (20, 30)])
    by = retriever(toy)
    for before, form in ((20.0, "caption"), (30.0, "transcript")):
        hits = Adaptive(widest="scene").find(Query("knife drawer", before=before), by, 1)
        assert (hits[0].scene.span.start, hits[0].form) == (10_000_000, form)
    scene = toy.folder.catalog.scenes(level=0)[1]
    seen = toy.folder.catalog.texts(scene.video, span=scene.span)
    assert form_of("bm25", Query("knife drawer"), {}, by, seen) == "transcript"
    assert form_of("bm25", Query("knife"), {}, by, seen[:1]) == "caption"
    assert form_of("bm25", Query("knife"), {}, by, []) is None


def test_encoders_of_pictures_and_sound_find_what_is_seen_and_heard(make_index, bag_of_words):
    kinds = {
        "looks": ("frames", bag_of_words("text+image", "looks")),
        "moves": ("frames", bag_of_words("text+video", "moves")),
        "noise": ("sound", bag_of_words("text+sound", "noise")),
    }
    toy = make_index(**{name: encoder for name, (_, encoder) in kinds.items()})
    toy.add("v", (0, 4, "a knife"), (4, 8, "a plate"))
    toy.folder.catalog.write_encoders(
        EncoderRow(name, f"corpus-{name}", encoder.space, {}, medium)
        for name, (medium, encoder) in kinds.items()
    )
    by = retriever(toy)
    forms = {name: form_of(name, Query("knife"), {}, by, []) for name in kinds}
    assert forms == {"looks": "frames", "moves": "clip", "noise": "sound"}
    assert form_of("looks:text", Query("knife"), {}, by, []) == "frames"
    hits = Adaptive().find(Query("knife"), Retriever(toy.folder, {"looks": kinds["looks"][1]},
                           ReciprocalRank(), without=["bm25"]), 2)  # fmt: skip
    assert {hit.form for hit in hits} == {"frames"}
    # Who cannot see is given all the text there is of it.
    assert {p.text for p in gather(Query("knife"), hits, toy.folder.catalog)} == {
        "a knife",
        "a plate",
    }


videos = st.lists(st.lists(phrases, min_size=1, max_size=9), min_size=1, max_size=3)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=videos, question=phrases, k=st.integers(1, 12), widest=st.sampled_from(LEVELS))
def test_against_its_definition(make_index, texts, question, k, widest):
    toy = make_index()
    for number, lines in enumerate(texts):
        toy.add(f"v{number}", *[(2 * i, 2 * i + 2, text) for i, text in enumerate(lines)])
    by = retriever(toy)
    catalog = toy.folder.catalog
    scenes = {scene.id: scene for scene in catalog.scenes()}
    levels = LEVELS[: LEVELS.index(widest) + 1]
    z = {}
    for level in levels:
        for name, ranking in by.rankings(Query(question, levels=(level,)), depth=999).items():
            raw = {i: dict(ranking).get(i, ranking.floor) for i in ranking.known}
            spread = np.std(list(raw.values())) if raw else 0
            if len(set(raw.values())) > 1:
                mean = np.mean(list(raw.values()))
                z[level, name] = {i: (s - mean) / spread for i, s in raw.items()}
    expected, says = {}, {}
    for scene in catalog.scenes(level=0):
        line = [scene.id, scene.parent, scenes[scene.parent].parent]
        says[scene.id] = {
            (level, name, line[LEVELS.index(level)]): of[line[LEVELS.index(level)]]
            for (level, name), of in z.items()
            if line[LEVELS.index(level)] in of
        }
        expected[scene.id] = np.mean(list(says[scene.id].values())) if says[scene.id] else 0.0
    hits = Adaptive(widest=widest).find(Query(question), by, k)
    best = sorted(expected.values(), reverse=True)
    assert hits[0].score == pytest.approx(best[0], abs=1e-9)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    for hit in hits:
        inside = [i for i in expected if hit.scene.id in (
            i, scenes[i].parent, scenes[scenes[i].parent].parent)]  # fmt: skip
        chunk = max(inside, key=lambda i: expected[i])
        assert hit.score == pytest.approx(expected[chunk], abs=1e-9)
        if hit.scene.level:  # some scene of it stands out most as this
            top = [max(says[i], key=says[i].get) for i in inside if says[i]]
            assert LEVELS[hit.scene.level] in {level for level, _, _ in top}
    for a in hits:
        for b in hits:
            apart = a.scene.video != b.scene.video or not a.scene.span.overlap(b.scene.span)
            assert a is b or apart
    if widest == "scene":
        assert len(hits) == min(k, len(expected))
        assert {h.scene.level for h in hits} == {0}


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    past=st.lists(phrases, min_size=2, max_size=7),
    poison=st.lists(phrases, min_size=1, max_size=7),
    question=phrases,
)
def test_nothing_after_the_cut_off_shows(make_index, past, poison, question):
    cut = float(2 * len(past))
    told = []
    for extra in (["plate"] * len(poison), poison):
        toy = make_index()
        lines = [
            (2 * i, 2 * i + 2, text, ("caption", "transcript")[i % 2])
            for i, text in enumerate([*past, *extra])
        ]
        late = [(cut - 0.5, cut + 0.5, "knife", "ocr")] if extra is poison else []
        toy.add("v", *lines, *late, scenes=[line[:2] for line in lines])
        if extra is poison:
            toy.add("later", *lines, scenes=[(0, cut + 2 * len(extra))])
        toy.add("other", (0, 2, "take the milk"))
        # The last scene before the cut-off holds the late line: not known by then.
        query = Query(question, until=cut - 2)
        hits = Adaptive().find(query, retriever(toy), 9)
        told.append([hit.to_json() for hit in hits])
    assert told[0] == told[1] != []


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="did you mean 'event'"):
        Adaptive(widest="events")
