"""Text through a projection: its own ranking, only between the spaces it was trained for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egorag.encode.projection import Projection
from egorag.errors import ConfigError, SpaceError
from egorag.fuse.rrf import ReciprocalRank
from egorag.retrieve.bridges import bridges
from egorag.retrieve.retriever import Retriever
from egorag.types import Query

LINES = [(0, 4, "open the fridge"), (4, 8, "take the milk"), (8, 12, "wash a plate")]


def identity(source, target, name="same", seen=()):
    """A projection that changes nothing: the toys embed all media alike."""
    eye, none = np.eye(source.dim, dtype=np.float32), np.zeros(source.dim, np.float32)
    return Projection(name, source, target, ((eye, none),), frozenset(seen))


@pytest.fixture
def toy(make_index, bag_of_words):
    made = make_index(words=bag_of_words(), motion=bag_of_words("video", "motion"))
    made.ids = [made.add("kitchen.mp4", *LINES), made.add("other.mp4", (0, 5, "park the car"))]
    return made


def search(toy, *projections, without=(), encoders=None):
    found = bridges(projections, toy.folder.catalog.encoders())
    given = toy.encoders if encoders is None else encoders
    return Retriever(toy.folder, given, ReciprocalRank(), without=without, bridges=found)


def between(toy, **changes):
    words, motion = toy.encoders["words"].space, toy.encoders["motion"].space
    return identity(words, motion, **changes)


def test_text_reaches_the_other_space_as_a_ranking_of_its_own(toy):
    # Its own encoder is not even loaded: only the text encoder is.
    able = search(toy, between(toy), encoders={"words": toy.encoders["words"]})
    hits = able.search(Query("take milk"), k=9)
    assert hits[0].text == "take the milk"
    assert set(hits[0].parts) == {"bm25", "words", "motion"}
    assert hits[0].parts["motion"] == hits[0].parts["words"]
    assert len([h for h in hits if "motion" in h.parts]) == 4
    assert able.left_out(Query("take milk")) == {}
    assert able.left_out(Query(video=Path("milk.mp4"))).keys() == {"words", "bm25"}
    both = search(toy, between(toy)).search(Query("take milk", video=Path("plate.mp4")), k=9)
    assert {n for h in both for n in h.parts} == {"bm25", "words", "motion:text", "motion:video"}
    first = {n: h.text for h in both for n, part in h.parts.items() if part.rank == 1}
    assert first["motion:text"] == "take the milk" and first["motion:video"] == "wash a plate"


def test_a_ranking_can_be_left_out_and_its_text_encoders_too(toy):
    def parts(*without):
        hits = search(toy, between(toy), without=without).search(Query("milk"), k=9)
        return {name for hit in hits for name in hit.parts}

    assert parts("motion") == {"words", "bm25"}
    assert parts("words") == {"motion", "bm25"}  # the text still enters by it
    assert parts("words", "bm25") == {"motion"}
    with pytest.raises(SpaceError, match="no encoder of this index takes a query by text"):
        parts("words", "bm25", "motion")


def test_without_one_the_remedy_is_told(toy):
    remedy = r"a projection trained with python -m egorag.train projection lets text in"
    assert remedy in search(toy).left_out(Query("milk"))["motion"]
    assert remedy not in str(search(toy).left_out(Query(video=Path("a.mp4"))))
    with pytest.raises(SpaceError, match=remedy):
        search(toy, without=("words", "bm25")).search(Query("milk"))


def test_other_spaces_are_refused_by_name(toy):
    words, motion = toy.encoders["words"].space, toy.encoders["motion"].space
    strange = replace(motion, revision="2")
    with pytest.raises(SpaceError, match=r"'same' leads to motion@2 .*motion: motion@1"):
        search(toy, identity(words, strange))
    with pytest.raises(SpaceError, match=r"'same' leads from toy@2 .*words: toy@1"):
        search(toy, identity(replace(words, revision="2"), motion))
    with pytest.raises(SpaceError, match=r"'same' leads from motion@1"):
        search(toy, identity(motion, motion))  # no text enters there
    with pytest.raises(ConfigError, match=r"leads to words, which takes text by itself"):
        search(toy, identity(words, words))
    with pytest.raises(ConfigError, match=r"'same' and 'again' both lead to motion"):
        search(toy, between(toy), between(toy, name="again"))
    with pytest.raises(SpaceError, match=r"takes vectors of toy@1 .*not of motion@1"):
        between(toy).apply(np.zeros(128, np.float32), motion)


def test_videos_it_was_trained_on_are_told(toy):
    one = search(toy, between(toy, seen=[toy.ids[0], "gone"]))
    (note,) = one.notes(Query("milk"))
    assert note.startswith("motion: projection 'same' was trained on 1 of these 2 videos")
    assert "1 of these 1 videos" in one.notes(Query("milk", videos=(toy.ids[0],)))[0]
    assert one.notes(Query("milk", videos=(toy.ids[1],))) == []
    assert one.notes(Query(video=Path("milk.mp4"))) == []  # no text, no projection
    left = search(toy, between(toy, seen=toy.ids), without=("motion",))
    assert left.notes(Query("milk")) == []


def test_a_projection_whose_layers_do_not_fit_is_refused(toy):
    words, motion = toy.encoders["words"].space, toy.encoders["motion"].space
    zero = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="cannot follow 128-d vectors"):
        Projection("a", words, motion, ((np.zeros((4, 5), np.float32), zero),), frozenset())
    with pytest.raises(ValueError, match="layers that end in 4-d"):
        Projection("a", words, motion, ((np.zeros((4, 128), np.float32), zero),), frozenset())
    with pytest.raises(ValueError, match="layers that end in 128-d"):
        identity(words, replace(motion, normalised=False))
