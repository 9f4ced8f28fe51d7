"""Searching small indexes: what is found, refused, filtered, and never leaked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.errors import ConfigError, SpaceError
from egorag.fuse.rrf import ReciprocalRank
from egorag.retrieve.retriever import Retriever
from egorag.types import Query

KITCHEN = [
    (0, 4, "open the fridge"),
    (4, 8, "take the milk"),
    (8, 12, "cut bread with the knife"),
    (12, 16, "put the knife into the drawer"),
    (16, 20, "wash a plate"),
]


def retriever(toy, fuser=None, depth=100):
    return Retriever(toy.folder, toy.encoders, fuser or ReciprocalRank(), depth)


def found(hits):
    return [(h.path, h.scene.span.start // 1_000_000) for h in hits]


def test_words_and_vectors_together(make_index):
    toy = make_index()
    toy.add("kitchen.mp4", *KITCHEN)
    toy.add("garage.mp4", (0, 5, "park the car"), (5, 9, "close the door of the garage"))
    hits = retriever(toy).search(Query("where is the knife drawer?"), k=3)
    assert found(hits)[0] == ("kitchen.mp4", 12)
    assert hits[0].text.startswith("put the knife into the drawer")
    assert set(hits[0].parts) == {"bm25", "words"}
    assert hits[0].parts["bm25"].rank == 1
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    # BM25 ranks only what shares a word; dense search ranks every scene.
    everything = retriever(toy).search(Query("plate"), k=100)
    assert len(everything) == 7
    assert ["bm25" in h.parts for h in everything] == [True] + [False] * 6


def test_levels_and_videos(make_index):
    toy = make_index()
    kitchen = toy.add("kitchen.mp4", *KITCHEN)
    toy.add("other.mp4", *KITCHEN)
    search = retriever(toy).search
    hits = search(Query("knife", levels=("event",), videos=(kitchen,)))
    assert [(h.scene.level, h.path) for h in hits] == [(1, "kitchen.mp4")] * 2
    assert {h.scene.level for h in search(Query("knife", levels=("video",)))} == {2}
    levels = {h.scene.level for h in search(Query("knife", levels=("scene", "event", "video")), 99)}
    assert levels == {0, 1, 2}
    with pytest.raises(ConfigError, match="no video 'nope'"):
        search(Query("knife", videos=("nope",)))


def test_equal_scenes_come_in_order_of_video_and_time(make_index):
    toy = make_index()
    ids = {n: toy.add(n, *[(i, i + 1, "stir the soup") for i in range(6)]) for n in "abc"}
    hits = retriever(toy).search(Query("soup"), k=10)
    expected = sorted((ids[n], i) for n in "abc" for i in range(6))[:10]
    assert [(h.scene.video, h.scene.span.start // 1_000_000) for h in hits] == expected
    assert {h.parts["bm25"].rank for h in hits} == {1}


def test_time_filters_bind_snippets_too(make_index):
    toy = make_index()
    toy.add("v", (0, 6, "first knife"), (5, 14, "second knife"), scenes=[(0, 10), (10, 20)])
    search = retriever(toy).search
    assert search(Query("knife"))[0].text == "first knife second knife"
    assert found(search(Query("knife", after=10.0))) == [("v", 10)]
    # The line reaches out of the asked time, so it is not shown.
    assert [h.text for h in search(Query("knife", after=10.0))] == [""]
    # The first scene holds a line that ends at 14 s: before then it is not known.
    assert search(Query("knife", until=13.9)) == []
    assert found(search(Query("knife", until=14.0))) == [("v", 0)]


def test_dates(make_index):
    toy = make_index()
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    toy.add("dated", (0, 5, "knife on the table"), (5, 10, "knife in hand"), recorded_at=noon)
    toy.add("undated", (0, 5, "knife elsewhere"))
    query = Query("knife", until=noon + timedelta(seconds=6))
    assert found(retriever(toy).search(query)) == [("dated", 0)]
    assert retriever(toy).untimed(query) == 1
    assert retriever(toy).untimed(Query("knife", until=6.0)) == 0


def test_each_medium_goes_to_the_spaces_that_take_it(make_index, bag_of_words, tmp_path):
    toy = make_index(
        words=bag_of_words(),
        looks=bag_of_words("image", "toy-pictures"),
        clip=bag_of_words("image+text", "toy-clip"),
    )
    toy.add("kitchen.mp4", *KITCHEN)
    search = retriever(toy).search
    by_image = search(Query(image=tmp_path / "milk.png"))
    assert found(by_image)[0] == ("kitchen.mp4", 4)
    assert set(by_image[0].parts) == {"looks", "clip"}
    both = search(Query("knife", image=tmp_path / "milk.png"))
    assert set(both[0].parts) == {"words", "looks", "clip:text", "clip:image", "bm25"}
    with pytest.raises(SpaceError, match=r"by sound.*clip \(image, text\).*looks \(image\).*bm25"):
        search(Query("knife", sound=tmp_path / "ring.wav"))


def test_an_index_without_vectors_is_searched_by_words(make_index):
    toy = make_index()
    toy.add("kitchen.mp4", *KITCHEN)
    hits = Retriever(toy.folder, {}, ReciprocalRank()).search(Query("knife"))
    assert [set(h.parts) for h in hits] == [{"bm25"}] * 2
    assert Retriever(toy.folder, {}, ReciprocalRank()).search(Query("helicopter")) == []


def test_wrong_use_is_named(make_index):
    toy = make_index()
    search = retriever(toy).search
    assert search(Query("knife")) == []
    for text in ("", "  \n", "\x00\x1b"):
        with pytest.raises(ConfigError, match="query text is empty"):
            search(Query(text))
    with pytest.raises(ConfigError, match="k must be 1 or more, got 0"):
        search(Query("knife"), k=0)
    with pytest.raises(ConfigError, match="depth"):
        retriever(toy, depth=0)
    toy.add("kitchen.mp4", *KITCHEN)
    with pytest.raises(ConfigError, match="did you mean 'words'"):
        retriever(toy, ReciprocalRank(weights={"word": 2}))


@pytest.mark.parametrize(
    "text", ['"', "a AND OR NOT (", "*" * 50, "\ud800 knife", "🔪 naïve", "x" * 9999]
)
def test_any_text_is_safe(make_index, text):
    toy = make_index()
    toy.add("kitchen.mp4", *KITCHEN)
    assert len(retriever(toy).search(Query(text))) == 5


words = st.sampled_from(["knife", "fridge", "milk", "bread", "soup", "open", "take"])
phrases = st.lists(words, min_size=1, max_size=4).map(" ".join)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    past=st.lists(phrases, min_size=1, max_size=6),
    poison=st.lists(phrases, min_size=1, max_size=6),
    question=phrases,
    others=st.lists(phrases, max_size=3),
)
def test_nothing_after_the_cut_off_can_change_a_result(make_index, past, poison, question, others):
    """Scenes, cues, whole videos later than ``until``: the result is the same to the last bit."""

    def lines(said, start):
        return [(start + 2 * i, start + 2 * i + 2, text) for i, text in enumerate(said)]

    results = []
    cut = float(2 * len(past))
    for extra in ([], poison):
        toy = make_index()
        # A late line reaches a little into the last scene before the cut-off.
        late = [(cut - 0.2, cut + 0.8, " ".join(extra))] if extra else []
        scenes = [(s, e) for s, e, _ in [*lines(past, 0), *lines(extra, cut)]]
        toy.add("v", *lines(past, 0), *lines(extra, cut), *late, scenes=scenes)
        if extra:
            toy.add("later", *lines(extra, cut), scenes=[(0, cut + 2 * len(extra))])
        toy.add("other", *lines([*others, "milk"], 0))
        hits = retriever(toy).search(Query(question, until=cut), k=50)
        assert hits
        results.append([h.to_json() for h in hits])
    assert results[0] == results[1]


def test_minilm_finds_it_in_other_words(make_index):
    from egorag.encode.minilm import MiniLM

    encoder = MiniLM(threads=1)
    encoder.setup()
    toy = make_index(minilm=encoder)
    toy.add("kitchen.mp4", *KITCHEN)
    hits = retriever(toy).search(Query("slicing a loaf"), k=1)
    assert hits[0].text.startswith("cut bread with the knife")
    assert Path(hits[0].path).name == "kitchen.mp4"


def test_each_query_enters_exactly_the_spaces_that_take_it(make_index, bag_of_words):
    toy = make_index(
        words=bag_of_words(),
        motion=bag_of_words("video", "motion"),
        looks=bag_of_words("text+image+video", "looks"),
        noise=bag_of_words("sound", "noise"),
        mute=bag_of_words("", "mute"),
    )
    toy.add("kitchen.mp4", *KITCHEN)
    search = retriever(toy)
    expected = {
        Query("knife"): {"words", "looks", "bm25"},
        Query(image=Path("knife.jpg")): {"looks"},
        Query(sound=Path("knife.wav")): {"noise"},
        Query(video=Path("knife.mp4")): {"motion", "looks"},
    }
    every = {"words", "motion", "looks", "noise", "mute", "bm25"}
    for query, used in expected.items():
        hits = search.search(query, k=5)
        assert {name for hit in hits for name in hit.parts} == used
        assert set(search.left_out(query)) == every - used
    assert search.left_out(Query("knife"))["motion"] == (
        "takes video, not text; a projection trained with python -m egorag.train projection lets "
        "text in"
    )
    assert search.left_out(Query("knife"))["mute"] == "takes no query, not text"
    both = search.search(Query("knife", video=Path("plate.mp4")), k=99)
    parts = {name for hit in both for name in hit.parts}
    assert parts == {"words", "motion", "looks:text", "looks:video", "bm25"}


def test_rankings_left_out_on_request(make_index):
    toy = make_index()
    toy.add("kitchen.mp4", *KITCHEN)

    def without(*names):
        return Retriever(toy.folder, toy.encoders, ReciprocalRank(), without=names)

    assert {n for h in without("bm25").search(Query("knife")) for n in h.parts} == {"words"}
    assert {n for h in without("words").search(Query("knife")) for n in h.parts} == {"bm25"}
    assert without("words").left_out(Query("knife")) == {"words": "left out on request"}
    with pytest.raises(SpaceError, match=r"no encoder of this index.*\(without: bm25, words\)"):
        without("bm25", "words").search(Query("knife"))
    with pytest.raises(ConfigError, match="did you mean 'words'"):
        without("word")
