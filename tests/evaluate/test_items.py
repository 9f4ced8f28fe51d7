"""Items as plain data: what comes back is what went in."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.evaluate.base import Item, Relevant
from egorag.evaluate.items import item_from_json, item_to_json
from egorag.evaluate.record import RunFolder, read_items
from egorag.spans import Span

SPANS = st.tuples(st.integers(0, 10**12), st.integers(0, 10**9)).map(lambda p: Span(p[0], sum(p)))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ITEMS = st.builds(
    Item,
    TEXTS,
    TEXTS,
    videos=st.tuples(TEXTS),
    choices=st.tuples(TEXTS, TEXTS),
    answer=st.none() | TEXTS | st.integers(0, 1),
    public=st.booleans(),
    relevant=st.lists(st.builds(Relevant, TEXTS, SPANS, st.floats(0, 3))).map(tuple),
    window=st.none() | SPANS,
    until=st.none() | st.floats(0, 1e6) | st.just(datetime(2026, 1, 2, 3, tzinfo=UTC)),
    labels=st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS).map(tuple)),
)


@given(ITEMS)
def test_an_item_survives(item):
    assert item_from_json(json.loads(json.dumps(item_to_json(item)))) == item


def test_items_of_a_run_are_read_in_order_whatever_they_hold(tmp_path):
    # A line separator of Unicode ends no line of the file.
    items = [Item("b", "one\u2028two\nthree"), Item("a", "?", choices=("x", "y"), answer=1)]
    with RunFolder.open(tmp_path / "run") as folder:
        folder.keep(items)
    assert read_items(tmp_path / "run") == items
    assert read_items(tmp_path / "run" / "record.json") == items


@pytest.mark.parametrize("content", ["{", "[]", '{"id": 1}', "\udcff", '{"until": null}'])
def test_damaged_items_are_refused(tmp_path, content):
    (tmp_path / "items.jsonl").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"items\.jsonl"):
        read_items(tmp_path)


def test_items_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"items\.jsonl"):
        read_items(tmp_path)
