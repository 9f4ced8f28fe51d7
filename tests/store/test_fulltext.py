"""BM25 against FTS5's own, on the scope and nothing but the scope."""

from __future__ import annotations

import random
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.store import fulltext, tables
from egorag.store.catalog import Catalog
from egorag.store.fulltext import parse, search_text
from egorag.store.migrations import TOKENIZER
from egorag.types import Query

VOCABULARY = [
    *("knife", "fridge", "door", "cup", "tap", "plate", "opening", "opened", "café", "cut"),
    *("red", "blue", "green", "onion"),
]
NASTY = [
    "",
    '"',
    '"""',
    '" "',
    "AND OR NOT NEAR(a, 3)",
    "speech:knife",
    "-knife +door^2 (cup*",
    "'; DROP TABLE documents; --",
    "\x00\x01\ufffe\ud800",
    "🔪",
    "a" * 100_000,
    "knife " * 20_000,
    '"knife ' * 15_000,
    " ".join(map(str, range(20_000))),
]


def sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(VOCABULARY, range(1, len(VOCABULARY) + 1), k=rng.randrange(12)))


def fts5_scores(catalog: Catalog, ids: set[int], match: str) -> dict[int, float]:
    """FTS5's bm25 over a fresh table that holds these scenes only."""
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE VIRTUAL TABLE t USING fts5(speech, visuals, tokenize='{TOKENIZER}')")
    for scene, text in catalog.scene_texts(sorted(ids)).items():
        if text.speech or text.visuals:
            db.execute(
                "INSERT INTO t(rowid, speech, visuals) VALUES (?,?,?)",
                (scene, text.speech, text.visuals),
            )
    return dict(db.execute("SELECT rowid, -bm25(t) FROM t WHERE t MATCH ?", (match,)))


def lay_out(catalog: Catalog) -> None:
    read = catalog.read_table, catalog.text_lengths, catalog.text_terms
    tables.save(catalog.tables, catalog.generation(), *read)


@pytest.fixture(scope="module", params=["rows", "laid out"])
def catalog(request, tmp_path_factory, toy):
    """Searched as FTS5 has it, and by the inverted file made from that."""
    rng = random.Random(0)
    with Catalog(tmp_path_factory.mktemp("fulltext") / "c", read_only=False) as opened:
        for i in range(12):
            said, seen = ([sentence(rng) for _ in range(9)] for _ in range(2))
            opened.write_video(toy.record(f"v{i}", said, visuals=seen))
        if request.param == "laid out":
            lay_out(opened)
            assert opened.documents().columns is not None
        yield opened


phrases = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3).map(tuple)
scopes = st.builds(
    lambda levels, until, after: Query("q", until=until, after=after, levels=levels),
    st.sampled_from([("scene",), ("event",), ("scene", "event", "video")]),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(0, 20),
)


@settings(max_examples=150, deadline=None)
@given(
    asked=st.lists(
        phrases, min_size=1, max_size=4, unique_by=lambda p: parse(f'"{" ".join(p)}"')[0]
    ),
    query=scopes,
)
def test_equals_fts5_over_the_scope(catalog, asked, query) -> None:
    quoted = [f'"{" ".join(phrase)}"' for phrase in asked]
    scope = catalog.scope(query)
    found = search_text(catalog, " ".join(quoted), scope, 10_000)
    expected = fts5_scores(catalog, set(scope.ids.tolist()), " OR ".join(quoted))
    assert {id for id, _ in found} == set(expected)
    for id, score in found:
        assert score == pytest.approx(expected[id], rel=1e-9)
    assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)


def test_equals_fts5_over_everything(catalog) -> None:
    # The catalog's own table, all rows, ranked by FTS5 itself.
    scope = catalog.scope(Query("q", levels=("scene", "event", "video")))
    with sqlite3.connect(catalog.path) as db:
        expected = dict(
            db.execute(
                "SELECT rowid, -bm25(fulltext) FROM fulltext WHERE fulltext MATCH 'knife OR onion'"
            )
        )
    found = search_text(catalog, "knife onion", scope, 10_000)
    assert len(found) > 50 and dict(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "query",
    [Query("q", until=9.0), Query("q", levels=("event",)), Query("q", videos=("v1", "v2"))],
    ids=repr,
)
def test_what_lies_outside_the_scope_changes_nothing(tmp_path, toy, query) -> None:
    rng = random.Random(1)
    with Catalog(tmp_path / "c", read_only=False) as catalog:
        for i in range(4):
            catalog.write_video(toy.record(f"v{i}", [sentence(rng) for _ in range(4)]))
        asked = 'red knife "café door" onion'
        scope = catalog.scope(query)
        before = search_text(catalog, asked, scope, 100)
        assert before
        # Poison: long, full of the very terms, at levels, times and in videos not asked for.
        poison = ["", "", "", "", *(["knife onion red café door " * 50] * 30)]
        for i in range(5):
            record = toy.record(f"p{i}", poison)
            inside = [s for s in record.scenes if s.span.end <= 8_000_000 and s.level == 0]
            if query.until is None:
                inside = []
            late = tuple(s for s in record.scenes if s not in inside)
            documents = {s.id: record.documents[s.id] for s in late}
            if query.levels == ("event",):
                documents = {s.id: record.documents[s.id] for s in late if s.level != 1}
            catalog.write_video(toy.VideoRecord(**{**vars(record), "documents": documents}))
        after = search_text(catalog, asked, catalog.scope(query), 100)
        assert after == before  # bit for bit


@pytest.mark.parametrize("text", NASTY, ids=lambda t: repr(t[:12]))
def test_any_text_is_safe(catalog, text) -> None:
    found = search_text(catalog, text, catalog.scope(Query("q")), 5)
    assert len(found) <= 5
    assert bool(found) == ("knife" in text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=[]), max_size=40))
def test_no_text_raises(catalog, text) -> None:
    search_text(catalog, text, catalog.scope(Query("q")), 5)


def test_stop_words_count_only_alone() -> None:
    assert parse("Where did I put the knife?") == [("put",), ("knife",)]
    assert parse("What is this?") == [("what",), ("is",), ("thi",)]
    assert parse('"to be" or "not to be"') == [("to", "be"), ("not", "to", "be")]


def test_quotes() -> None:
    assert parse('a "red cup" b"') == [("red", "cup"), ("b",)]
    assert parse('"knife" knives knife') == [("knife",), ("knive",)]
    assert parse('open "unclosed door') == [("open",), ("unclos",), ("door",)]


def test_phrases_do_not_cross_columns(tmp_path, toy) -> None:
    with Catalog(tmp_path / "c", read_only=False) as catalog:
        catalog.write_video(toy.record("v", ["red", "red cup"], visuals=["cup", ""]))
        leaves = catalog.scenes("v", level=0)
        found = search_text(catalog, '"red cup"', catalog.scope(Query("q")), 5)
        assert [id for id, _ in found] == [leaves[1].id]


def test_long_queries_are_cut(catalog, monkeypatch) -> None:
    assert len(parse(" ".join(f"w{i}" for i in range(5000)))) == fulltext.MOST_TERMS
    monkeypatch.setattr(fulltext, "MOST_CHARACTERS", 5)
    assert parse("knife onion") == [("knife",)]


def test_equal_scores_come_in_order_of_video_and_start(tmp_path, toy) -> None:
    with Catalog(tmp_path / "c", read_only=False) as catalog:
        for video in ("z", "a", "m"):
            catalog.write_video(toy.record(video, ["same words"] * 3))
        scenes = catalog.scenes(level=0)
        for k in (2, 9):
            found = search_text(catalog, "words", catalog.scope(Query("q")), k)
            assert [id for id, _ in found] == [s.id for s in scenes][:k]


def test_a_removed_video_is_forgotten(tmp_path, toy) -> None:
    with Catalog(tmp_path / "c", read_only=False) as catalog:
        catalog.write_video(toy.record("a", ["knife"]))
        catalog.write_video(toy.record("b", ["spoon"]))
        catalog.write_video(toy.record("a", ["fork"]))
        scope = catalog.scope(Query("q"))
        assert search_text(catalog, "knife", scope, 5) == []
        assert len(search_text(catalog, "fork spoon", scope, 5)) == 2
        catalog.remove_video("b")
        assert len(search_text(catalog, "fork spoon", catalog.scope(Query("q")), 5)) == 1
        catalog._connection.execute("INSERT INTO fulltext(fulltext) VALUES ('integrity-check')")


def test_token_counts_are_fts5s(catalog) -> None:
    counts = dict(catalog.text_lengths())
    for scene, text in catalog.scene_texts(list(counts)).items():
        (speech, visuals) = fulltext.stems([text.speech, text.visuals])
        assert counts[scene] == len(speech) + len(visuals)


def test_long_documents_are_counted_right(tmp_path, toy) -> None:
    # FTS5 packs counts in 7-bit groups: 127, 128 and 16,384 are where they grow.
    with Catalog(tmp_path / "c", read_only=False) as catalog:
        catalog.write_video(toy.record("v", ["w " * n for n in (127, 128, 16_383, 16_384)]))
        leaves = [s.id for s in catalog.scenes("v", level=0)]
        assert [dict(catalog.text_lengths())[i] for i in leaves] == [127, 128, 16_383, 16_384]
        found = search_text(catalog, "w", catalog.scope(Query("q")), 9)
        assert np.isfinite([s for _, s in found]).all()
