"""Columns laid out for search say what the catalog's rows say, or are not used."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.errors import StoreError
from egorag.store import tables
from egorag.store.catalog import Catalog
from egorag.store.fulltext import search_text
from egorag.store.scope import COLUMNS
from egorag.types import LEVELS, Query

WORDS = ["knife", "cup", "café", "東京", "naïve", "x1", "zz", "opening", "the", "é", "🔪a"]


@pytest.fixture
def filled(folder, toy):
    """An index with both files."""
    rng = random.Random(0)
    said = [[" ".join(rng.choices(WORDS, k=5)) for _ in range(6)] for _ in range(3)]
    toy.fill(folder, [toy.record(f"v{i}", texts) for i, texts in enumerate(said)])
    return folder


def reader(folder) -> Catalog:
    return Catalog(folder.path / "catalog.sqlite")


def file(folder, name: str):
    (path,) = (folder.path / "tables").glob(f"{name}.*.safetensors")
    return path


def test_scenes_are_those_of_the_rows(filled) -> None:
    with reader(filled) as catalog:
        table, rows = catalog.table(), catalog.read_table()
        assert not table.ids.flags.writeable and rows.ids.flags.writeable  # mapped, and not
        for name in COLUMNS:
            assert np.array_equal(getattr(table, name), getattr(rows, name))
            assert getattr(table, name).dtype == np.int64
        assert table.videos == rows.videos and len(table.videos) == 3
    assert {f.name for f in dataclasses.fields(table)} == {*COLUMNS, "videos"}


def test_postings_are_those_of_fts5(filled) -> None:
    with reader(filled) as catalog:
        documents = catalog.documents()
        assert documents.columns is not None
        assert documents.ids.tolist() == [i for i, _ in catalog.text_lengths()]
        assert documents.lengths.tolist() == [n for _, n in catalog.text_lengths()]
        terms = dict(catalog.text_terms())
        assert len(terms) > 8 and list(terms) == sorted(terms, key=str.encode)
        for term, scenes in terms.items():
            found = documents.postings(term)
            assert found is not None
            rows, counts = found
            assert np.repeat(documents.ids[rows], counts.astype(int)).tolist() == sorted(scenes)
        for absent in ("", "b", "zzz", "kn", "~"):
            found = documents.postings(absent)
            assert found is not None and len(found[0]) == len(found[1]) == 0


@settings(max_examples=60, deadline=None)
@given(
    occurrences=st.lists(st.integers(0, 9).map(lambda i: i * i), max_size=30),
    others=st.sets(st.integers(0, 9).map(lambda i: i * i)),
)
def test_count_counts(occurrences, others) -> None:
    ids = np.array(sorted({*occurrences, *others}), np.int64)
    rows, counts = tables.count(ids, np.array(occurrences, np.int64))
    found = dict(zip(ids[rows].tolist(), counts.tolist(), strict=True))
    assert found == {i: occurrences.count(i) for i in occurrences}


DAMAGES = {
    "missing": lambda p: p.unlink(),
    "empty": lambda p: p.write_bytes(b""),
    "cut": lambda p: p.write_bytes(p.read_bytes()[:-3]),
    "changed": lambda p: p.write_bytes(p.read_bytes()[:-3] + b"xyz"),
    "garbage": lambda p: p.write_bytes(b"\xff" * 9000),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["scenes", "text"])
def test_damage_is_mended(filled, name: str, damage: str) -> None:
    def ask() -> list[tuple[int, float]]:
        with reader(filled) as catalog:
            return search_text(catalog, "knife opening", catalog.scope(Query("q")), 9)

    answer = ask()
    whole = file(filled, name).read_bytes()
    DAMAGES[damage](file(filled, name))
    assert answer and ask() == answer
    filled.vectors.refresh()
    assert file(filled, name).read_bytes() == whole


def test_what_is_older_is_not_used_and_removed(filled, toy) -> None:
    old = file(filled, "scenes"), file(filled, "text")
    filled.catalog.write_video(toy.record("new", ["mango"]))
    with reader(filled) as catalog:
        scope = catalog.scope(Query("q", levels=LEVELS))
        assert catalog.documents().columns is None
        assert len(search_text(catalog, "mango", scope, 9)) == 3
        filled.vectors.refresh()
        assert not any(path.exists() for path in old)
        assert len(search_text(catalog, "mango", scope, 9)) == 3
    with reader(filled) as catalog:
        assert catalog.documents().columns is not None
        assert len(search_text(catalog, "mango", catalog.scope(Query("q")), 9)) == 1


def test_nothing_is_written_again(filled) -> None:
    before = [file(filled, name).stat().st_mtime_ns for name in ("scenes", "text")]
    filled.vectors.refresh()
    assert [file(filled, name).stat().st_mtime_ns for name in ("scenes", "text")] == before


def test_an_index_without_text_and_an_empty_one(folder, toy) -> None:
    folder.vectors.refresh()
    with reader(folder) as catalog:
        assert len(catalog.table().ids) == len(catalog.documents().ids) == 0
        assert search_text(catalog, "knife", catalog.scope(Query("q")), 5) == []
    toy.fill(folder, [toy.record("v", ["", ""])])
    with reader(folder) as catalog:
        assert len(catalog.table().ids) == 4
        assert search_text(catalog, "knife", catalog.scope(Query("q")), 5) == []


def test_a_disk_that_cannot_be_written_is_named(filled, toy, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    filled.catalog.write_video(toy.record("new", ["mango"]))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        filled.vectors.refresh()
    monkeypatch.undo()
    assert not list((filled.path / "tables").glob(".*"))
    assert len(list((filled.path / "tables").iterdir())) == 2
