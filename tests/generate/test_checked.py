"""What a model cites is shown only where the index bears it out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.fuse.rrf import ReciprocalRank
from egorag.generate.checked import UNVERIFIED, check, cite
from egorag.generate.citations import verify
from egorag.generate.numbered import data, numbered, tokens
from egorag.generate.reply import Claim
from egorag.retrieve.retriever import Retriever
from egorag.spans import Span
from egorag.types import Query

LINES = [
    (0, 4, "NAR: I put the car keys", "subtitle"),
    (4, 8, "into the blue bowl. Then it’s tea.", "subtitle"),
    (2, 6, "KEYS HERE", "ocr"),
    (20, 24, "I drop the ladle in the sink.", "subtitle"),
    (40, 44, "I hide the spare key under the mat.", "subtitle"),
]
SCENES = [(0, 10), (10, 30), (30, 50)]


@pytest.fixture
def case(make_index):
    toy = make_index()
    toy.add("home/day.mp4", *LINES, scenes=SCENES)

    def over(budget=6000, k=10, **filters):
        query = Query("keys bowl ladle key mat", **filters)
        hits = Retriever(toy.folder, toy.encoders, ReciprocalRank()).search(query, k)
        scenes, dropped = numbered(query, hits, toy.folder.catalog, budget)
        return query, scenes, dropped, toy.folder.catalog

    return over


def test_scenes_are_numbered_in_time_with_their_texts_by_track(case):
    _, scenes, dropped, _ = case()
    assert [(s.number, s.span) for s in scenes] == [
        (i, Span.seconds(*span)) for i, span in enumerate(SCENES, 1)
    ]
    assert not dropped
    assert json.loads(scenes[0].line()) == {
        "scene": 1,
        "video": "day.mp4",
        "from": "0:00.000",
        "to": "0:10.000",
        "texts": {
            "subtitle": [
                ["0:00.000", "NAR: I put the car keys into the blue bowl."],
                ["0:04.000", "Then it’s tea."],
            ],
            "ocr": [["0:02.000", "KEYS HERE"]],
        },
    }


def test_nothing_beyond_the_cut_off_is_handed_over(case):
    _, scenes, _, _ = case(until=24.0)
    told = "".join(scene.line() for scene in scenes)
    assert "ladle" in told or "bowl" in told
    assert "mat" not in told
    _, scenes, _, _ = case(until=7.9)
    assert "tea" not in "".join(scene.line() for scene in scenes)


def test_the_budget_goes_to_the_best_hits(case):
    _, scenes, _, _ = case()
    full = sum(tokens(scene.line()) for scene in scenes)
    for budget in range(0, full + 40, 10):
        _, kept, dropped, _ = case(budget)
        assert sum(tokens(scene.line()) for scene in kept) <= budget
        assert dropped + sum(len(s.passages) for s in kept) == 5
    assert not dropped
    assert case(5)[1] == []


@given(st.text())
def test_data_is_one_line_that_spells_no_tag(text):
    told = data([text])
    assert "<" not in told
    assert "\n" not in told
    assert json.loads(told) == [text]


@pytest.mark.parametrize(
    ("number", "quote", "span", "words"),
    [
        (1, "car keys into the blue bowl", (0, 8), "car keys into the blue bowl"),
        (1, "“Car  Keys…”", (0, 8), "car keys"),
        (1, "blue bowl. Then it's tea", (0, 8), "blue bowl. Then it’s tea"),
        (1, "then it's tea.", (4, 8), "Then it’s tea"),
        (1, "keys here", (2, 6), "KEYS HERE"),
        (2, "the ladle", (20, 24), "the ladle"),
    ],
)
def test_a_quote_gets_its_exact_time_and_words(case, number, quote, span, words):
    query, scenes, _, catalog = case()
    found = cite(scenes[number - 1], quote, query, catalog)
    assert (found.span, found.quote) == (Span.seconds(*span), words)
    assert found.verified
    assert verify(found, catalog, query) == found


@pytest.mark.parametrize(
    "quote",
    ["", "...", "'\"", "the red bowl", "ladle", "ar keys", "KEYS HERE NAR", "the", "into the",
     "keys.*bowl", "car keys bowl"],
)  # fmt: skip
def test_what_the_scene_does_not_say_is_not_cited(case, quote):
    query, scenes, _, catalog = case()
    assert cite(scenes[0], quote, query, catalog) is None


def test_a_scene_from_before_a_stricter_cut_off_is_not_cited(case):
    _, scenes, _, catalog = case()
    assert cite(scenes[0], "car keys", Query("x", until=7.9), catalog) is None
    assert cite(scenes[0], "keys here", Query("x", until=7.9), catalog) is not None


def test_sentences_are_marked_and_counted(case):
    query, scenes, _, catalog = case()
    claims = [
        Claim("In the bowl.", ((1, "blue bowl"), (1, "green bowl"))),
        Claim("Also there.", ((1, "blue bowl"), (2, "ladle"))),
        Claim("Under the mat.", ((7, "the mat"),)),
        Claim("Surely.", ()),
    ]
    checked = check(claims, scenes, query, catalog)
    assert checked.text == (
        f"In the bowl. [1] Also there. [1][2] Under the mat. {UNVERIFIED} Surely. {UNVERIFIED}"
    )
    assert [c.quote for c in checked.citations] == ["blue bowl", "ladle"]
    assert (checked.given, checked.held, checked.share) == (6, 3, 0.5)
    assert checked.supported == 0.5
    assert check([], scenes, query, catalog).share is None


@given(st.lists(st.tuples(st.integers(-2, 5), st.text("keys bowl.'", max_size=12)), max_size=3))
def test_every_citation_shown_holds(case_once, cited):
    query, scenes, catalog = case_once
    for citation in check([Claim("x", tuple(cited))], scenes, query, catalog).citations:
        assert verify(citation, catalog, query) == citation


@pytest.fixture(scope="module")
def case_once(tmp_path_factory):
    from retrieve_conftest import Toy

    toy = Toy(tmp_path_factory.mktemp("once") / "index", {})
    toy.add("home/day.mp4", *LINES, scenes=SCENES)
    query = Query("keys bowl")
    hits = Retriever(toy.folder, {}, ReciprocalRank()).search(query)
    yield query, numbered(query, hits, toy.folder.catalog, 6000)[0], toy.folder.catalog
    toy.folder.close()
