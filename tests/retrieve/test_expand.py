"""From hits to evidence: neighbours, and budgets of tokens and seconds."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.fuse.rrf import ReciprocalRank
from egorag.generate.numbered import cost
from egorag.retrieve.flat import Flat
from egorag.retrieve.retriever import Retriever
from egorag.types import Query

SAID = ["open fridge", "take milk", "cut bread", "knife drawer", "wash plate", "stir soup"]


@pytest.fixture
def by(make_index):
    toy = make_index()
    toy.add("v", *[(10 * i, 10 * i + 10, text) for i, text in enumerate(SAID)])
    toy.add("w", (0, 10, "sing a song"))
    return Retriever(toy.folder, toy.encoders, ReciprocalRank())


def free(query, hit, catalog):
    raise AssertionError("nobody asked for tokens")


def starts(hits):
    return [(hit.path, hit.scene.span.start // 10**6) for hit in hits]


def evidence(by, query, k, count=cost, **given_settings):
    strategy = Flat(**given_settings)
    return strategy.evidence(query, strategy.find(query, by, k), by, count)


def test_neighbours_come_after_all_hits_nearest_first(by):
    query = Query("knife drawer")
    found, notes = evidence(by, query, 1, free, neighbours=2)
    assert starts(found) == [("v", 30), ("v", 20), ("v", 40), ("v", 10), ("v", 50)]
    assert notes == ()
    assert {hit.score for hit in found} == {found[0].score}
    assert [bool(hit.parts) for hit in found] == [True, False, False, False, False]
    assert found[1].text == "cut bread"
    two, _ = evidence(by, Query("milk knife drawer take"), 2, free, neighbours=1)
    assert starts(two)[:2] == [("v", 10), ("v", 30)] or starts(two)[:2] == [("v", 30), ("v", 10)]
    assert sorted(starts(two)[2:]) == [("v", 0), ("v", 20), ("v", 40)]  # 20 s stands by both


def test_neighbours_stay_inside_the_filters_and_the_video(by):
    def around(**filters):
        found, _ = evidence(by, Query("knife drawer", **filters), 1, free, neighbours=9)
        return {start for _, start in starts(found)}

    assert around() == {0, 10, 20, 30, 40, 50}
    assert around(until=45.0) == {0, 10, 20, 30}
    assert around(before=50.0, after=15.0) == {20, 30, 40}
    song, _ = evidence(by, Query("sing a song"), 1, free, neighbours=3)
    assert starts(song) == [("w", 0)]


def test_neighbours_are_of_the_hits_level_and_none_lies_in_a_hit(by):
    query = Query("stir soup wash plate", levels=("event",))
    found, _ = evidence(by, query, 1, free, neighbours=1)
    assert [(h.scene.level, h.scene.span.start // 10**6) for h in found] == [(1, 40), (1, 0)]
    both = Query("stir soup", levels=("scene", "video"))
    found, _ = evidence(by, both, 4, free, neighbours=3)
    assert all(hit.parts for hit in found)  # the video covers all its scenes


def test_seconds_take_whole_scenes_best_first(by):
    query = Query("knife drawer")
    found, notes = evidence(by, query, 4, free, seconds=25.0)
    assert starts(found) == starts(Flat().find(query, by, 2))
    assert notes == ("2 scenes had no room in strategy seconds=25.0",)
    found, notes = evidence(by, query, 1, free, seconds=25.0, neighbours=2)
    assert starts(found) == [("v", 30), ("v", 20)]
    # What lies inside what is kept already costs nothing.
    nested = Query("knife drawer", levels=("scene", "event"))
    found, notes = evidence(by, nested, 20, free, seconds=60.0)
    assert {hit.scene.level for hit in found} == {0, 1} and len(found) > 6


def test_only_the_best_scene_is_cut_where_it_alone_is_over(by):
    query = Query("knife drawer", levels=("event",))
    found, notes = evidence(by, query, 2, free, seconds=12.5)
    assert [(h.scene.span.start, h.scene.span.end) for h in found] == [(0, 12_500_000)]
    assert notes == (
        "the best scene alone is over strategy seconds=12.5 and was cut",
        "1 scenes had no room in strategy seconds=12.5",
    )
    whole = Flat().find(query, by, 1)[0]
    room = cost(query, whole, by.folder.catalog) - 5
    found, notes = evidence(by, query, 1, tokens=room)
    assert found[0].scene.id == whole.scene.id
    assert 0 < found[0].scene.span.end < whole.scene.span.end
    assert cost(query, found[0], by.folder.catalog) <= room
    found, notes = evidence(by, query, 2, tokens=1)
    assert found == [] and notes == ("2 scenes had no room in strategy tokens=1",)
    assert evidence(by, query, 1, neighbours=3)[0]
    assert Flat(neighbours=3, tokens=5).evidence(query, [], by, cost) == ([], ())


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    tokens=st.none() | st.integers(1, 400),
    seconds=st.none() | st.floats(0.5, 90),
    k=st.integers(1, 9),
    reach=st.integers(0, 3),
    levels=st.sampled_from([("scene",), ("scene", "event"), ("scene", "event", "video")]),
)
def test_no_budget_is_overrun(by, tokens, seconds, k, reach, levels):
    query = Query("knife soup", levels=levels)
    found, notes = evidence(by, query, k, neighbours=reach, tokens=tokens, seconds=seconds)
    catalog = by.folder.catalog
    if tokens:
        assert sum(cost(query, hit, catalog) for hit in found) <= tokens
    covered = {
        (hit.path, ms)
        for hit in found
        for ms in range(hit.scene.span.start // 1000, hit.scene.span.end // 1000)
    }
    assert seconds is None or len(covered) <= 1000 * seconds
    whole, _ = evidence(by, query, k, neighbours=reach)
    places = [[hit.scene.id for hit in whole].index(hit.scene.id) for hit in found]
    assert places == sorted(places)
    assert (len(found) < len(whole)) == any("no room" in note for note in notes)


@pytest.mark.parametrize(
    "wrong",
    [{"neighbours": -1}, {"neighbours": True}, {"tokens": 0}, {"tokens": 2.5}, {"seconds": 0}],
)
def test_wrong_settings_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be"):
        Flat(**wrong)
