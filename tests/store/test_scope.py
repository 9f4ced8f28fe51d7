"""Scopes against the definition, spelled out scene by scene."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.spans import to_us
from egorag.store.catalog import Catalog
from egorag.types import LEVELS, Query

DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
DATES = {"a": DAY, "b": DAY + timedelta(hours=1), "c": None}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory, toy):
    with Catalog(tmp_path_factory.mktemp("scope") / "c", read_only=False) as opened:
        for video, date in DATES.items():
            opened.write_video(toy.record(video, ["x"] * 5, recorded_at=date))
        yield opened


seconds = st.one_of(st.integers(-2, 12), st.floats(-2, 12), st.sampled_from([1e300, -np.inf]))
dates = st.integers(-5, 3700).map(lambda s: DAY + timedelta(seconds=s))
times = st.none() | seconds | dates


def in_video(time, recorded_at) -> float | None:
    """Microseconds in a video that was recorded then; None where that is not known."""
    if not isinstance(time, datetime):
        return to_us(time) if abs(time) < 1e100 else time
    return recorded_at and (time - recorded_at) / timedelta(microseconds=1)


@settings(max_examples=200, deadline=None)
@given(
    after=times,
    before=times,
    until=times,
    levels=st.sets(st.sampled_from(LEVELS), min_size=1).map(tuple),
    videos=st.sets(st.sampled_from("abc")).map(tuple),
)
def test_scope_is_its_definition(catalog, after, before, until, levels, videos) -> None:
    scope = catalog.scope(
        Query("q", after=after, before=before, until=until, levels=levels, videos=videos)
    )
    expected, untimed = [], set()
    for scene in catalog.scenes():
        date = DATES[scene.video]
        limits = [t if t is None else in_video(t, date) for t in (after, before, until)]
        missing = [t for t, own in zip((after, before, until), limits, strict=True) if t != own]
        if videos and scene.video not in videos:
            continue
        if date is None and any(isinstance(t, datetime) for t in missing):
            untimed.add(scene.video)
            continue
        if (
            LEVELS[scene.level] in levels
            and (limits[0] is None or scene.span.start >= limits[0])
            and (limits[1] is None or scene.span.end <= limits[1])
            and (limits[2] is None or scene.known_at <= limits[2])
        ):
            expected.append(scene.id)
    assert scope.ids.tolist() == sorted(expected)
    assert scope.untimed == len(untimed)
    assert scope.causal == (until is not None)


def test_unknown_videos_are_named(catalog) -> None:
    with pytest.raises(ConfigError, match=r"no video 'aa'.*did you mean 'a'"):
        catalog.scope(Query("q", videos=("aa",)))


def test_holds_takes_ids_in_any_order(catalog) -> None:
    scope = catalog.scope(Query("q"))
    mixed = np.concatenate([scope.ids[::-1], [0, 2**62]])
    assert scope.holds(mixed).tolist() == [True] * len(scope.ids) + [False, False]
    nothing = catalog.scope(Query("q", until=-1))
    assert not nothing.holds(mixed).any()


def test_an_empty_index_has_an_empty_scope(tmp_path) -> None:
    with Catalog(tmp_path / "c", read_only=False) as empty:
        assert empty.scope(Query("q", after=DAY)).ids.tolist() == []


def test_ranking_breaks_ties_by_video_and_start(catalog) -> None:
    table = catalog.table()
    leaves = catalog.scenes(level=0)
    ids = np.sort(np.array([s.id for s in leaves]))
    for k in (1, 4, 15, 99):
        ranked = table.rank(ids, np.zeros(len(ids)), k)
        assert [id for id, _ in ranked] == [s.id for s in leaves][:k]
    scores = np.arange(len(ids), dtype=np.float32)
    assert [id for id, _ in table.rank(ids, scores, 3)] == ids[::-1][:3].tolist()
