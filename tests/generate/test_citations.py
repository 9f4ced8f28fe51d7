"""A citation is shown only if the index says those words at that time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from egorag.generate.citations import verify
from egorag.spans import Span
from egorag.types import Citation, Query


@pytest.fixture
def cited(make_index):
    toy = make_index()
    video = toy.add(
        "talk.mp4",
        (0, 4, "This is the  Webb\n space", "subtitle"),
        (4, 8, "telescope, in Maryland.", "subtitle"),
        (8, 12, "It is cold.", "subtitle"),
        (4, 8, "WEBB SPACE TELESCOPE", "ocr"),
        recorded_at=datetime(2024, 5, 1, tzinfo=UTC),
    )
    quote = "This is the Webb space telescope, in Maryland."
    good = Citation(video, "talk.mp4", Span.seconds(0, 8), quote, "subtitle")
    return toy.folder.catalog, good


ANY = Query("x")


def test_what_the_index_says_is_verified(cited):
    catalog, good = cited
    assert verify(good, catalog, ANY) == replace(good, verified=True, source="test")
    for change in (
        {"span": Span.seconds(1, 7.5)},
        {"quote": "Webb   space\ttelescope"},
        {"quote": "WEBB SPACE TELESCOPE", "track": "ocr", "span": Span.seconds(5, 6)},
        {"quote": "Maryland.", "span": Span.seconds(5, 5)},
    ):
        found = verify(replace(good, **change), catalog, ANY)
        assert found == replace(good, **change, verified=True, source="test")


@pytest.mark.parametrize(
    "change",
    [
        {"quote": "This is the Hubble space telescope"},
        {"quote": "Webb telescope, in Maryland."},
        {"quote": "elescope, in"},
        {"quote": "webb space"},
        {"quote": " "},
        {"quote": "It is cold."},
        {"track": "ocr"},
        {"span": Span.seconds(0, 12.1)},
        {"span": Span.seconds(4, 8)},
        {"span": Span.seconds(30, 40)},
        {"video": "nope"},
        {"path": "other.mp4"},
    ],
)
def test_what_it_does_not_say_is_not(cited, change):
    catalog, good = cited
    assert verify(replace(good, **change), catalog, ANY) is None


def test_nothing_beyond_the_filters(cited):
    catalog, good = cited
    noon = datetime(2024, 5, 1, tzinfo=UTC)
    for query in (
        Query("x", until=7.9),
        Query("x", before=7.9),
        Query("x", after=0.1),
        Query("x", until=noon + timedelta(seconds=7.9)),
    ):
        assert verify(good, catalog, query) is None
    for query in (Query("x", until=8.0), Query("x", until=noon + timedelta(seconds=8))):
        assert verify(good, catalog, query) is not None
