"""The catalog: what is written comes back, equal content is equal rows, and other states refuse."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.errors import StoreError
from egorag.spans import Span
from egorag.store import migrations
from egorag.store.catalog import Catalog, SceneText, Source, VideoRecord
from egorag.store.records import canonical
from egorag.types import TimedText, Video, Word

HOSTILE = [
    'cat" OR NEAR(dog) * ^ : AND NOT (',
    "'; DROP TABLE scenes; --",
    "<b onload=alert(1)>&amp;</b>",
    "bell\x07 escape\x1b[31m tab\t newline\r\n",
    "nul\x00inside",
    "lone \ud83d surrogate",
    "emoji 🧑‍🍳🔪, Ünïcödé, 日本語, עברית",
    "",
]


@pytest.fixture
def catalog(tmp_path: Path):
    with Catalog(tmp_path / "catalog.sqlite", read_only=False) as opened:
        yield opened


def rows(path: Path) -> dict[str, list[str]]:
    """All content of a catalog file, but FTS5's own segments, whose layout is its affair."""
    with sqlite3.connect(path) as db:
        names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [n for n in names if n not in ("fulltext_data", "fulltext_idx", "terms")]
        return {n: sorted(map(repr, db.execute(f'SELECT * FROM "{n}"'))) for n in kept}


wild_text = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=[]), max_size=20)
)
times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]))
spans = st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)).map(
    lambda t: Span(t[0], t[0] + t[1])
)
words = st.builds(Word, spans, wild_text)
timed_texts = st.builds(
    TimedText,
    spans,
    wild_text,
    st.sampled_from(["subtitle", "ocr"]),
    wild_text,
    st.none() | st.floats(0, 1),
    st.lists(words, max_size=2).map(tuple),
)
paths = st.text(st.characters(exclude_characters="\0", exclude_categories=[]), min_size=1)
metadata = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=paths,
    recorded_at=st.none() | times,
    metadata=metadata,
    texts=st.lists(timed_texts, max_size=4),
    said=st.lists(st.tuples(wild_text, wild_text), min_size=5, max_size=5),
    sources=st.lists(st.builds(Source, paths, st.none() | times), max_size=3),
)
def test_records_come_back(catalog, toy, path, recorded_at, metadata, texts, said, sources) -> None:
    scenes = toy.scenes("v", [1.0, 0.5])
    documents = {s.id: SceneText(*t) for s, t in zip(scenes, said, strict=False)}
    video = Video("v", path, 1_500_000, recorded_at, metadata)
    record = VideoRecord(
        video, "cut", tuple(scenes), tuple(texts), documents, (), tuple(sources), ("odd\ud800",)
    )
    catalog.write_video(record)
    assert catalog.record("v") == canonical(record)
    assert catalog.video("v").path == path
    assert not catalog.write_video(record)
    assert not catalog.write_video(canonical(record))


def test_texts_that_cannot_be_stored_are_replaced_not_refused(catalog, toy) -> None:
    catalog.write_video(toy.record("v", HOSTILE))
    said = [t.text for t in catalog.texts("v")]
    assert said[4:6] == ["nul\ufffdinside", "lone \ufffd surrogate"]
    assert said[:4] + said[6:] == HOSTILE[:4] + HOSTILE[6:]


def test_a_path_of_bytes_that_are_not_text(catalog, toy) -> None:
    name = os.fsdecode(b"caf\xe9 -'\n\"..mp4")
    catalog.write_video(toy.record("v", ["a"], path=name))
    assert os.fsencode(catalog.video("v").path) == b"caf\xe9 -'\n\"..mp4"


def test_reads(catalog, toy) -> None:
    catalog.write_video(toy.record("b", ["one", "two", "three"]))
    catalog.write_video(toy.record("a", ["four"], path="z.mp4"))
    assert [v.id for v in catalog.videos()] == ["b", "a"]  # by path
    leaves = catalog.scenes("b", level=0)
    assert [s.span.start for s in leaves] == [0, 2_000_000, 4_000_000]
    assert len(catalog.scenes()) == 6 + 3 and len(catalog.scenes(level=2)) == 2
    assert catalog.scene(leaves[1].id) == leaves[1]
    assert catalog.scenes_by_id([leaves[2].id, leaves[0].id]) == [leaves[2], leaves[0]]
    assert catalog.scene_text(leaves[1].id) == SceneText("two", "")
    assert catalog.scene_text(12345) == SceneText()
    assert [t.text for t in catalog.texts("b", "subtitle", leaves[1].span)] == ["two"]
    assert catalog.texts("b", "ocr") == []
    assert catalog.encodings("b")["other"].skipped == "no sound"
    assert catalog.record("none") is None
    for read in (lambda: catalog.video("none"), lambda: catalog.scene(7)):
        with pytest.raises(StoreError, match=r"no (video|scene)"):
            read()


def test_cues_without_length_are_found(catalog, toy) -> None:
    cue = TimedText(Span(500, 500), "blink", "subtitle", "s")
    catalog.write_video(replace(toy.record("v", ["a"]), texts=(cue,)))
    assert catalog.texts("v", span=Span(500, 600)) == [cue]
    assert catalog.texts("v", span=Span(400, 500)) == []
    assert catalog.texts("v", span=Span(501, 600)) == []


def test_equal_content_is_equal_rows_and_generation_whatever_the_way(tmp_path, toy) -> None:
    one, two = toy.record("a", ["x", "y"]), toy.record("b", ["z"])
    with Catalog(tmp_path / "1", read_only=False) as straight:
        seen = [straight.generation()]
        for record in (one, two):
            straight.write_video(record)
            seen.append(straight.generation())
        straight.write_encoders([toy.ENCODER])
        seen.append(straight.generation())
    with Catalog(tmp_path / "2", read_only=False) as winding:
        winding.write_encoders([replace(toy.ENCODER, fingerprint="old")])
        winding.write_video(toy.record("c", ["gone"]))
        winding.write_video(replace(two, texts=tuple(reversed(two.texts))))
        winding.write_video(toy.record("a", ["other", "words", "here"]))
        winding.write_encoders([toy.ENCODER])
        winding.write_video(one)
        assert winding.remove_video("c") and not winding.remove_video("c")
        assert winding.generation() == seen[-1]
        assert winding.encoders() == {"toy": toy.ENCODER}
    assert len(set(seen)) == len(seen)
    assert rows(tmp_path / "1") == rows(tmp_path / "2")


def test_a_failed_write_leaves_the_video_as_it_was(catalog, toy, monkeypatch) -> None:
    before = toy.record("v", ["before"])
    catalog.write_video(before)
    generation = catalog.generation()
    with pytest.raises(TypeError, match="JSON"):
        bad = Video("v", "p", 2_000_000, metadata={"x": object()})
        catalog.write_video(replace(toy.record("v", ["after"]), video=bad))
    thief = toy.record("w", ["after"])  # claims scene ids that belong to another video
    stolen = tuple(replace(s, id=b.id) for s, b in zip(thief.scenes, before.scenes, strict=True))
    with pytest.raises(StoreError, match="UNIQUE"):
        catalog.write_video(replace(thief, scenes=stolen, documents={}))
    assert catalog.generation() == generation
    assert catalog.record("v") == before and catalog.record("w") is None


def test_a_full_disk_at_the_very_commit(catalog, toy, monkeypatch) -> None:
    class Full:
        """A connection whose first COMMIT fails."""

        def __init__(self, real: sqlite3.Connection) -> None:
            self.real, self.failed = real, False

        def __getattr__(self, name: str):
            return getattr(self.real, name)

        def execute(self, query: str, *values):
            if query == "COMMIT" and not self.failed:
                self.failed = True
                raise sqlite3.OperationalError("database or disk is full")
            return self.real.execute(query, *values)

    monkeypatch.setattr(catalog, "_connection", Full(catalog._connection))
    with pytest.raises(StoreError, match="disk is full"):
        catalog.write_video(toy.record("v", ["a"]))
    assert catalog.videos() == []
    assert catalog.write_video(toy.record("v", ["a"]))


def test_no_writing_inside_a_snapshot(catalog, toy) -> None:
    with pytest.raises(RuntimeError, match="snapshot"), catalog.snapshot():
        catalog.write_video(toy.record("v", ["a"]))
    assert catalog.write_video(toy.record("v", ["a"]))


def test_reasons_that_quote_odd_file_names(catalog, toy) -> None:
    record = toy.record("v", ["a"])
    odd = replace(record.encodings[0], skipped=None, error="cannot read '\udcff.mp4'")
    assert catalog.write_video(replace(record, encodings=(odd,)))
    assert catalog.encodings("v")["other"].error == "cannot read '\ufffd.mp4'"


def test_impossible_records_are_refused(toy) -> None:
    record = toy.record("v", ["a"])
    with pytest.raises(ValueError, match="other videos"):
        replace(record, video=replace(record.video, id="w"))
    with pytest.raises(ValueError, match="does not have"):
        replace(record, documents={1: SceneText("x")})
    with pytest.raises(ValueError, match="one id"):
        replace(record, scenes=record.scenes * 2)


def test_a_reader_sees_one_moment(tmp_path, toy) -> None:
    path = tmp_path / "c"
    with Catalog(path, read_only=False) as writer, Catalog(path) as reader:
        writer.write_video(toy.record("a", ["x"]))
        with reader.snapshot():
            before = reader.generation(), reader.videos()
            writer.write_video(toy.record("b", ["y"]))
            assert (reader.generation(), reader.videos()) == before
        assert len(reader.videos()) == 2
        with pytest.raises(StoreError, match="reading only"):
            reader.write_video(toy.record("c", ["z"]))


def test_memo_lasts_as_long_as_the_content(tmp_path, toy) -> None:
    path = tmp_path / "c"
    with Catalog(path, read_only=False) as writer, Catalog(path) as reader:
        writer.write_video(toy.record("a", ["x"]))
        made = [reader.memo("key", lambda: object()) for _ in range(2)]
        assert made[0] is made[1]
        writer.write_video(toy.record("b", ["y"]))
        assert reader.memo("key", lambda: object()) is not made[0]
        for i in range(300):
            reader.memo(i, lambda: object())
        assert len(reader._memo) < 200


# Versions


UNDO = ("", "ALTER TABLE texts DROP COLUMN speaker;")
"""How to take each version's step back."""


@pytest.mark.parametrize("start", range(1, len(migrations.MIGRATIONS) + 1))
def test_every_version_migrates_to_the_newest(tmp_path, toy, monkeypatch, start: int) -> None:
    path = tmp_path / "c"
    newest = migrations.MIGRATIONS
    with Catalog(path, read_only=False) as old:
        old.write_video(toy.record("v", ["kept"]))
    with sqlite3.connect(path) as db:  # what that version's own code left behind
        for undo in reversed(UNDO[start:]):
            db.executescript(undo)
        db.execute(f"PRAGMA user_version = {start}")
    extra = "CREATE TABLE added (x); INSERT INTO added VALUES (1);"
    monkeypatch.setattr(migrations, "MIGRATIONS", (*newest, extra))
    with pytest.raises(StoreError, match="older version"):
        Catalog(path)
    with Catalog(path, read_only=False) as new:
        assert new.record("v") == toy.record("v", ["kept"])
    assert rows(path)["added"] == ["(1,)"]
    with Catalog(path) as reader:
        assert len(reader.videos()) == 1


def test_a_migration_that_fails_changes_nothing(tmp_path, toy, monkeypatch) -> None:
    path = tmp_path / "c"
    with Catalog(path, read_only=False) as old:
        old.write_video(toy.record("v", ["kept"]))
    before = rows(path)
    bad = "CREATE TABLE added (x); INSERT INTO nowhere VALUES (1);"
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, bad))
    with pytest.raises(StoreError, match="nowhere"):
        Catalog(path, read_only=False)
    assert rows(path) == before


@pytest.mark.parametrize("read_only", [True, False])
def test_newer_foreign_and_damaged_files_are_refused(tmp_path, toy, read_only: bool) -> None:
    newer, foreign, damaged = (tmp_path / n for n in ("newer", "foreign", "damaged"))
    Catalog(newer, read_only=False).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE theirs (x)")
    damaged.write_bytes(b"not a database at all" * 100)
    for path, words in (
        (newer, "version 99.*[Uu]pgrade"),
        (foreign, "another program"),
        (damaged, "damaged.*delete it"),
    ):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=words):
            Catalog(path, read_only=read_only)
        assert path.read_bytes() == before


def test_damage_inside_is_told(tmp_path, toy) -> None:
    path = tmp_path / "c"
    with Catalog(path, read_only=False) as writer:
        writer.write_video(toy.record("v", ["word " * 500] * 20))
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged.*delete it"), Catalog(path) as reader:
        reader.record("v")
        reader.text_lengths()


# Where nothing may be written


@pytest.mark.parametrize("read_before", [False, True])
def test_reading_from_a_read_only_disk(small_disk, toy, read_before: bool) -> None:
    path = small_disk("2m") / "catalog.sqlite"
    with Catalog(path, read_only=False) as writer:
        writer.write_video(toy.record("v", ["kept"]))
    if read_before:  # which leaves SQLite's helper files beside it
        Catalog(path).close()
    small_disk("remount,ro")
    with Catalog(path) as reader:
        assert reader.record("v") == toy.record("v", ["kept"])
    with (
        pytest.raises(StoreError, match=r"cannot be (written|opened)"),
        Catalog(path, read_only=False) as writer,
    ):
        writer.write_video(toy.record("w", ["new"]))


def test_a_read_only_copy_of_a_running_index_is_refused_not_misread(small_disk, toy) -> None:
    path = small_disk("4m") / "catalog.sqlite"
    with Catalog(path, read_only=False) as writer:
        writer.write_video(toy.record("v", ["in the log only"]))
        copy = path.with_name("copy.sqlite")
        copy.write_bytes(path.read_bytes())
        log = path.with_name("catalog.sqlite-wal")
        path.with_name("copy.sqlite-wal").write_bytes(log.read_bytes())
    small_disk("remount,ro")
    with pytest.raises(StoreError, match="middle of a run"):
        Catalog(copy)


def test_a_full_disk_keeps_the_old_content(small_disk, toy) -> None:
    path = small_disk("512k") / "catalog.sqlite"
    with Catalog(path, read_only=False) as writer:
        writer.write_video(toy.record("v", ["kept"]))
        with pytest.raises(StoreError, match="disk is full"):
            writer.write_video(toy.record("w", ["long " * 2000] * 100))
        assert [v.id for v in writer.videos()] == ["v"]
    with Catalog(path) as reader:
        assert reader.record("v") == toy.record("v", ["kept"])
        assert reader.record("w") is None
