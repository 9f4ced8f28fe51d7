"""Rankings that tell what they know, and weighted scores over a real index: nothing leaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.fuse.pool import SCALES
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.weighted import WeightedScores
from egorag.retrieve.retriever import Retriever
from egorag.store.fulltext import has_text
from egorag.types import Query

SAID = [(0, 4, "open the fridge"), (4, 8, "take the milk"), (8, 12, "cut the bread")]


@pytest.fixture
def toy(make_index, bag_of_words):
    """Three videos, two of them read by one encoder alone; one scene says and holds nothing."""
    both = {"words": bag_of_words(), "looks": bag_of_words("text+image", "toy-pictures")}
    toy = make_index(**both)
    toy.videos = {"both": toy.add("both.mp4", *SAID)}
    toy.encoders = {"words": both["words"]}
    toy.videos["words"] = toy.add("words.mp4", *SAID)
    toy.encoders = {"looks": both["looks"]}
    toy.videos["looks"] = toy.add("looks.mp4", (0, 4, "fridge"), (9, 9.5, "oven"))
    toy.encoders = both
    toy.silent = toy.folder.catalog.scenes(toy.videos["looks"], 0)[1].id
    return toy


def scenes(toy, *videos):
    found = {s.id for v in videos for s in toy.folder.catalog.scenes(toy.videos[v], 0)}
    return found - {toy.silent}


def test_a_ranking_knows_what_has_a_vector_or_a_text_in_it(toy):
    retriever = Retriever(toy.folder, toy.encoders, WeightedScores())
    found = retriever.rankings(Query("fridge"))
    assert found["words"].known == scenes(toy, "both", "words")
    assert found["looks"].known == scenes(toy, "both", "looks")
    assert found["bm25"].known == scenes(toy, "both", "words", "looks")
    assert len(found["bm25"]) == 3 and found["bm25"].floor == 0.0
    # Cut off before its end: what is not named may have as much as the last that is.
    short = Retriever(toy.folder, toy.encoders, WeightedScores(), depth=2).rankings(Query("fridge"))
    assert short["bm25"].floor == short["bm25"][-1][1] > 0
    assert short["words"].floor == short["words"][-1][1]
    assert (
        Retriever(toy.folder, toy.encoders, WeightedScores()).rankings(Query("plane"))["bm25"].known
    )  # it names nothing, and knows what the others name


def test_holds_is_what_the_catalog_says(toy):
    catalog = toy.folder.catalog
    every = [s.id for v in toy.videos.values() for s in catalog.scenes(v)]
    asked = np.array([*every[::-1], 5], np.int64)
    for name in ("words", "looks"):
        of = {v for v in toy.videos.values() if name in catalog.encodings(v)}
        expected = [s.id for v in of for s in catalog.scenes(v)]
        held = set(asked[toy.folder.vectors.holds(name, asked)].tolist())
        assert held == {*expected} - {toy.silent}
    assert {*asked[~has_text(catalog, asked)].tolist()} == {toy.silent, 5}
    assert not has_text(catalog, np.empty(0, np.int64)).size


@pytest.mark.parametrize("normalise", SCALES)
def test_a_video_without_an_encoder_is_not_behind_for_it(toy, normalise):
    """The same words in two videos, one of them read by one encoder alone."""

    def apart(fuser):
        hits = Retriever(toy.folder, toy.encoders, fuser).search(Query("fridge"), k=99)
        best = {path: max(h.score for h in hits if h.path == path) for path in
                ("both.mp4", "words.mp4")}  # fmt: skip
        return best["both.mp4"] - best["words.mp4"]

    # "fridge" alone looks more like the query than "open the fridge" does, so its picture
    # takes the first video back a little; it never gives it a lead.
    assert apart(WeightedScores(normalise)) <= 0
    assert apart(WeightedScores(normalise, {"looks": 0})) == 0
    assert apart(ReciprocalRank()) <= 0
    assert apart(ReciprocalRank(fair=False)) > 0


words = st.sampled_from(["knife", "fridge", "milk", "bread", "soup", "open", "take"])
phrases = st.lists(words, min_size=1, max_size=4).map(" ".join)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    past=st.lists(phrases, min_size=1, max_size=5),
    poison=st.lists(phrases, min_size=1, max_size=5),
    question=phrases,
    normalise=st.sampled_from(list(SCALES)),
    depth=st.integers(1, 4),
)
def test_statistics_are_of_the_scope(
    make_index, bag_of_words, past, poison, question, normalise, depth
):
    """Scenes and videos later than ``until``, with and without each encoder: means, spreads,
    lowest and highest scores and who knows what stay the same to the last bit."""
    cut = float(2 * len(past))
    results = []
    for extra in ([], poison):
        both = {"words": bag_of_words(), "looks": bag_of_words("text", "toy-pictures")}
        toy = make_index(**both)
        lines = [(2 * i, 2 * i + 2, said) for i, said in enumerate([*past, *extra])]
        toy.add("v", *lines, scenes=[line[:2] for line in lines])
        for name in both if extra else ():
            toy.encoders = {name: both[name]}
            late = [(cut + i, cut + i + 1, said) for i, said in enumerate(poison)]
            toy.add(f"later {name}", *late, scenes=[(0, cut + len(poison))])
        toy.encoders = {"words": both["words"]}
        toy.add("other", (0, 2, "take the milk"), scenes=[(0, 2)])
        retriever = Retriever(toy.folder, both, WeightedScores(normalise), depth)
        query = Query(question, until=cut)
        hits = retriever.search(query, k=depth)
        assert hits
        results.append([[h.to_json() for h in hits], retriever.rankings(query)])
    (hits, told), (poisoned_hits, poisoned) = results
    assert hits == poisoned_hits
    assert told == poisoned
