"""The planner of rules over small indexes: what it does, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_shared import corpus

from egorag.fuse.rrf import ReciprocalRank
from egorag.plan.rules import Rules
from egorag.plan.search import Methods, Search
from egorag.plan.times import date_of
from egorag.retrieve.retriever import Retriever
from egorag.spans import Span
from egorag.terminal import plain
from egorag.types import Query, TimedText

DAY = [
    (0, 4, "open the fridge"),
    (4, 8, "take the milk"),
    (8, 12, "wash hands"),
    (12, 40, "cut bread with the knife"),
    (40, 44, "close the fridge"),
    (44, 48, "take the keys"),
    (48, 70, "put the knife into the drawer"),
    (70, 74, "wash hands"),
    (74, 80, "leave the house"),
]
NOON = datetime(2024, 5, 3, 12, tzinfo=UTC)  # a Friday


def search(toy, planner=None):
    # BM25 alone: a bag of hashed words would rank every scene.
    return Search(Retriever(toy.folder, {}, ReciprocalRank()), Methods(planner=planner or Rules()))


def ask(toy, text, k=10, **filters):
    return search(toy).find(Query(text, **filters), k)


def starts(found):
    return [hit.scene.span.start // 1_000_000 for hit in found]


@pytest.fixture
def day(make_index):
    toy = make_index()
    toy.add("day", *DAY)
    return toy


@pytest.mark.parametrize(
    "text",
    [
        "open the fridge",
        "look after the baby",
        "after all the knife",
        "I cut bread for a while",
        "the before-and-after picture of the fridge",
        "the Monday song",
        "yesterday's milk",
        "have I washed hands before?",
        "when did I close the fridge?",
        "do you know when I closed the fridge",
        "year after year the same bread",
        "my last name is on the drawer",
        "the second hand of the clock",
        'the day after the milk "unpaired',
        "at last the fridge",
        "a woman is talking while she cuts bread",
        "While a man cuts bread, his wife takes the milk.",
        "take the milk before closing the fridge",
        "bread on the street at night",
    ],
)
def test_words_that_only_look_like_a_plan_stay_words(day, text):
    found = ask(day, text)
    literal = search(day).hits(Query(text), 10)
    assert (found.plan.steps, found.plan.query, list(found)) == ((), Query(text), literal)


def test_after_before_and_while(day):
    found = ask(day, "what did I do after I closed the fridge?")
    assert starts(found) == [44, 48, 70, 74]
    anchor = found.plan.to_json()["steps"][-1]["anchors"]
    assert [(a["start"], a["end"]) for a in anchor] == [(40.0, 44.0)]
    assert starts(ask(day, "what happened before I closed the fridge?")) == [12, 8, 4, 0]
    assert starts(ask(day, "After closing the fridge, what did I take?"))[0] == 44
    assert starts(ask(day, "what did I take after I closed the fridge?"))[0] == 44
    assert starts(ask(day, "what did I take before I closed the fridge?")) == [4]
    assert starts(ask(day, "what happened while I cut bread?")) == [12]
    assert starts(ask(day, "what happened after the second time I washed hands?")) == [74]
    nested = ask(day, "what did I do before I took the keys after I closed the fridge?")
    assert starts(nested)[0] == 40


def test_what_is_not_found_is_searched_without_and_said(day):
    text = "where was the knife after the phone rang?"
    found = ask(day, text)
    assert list(found) == search(day).hits(Query(text), 10)
    assert "'the phone rang' was not found surely enough; searched without it" in found.notes
    late = ask(day, "what did I do after I leave the house?")
    assert any("nothing that may be seen lies after" in note for note in late.notes)
    assert any(
        "2 times only" in n for n in ask(day, "knife after the fifth time I washed hands").notes
    )


def test_first_last_nth_and_how_often(day):
    assert starts(ask(day, "when was the last time I washed hands?"))[:2] == [70, 8]
    assert starts(ask(day, "when did I first wash hands?"))[:2] == [8, 70]
    assert starts(ask(day, "the second time I washed hands"))[:1] == [70]
    counted = ask(day, "How many times did I wash my hands?")
    assert counted.plan.to_json()["count"]["occurrences"] == 2
    few = search(day, Rules(wide=2)).find(Query("how often did I wash hands?"), 5)
    assert "only the best 2 scenes were ordered or counted" in few.notes
    assert "within day" in ask(day, "the last time I washed hands").plan.order


def test_phrases_come_first_or_are_missed(day):
    found = ask(day, 'knife bread keys "into the drawer"')
    assert starts(found)[0] == 48
    assert (
        "no scene that may be seen holds the phrase 'the blue door'"
        in ask(day, 'knife "the blue door"').notes
    )


def test_times_in_the_video(day):
    assert starts(ask(day, "what did I do between 0:40 and 0:48?")) == [40, 44]
    assert starts(ask(day, "what did I do at 0:45?")) == [44]
    assert starts(ask(day, "where was the knife in the first 20 seconds?")) == [12]
    assert starts(ask(day, "when did I wash hands in the last minute?")) == [70]
    # Until 44 s, the last 30 s are those from 14 s on.
    assert starts(ask(day, "where was the knife in the last 30 seconds?", until=44.0)) == [12]
    unknown = ask(day, "where was the knife yesterday?")
    assert any("no recording's time is known" in note for note in unknown.notes)
    assert not unknown.plan.steps


def test_the_calendar_and_the_clock(make_index):
    toy = make_index()
    toy.add("wed", (0, 9, "cut bread"), recorded_at=NOON - timedelta(days=2))
    toy.add("thu", (0, 9, "cut bread"), recorded_at=NOON - timedelta(days=1, hours=3))
    toy.add("fri", (0, 9, "cut bread"), recorded_at=NOON)

    def paths(text, **filters):
        return {hit.path for hit in ask(toy, text, **filters)}

    assert paths("did I cut bread yesterday morning?") == {"thu"}
    assert paths("did I cut bread yesterday evening?") == set()
    assert paths("did I cut bread on Wednesday?") == {"wed"}
    assert paths("did I cut bread two days ago?") == {"wed"}
    assert paths("did I cut bread on 3 May?") == {"fri"}
    assert paths("did I cut bread between 8:30 and 10:00?") == {"thu"}
    assert paths("did I cut bread between 9 and 10 am?") == {"thu"}
    # What is known only later does not move "now".
    assert paths("did I cut bread yesterday?", until=NOON - timedelta(hours=20)) == {"wed"}
    assert [h.path for h in ask(toy, "the last time I cut bread")] == ["fri", "thu", "wed"]
    assert paths("did I cut bread yesterday?", after=NOON) == set()  # the user's filter binds


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"share": 0.0}, "share must lie above 0"),
        ({"apart": -1.0}, "close and apart must be 0 or more"),
        ({"anchors": 0}, "anchors and wide must be 1 or more"),
        ({"similar": {"clip": 2.0}}, "similar.clip must be a cosine"),
    ],
)
def test_settings_out_of_range_are_refused(settings_, said):
    with pytest.raises(ValueError, match=said):
        Rules(**settings_)


@pytest.mark.parametrize(
    ("said", "first", "last"),
    [
        ("yesterday", "2024-05-02T00", "2024-05-03T00"),
        ("last night", "2024-05-02T18", "2024-05-03T05"),
        ("the day before yesterday", "2024-05-01T00", "2024-05-02T00"),
        ("on friday", "2024-05-03T00", "2024-05-04T00"),
        ("last friday", "2024-04-26T00", "2024-04-27T00"),
        ("on 4 may", "2023-05-04T00", "2023-05-05T00"),
        ("on feb 29", "2024-02-29T00", "2024-03-01T00"),
        ("last week", "2024-04-22T00", "2024-04-29T00"),
        ("two hours ago", "2024-05-03T09:30", "2024-05-03T10:30"),
    ],
)
def test_dates(said, first, last):
    stretch = date_of(said, NOON.replace(tzinfo=None))
    assert stretch == (
        datetime.fromisoformat(f"{first}{'' if ':' in first else ':00'}"),
        datetime.fromisoformat(f"{last}{'' if ':' in last else ':00'}"),
    )
    assert date_of("on 31 february", NOON.replace(tzinfo=None)) is None


WORDS = st.sampled_from(
    [
        *("after", "before", "while", "when", "the first time", "the last time", "how many times"),
        *("knife", "fridge", "I wash hands", '"bread"', "I closed", "yesterday", "on Monday"),
        *("at 0:45", "between 0:10 and 0:45", "in the last minute", ",", "?", "did", "take"),
    ]
)
QUERIES = st.one_of(
    st.lists(WORDS, min_size=1, max_size=8).map(" ".join), st.text(min_size=1).filter(plain)
)
SETTINGS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(
    text=QUERIES.filter(lambda t: t.strip().isprintable() and t.strip()),
    start=st.sampled_from([None, 8.0]),
)
def test_any_text_only_narrows(day, text, start):
    query = Query(text, after=start, until=60.0)
    found = search(day).find(query, 5)
    catalog = day.folder.catalog
    allowed = set(catalog.scope(query).ids.tolist())
    assert {hit.scene.id for hit in found} <= allowed and len(found) <= 5
    for step in found.plan.steps:
        assert set(catalog.scope(step.query).ids.tolist()) <= allowed
    assert set(catalog.scope(found.plan.query).ids.tolist()) <= allowed


@settings(SETTINGS, max_examples=25)
@given(text=QUERIES)
def test_nothing_after_until_shows(make_index, text):
    made = []
    for poison in ([], [(80, 90, "wash hands close the fridge knife bread"), (90, 400, "bread")]):
        toy = make_index()
        video = toy.add("day", *DAY, *poison, recorded_at=NOON)
        toy.add("before", (0, 4, "wash hands"), recorded_at=NOON - timedelta(days=1))
        if poison:
            later = NOON + timedelta(days=1)
            toy.add("later", (0, 5, "I wash hands"), (5, 9, "close the fridge"), recorded_at=later)
        found = search(toy).find(Query(text, until=NOON + timedelta(seconds=50)), 5)
        plan = str(found.plan.to_json()).replace(video, "day")
        hits = [(hit.path, hit.scene.span, hit.score, hit.text) for hit in found]
        made.append((hits, found.notes, found.plan.told(), plan))
    assert made[0] == made[1]


def test_who_says_it(make_index):
    toy = make_index()
    lines = [("Anna", "the soup is hot"), ("Ben", "the soup is cold"), ("SPEAKER_00", "hello")]
    texts = [
        TimedText(Span.seconds(5 * i, 5 * i + 5), text, "transcript", "test", speaker=who)
        for i, (who, text) in enumerate(lines)
    ]
    corpus.write_video(toy.folder, "talk", texts, toy.encoders, None, [])
    assert starts(ask(toy, "what did Anna say about the soup?")) == [0]
    assert starts(ask(toy, "what does Ben say?")) == [5]
    assert starts(ask(toy, "what did speaker_00 say?")) == [10]
    assert len(ask(toy, "what did I say to Anna about soup?")) == 2
    # Who speaks only after the cut-off is not known.
    assert not ask(toy, "what did Ben say about soup?", until=6.0).plan.steps
