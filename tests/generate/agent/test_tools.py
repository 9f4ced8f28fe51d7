"""Every tool, its refusals, and that none reaches beyond the query's filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.errors import SpaceError
from egorag.fuse.rrf import ReciprocalRank
from egorag.generate.agent.gathered import Gathered
from egorag.generate.agent.tools import Desk
from egorag.generate.agent.view import View
from egorag.retrieve.retriever import Retriever
from egorag.types import LEVELS, Query

MORNING = datetime(2026, 5, 1, 9, tzinfo=UTC)


@pytest.fixture
def desk(world, told):
    """``desk(toy=None, search=None, room=4000, **filters)``"""

    def one(toy=None, search=None, room=4000, **filters):
        toy = toy or world()
        find = search or Retriever(toy.folder, toy.encoders, ReciprocalRank()).search
        view = View.of(Query(told.QUESTION, **filters), toy.folder.catalog)
        return Desk(view, Gathered(), find, 5, room)

    return one


def use(desk, tool, **arguments):
    """Lines of one call as data: the facts, then the scenes."""
    text = desk.call(tool, arguments, 1).text(desk.view.names)
    return [json.loads(line) for line in text.splitlines()]


def said(scenes):
    return [text for scene in scenes for lines in scene["texts"].values() for _, text in lines]


def test_orient_tells_what_there_is(desk):
    (head,) = use(desk(), "orient")
    day, work = head["videos"]
    assert day == {
        "video": "v1",
        "file": "day.mp4",
        "from": "0:00.000",
        "to": "0:25.000",
        "recorded_at": "2026-05-01T09:00:00+00:00",
        "lines": {"caption": 1, "ocr": 1, "subtitle": 3},
        "speakers": [],
        "scenes": {"scene": 5, "event": 2, "video": 1},
    }
    assert (work["video"], head["of"]) == ("v2", 2)
    (rest,) = use(desk(room=1), "orient", first=1)
    assert ([v["video"] for v in rest["videos"]], rest["next"]) == (["v1"], 2)
    assert use(desk(), "orient", first=9) == [{"videos": [], "of": 2}]


def test_search_takes_video_times_and_level(desk):
    head, first, *_ = use(desk(), "search", query="car keys")
    assert head["found"] == 5
    assert "car keys" in said([first])[0]
    assert [s["video"] for s in use(desk(), "search", query="keys", video="v2")[1:]] == ["v2"]
    late = use(desk(), "search", query="keys", video="v1", after="0:15")[1:]
    assert [s["from"] for s in late] == ["0:20.000", "0:15.000"]
    dated = use(desk(), "search", query="keys", before="2026-05-01T09:00:05Z")[1:]
    assert [(s["video"], s["to"]) for s in dated] == [("v1", "0:05.000")]
    events = use(desk(), "search", query="kettle", level="event", video="v1")[1:]
    assert {(s["from"], s["to"]) for s in events} == {
        ("0:00.000", "0:20.000"),
        ("0:20.000", "0:25.000"),
    }


def test_scenes_lists_in_order_and_says_where_it_stopped(desk):
    head, *scenes = use(desk(), "scenes", video="v1")
    assert head == {"found": 5}
    assert [s["from"] for s in scenes] == [f"0:{n:02}.000" for n in (0, 5, 10, 15, 20)]
    head, *scenes = use(desk(room=130), "scenes", video="v1")
    assert (head["found"], head["next"], len(scenes)) == (5, "0:10.000", 2)
    (head, only) = use(desk(), "scenes", video="v1", after=6, before=9)
    assert said([only]) == ["a kettle on a stove"]


def test_read_transcript_reads_all_tracks_or_one(desk):
    _, all_of_it = use(desk(), "read_transcript", video="v1", after=4, before="0:16")
    assert set(all_of_it["texts"]) == {"subtitle", "caption", "ocr"}
    assert (all_of_it["from"], all_of_it["to"]) == ("0:04.000", "0:16.000")
    _, seen = use(desk(), "read_transcript", video="v1", track="ocr")
    assert said([seen]) == ["NO PARKING"]
    assert use(desk(), "read_transcript", video="v1", track="mood") == [{"found": 0}]
    head, part = use(desk(room=70), "read_transcript", video="v1")
    assert (head["next"], len(said([part]))) == ("0:05.000", 1)


def test_look_without_pictures_tells_what_is_seen(desk):
    _, near = use(desk(), "look", video="v1", after=6)
    assert (near["to"], said([near])) == ("0:16.000", ["a kettle on a stove", "NO PARKING"])


def test_zoom_goes_from_an_event_to_its_scenes_to_all_text(desk):
    at = desk()
    event = use(at, "search", query="kettle", level="event", video="v1")[1]
    assert event["to"] == "0:20.000"
    _, *finer = use(at, "zoom", scene=event["scene"])
    assert [s["from"] for s in finer] == ["0:00.000", "0:05.000", "0:10.000", "0:15.000"]
    _, whole = use(at, "zoom", scene=finer[1]["scene"])
    assert said([whole]) == ["a kettle on a stove"]
    assert whole["scene"] == finer[1]["scene"], "the same part of a video keeps its number"


def test_pictures_come_from_the_file_that_was_indexed(film):
    view = View.of(Query("x", until=5.0), film.folder.catalog)
    at = Desk(view, Gathered(), None, 5, 4000, frames=3, size=64)
    (scene,) = at.call("look", {"video": "v1", "after": 1, "before": 7}, 1).scenes
    assert (scene.span.start, scene.span.end) == (1_000_000, 5_000_000)
    assert len(scene.pictures) == 3
    assert all(1e6 <= p.time < 5e6 and max(p.image.shape) == 64 for p in scene.pictures)
    Path(view.videos[0].path).write_bytes(b"another film")
    blind = at.call("look", {"video": "v1", "after": 2, "before": 4}, 1)
    assert blind.notes[0].endswith("could not be looked at: " + blind.head["no_pictures"])
    assert blind.head == {
        "found": 0,
        "no_pictures": "it is another file than the one that was indexed",
    }


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("shell", {"command": "rm -rf /"}, "no such tool"),
        ("serch", {}, "did you mean 'search'"),
        ("search", {}, "query is missing"),
        ("search", {"query": " \n"}, "query must be a few words"),
        ("search", {"query": ["keys"]}, "query must be a few words"),
        ("search", {"query": "x", "until": 9999}, "no argument is called 'until'"),
        ("search", {"query": "x", "level": "clip"}, "level must be one of"),
        ("search", {"query": "x", "video": "v9"}, "no video of that name"),
        ("search", {"query": "x", "video": "../etc"}, "no video of that name"),
        ("search", {"query": "x", "after": "soon"}, "after must be a time"),
        ("search", {"query": "x", "after": True}, "after must be a time"),
        ("search", {"query": "x", "after": float("nan")}, "after must be a time"),
        ("search", {"query": "x", "after": "2026-05-01T09:00"}, "after must be a time"),
        ("read_transcript", {"video": "v1", "after": 1e300}, "can be seen from 0:00.000"),
        ("read_transcript", {"video": "v1", "after": 9, "before": 3}, "can be seen from"),
        ("look", {"video": "v1"}, "after is missing"),
        ("zoom", {"scene": 7}, "no scene has the number 7; there are none yet"),
        ("zoom", {"scene": 0}, "scene must be a whole number"),
        ("zoom", {"scene": True}, "scene must be a whole number"),
        ("zoom", {"scene": 10**30}, "scene must be a whole number"),
        ("orient", {"first": "v1"}, "first must be a whole number"),
    ],
)
def test_what_cannot_be_had_is_told(desk, tool, arguments, message):
    (line,) = use(desk(), tool, **arguments)
    assert message in line["error"]


def test_the_same_call_is_not_carried_out_twice(desk, world, told):
    asked = []

    def search(query, k):
        asked.append(query)
        return []

    at = desk(search=search)
    assert use(at, "search", query="keys") == [{"found": 0}]
    assert "answered in round 1" in use(at, "search", query="keys", level=None)[0]["repeated"]
    assert len(asked) == 1


def test_a_search_that_fails_is_told(desk):
    def search(query, k):
        raise SpaceError("no encoder takes that")

    assert use(desk(search=search), "search", query="x") == [{"error": "no encoder takes that"}]


def test_a_search_is_bound_by_both_filters(desk):
    asked = []

    def search(query, k):
        asked.append(query)
        return []

    at = desk(search=search, after=2.0, before=20.0, until=22.0)
    use(at, "search", query="a", after=0, before=99)
    use(at, "search", query="b", after=5, before="0:09")
    use(at, "search", query="c", video="v1", after=0, before=99)
    assert [(q.after, q.before, q.until) for q in asked] == [
        (2.0, 20.0, 22.0),
        (5.0, 9.0, 22.0),
        (2.0, 20.0, 22.0),
    ]
    dated = desk(search=search, until=MORNING + timedelta(seconds=12))
    assert (
        "name a video"
        in use(desk(search=search, after=MORNING), "search", query="d", after=3)[0]["error"]
    )
    use(dated, "search", query="e", video="v1", before=99)
    assert (asked[-1].before, asked[-1].until) == (12.0, MORNING + timedelta(seconds=12))


def every_call(n=4):
    """Calls that try to see everything."""
    yield "orient", {}
    for level in (*LEVELS, None):
        yield "search", {"query": "car keys poison", "level": level, "before": 9999}
        yield "scenes", {"video": "v1", "level": level, "before": "2099-01-01T00:00Z"}
    yield "search", {"query": "poison", "after": 0, "before": 1e9}
    for video in ("v1", "v2", "v3"):
        yield "read_transcript", {"video": video, "after": 0, "before": 9999}
        yield "look", {"video": video, "after": 0, "before": 9999}
    for number in range(1, n + 20):
        yield "zoom", {"scene": number}


def everything(at):
    return [at.call(tool, given, 1).text(at.view.names) for tool, given in every_call()]


POISON = [(15, 20, "poison car keys keys"), (16, 60, "the car keys are poison", "ocr")]


@pytest.mark.parametrize("until", [15.0, MORNING + timedelta(seconds=15)])
def test_poison_after_the_cut_off_changes_no_byte(desk, world, told, until):
    clean = everything(desk(world([*told.DAY[:3], (15, 20, "I sleep")]), until=until))
    late = [(0, 4, "poison car keys")]
    poisoned = desk(world(told.DAY[:3] + POISON), until=until)
    assert everything(poisoned) == clean
    if isinstance(until, datetime):  # a video recorded later is not even counted
        assert everything(desk(world(told.DAY[:3] + POISON, late), until=until)) == clean
        assert "work" not in "".join(clean)


def test_a_search_that_leaks_is_held_back(desk, world, told):
    toy = world()
    whole = Retriever(toy.folder, toy.encoders, ReciprocalRank())

    def leaky(query, k):
        return whole.search(Query("car keys", levels=LEVELS), 50)

    at = desk(toy, leaky, until=15.0, videos=(toy.folder.catalog.videos()[0].id,))
    text = at.call("search", {"query": "keys"}, 1).text(at.view.names)
    assert "hook" not in text
    assert "budget" not in text
    assert "bowl" in text
    assert "hook" not in at.first(leaky(None, 0)).text(at.view.names)


@given(
    after=st.none() | st.integers(0, 25),
    before=st.none() | st.integers(0, 25),
    until=st.none() | st.integers(0, 25),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_tool_tells_a_line_outside_the_filters(desk, told, after, before, until):
    allowed = {
        text
        for start, end, text, _ in [*told.DAY, *told.WORK]
        if (after is None or start >= after)
        and (before is None or end <= before)
        and (until is None or end <= until)
    }
    at = desk(after=after, before=before, until=until)
    for tool, arguments in every_call():
        lines = use(at, tool, **arguments)
        assert set(said(line for line in lines if "texts" in line)) <= allowed
