"""The catalog: which videos an index holds, their scenes, texts and encodings, in SQLite.

One writer, many readers. A video is written in one transaction, so a reader sees it whole or not
at all, and a killed writer leaves the state before or after, nothing between.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from egorag.errors import StoreError
from egorag.spans import Span
from egorag.store import tables, video_rows
from egorag.store.connection import explained, open_reader, open_writer
from egorag.store.ids import digest
from egorag.store.records import (
    EncoderRow,
    Encoding,
    SceneText,
    Source,
    VideoRecord,
    canonical,
    record_digest,
)
from egorag.store.rows import (
    ENCODER,
    SCENE,
    TEXT,
    VIDEO,
    from_encoder,
    path_out,
    time_out,
    to_encoder,
    to_scene,
    to_text,
    to_video,
)
from egorag.store.scope import Int64s, SceneTable, Scope
from egorag.store.tables import Documents
from egorag.types import Query, Scene, TimedText, Video

__all__ = ["Catalog", "EncoderRow", "Encoding", "SceneText", "Source", "VideoRecord"]

T = TypeVar("T")

_REMEMBERED = 128  # results kept by Catalog.memo
_SCOPES = 16  # kept likewise; a million scenes take tens of megabytes each


class Catalog:
    """The catalog file at ``path``. Usable from several threads; uses take turns."""

    def __init__(self, path: Path, *, read_only: bool = True) -> None:
        self.path = path
        self.tables = path.parent / "tables"
        self.read_only = read_only
        self._connection = open_reader(path) if read_only else open_writer(path)
        self._lock = threading.RLock()
        self._depth = 0
        self._generation: int | None = None  # as read in the present transaction
        self._memo: dict[Hashable, Any] = {}
        self._memo_generation: int | None = None

    def close(self) -> None:
        """Close the file. The last writer to close folds the write-ahead log into it."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Reading

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside the block is of one moment, whatever a writer does meanwhile."""
        with self._transaction("BEGIN"):
            yield

    def generation(self) -> int:
        """A number that changes when the content changes, and is equal for equal content."""
        with self.snapshot():
            if self._generation is None:
                ((value,),) = self._rows("SELECT value FROM state WHERE name = 'generation'")
                self._generation = int(value)
            return self._generation

    def memo(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make()`` returns, remembered while the content stays the same."""
        with self.snapshot():
            generation = self.generation()
            if generation != self._memo_generation:
                self._memo.clear()
                self._memo_generation = generation
            value: T = self._memo.pop(key) if key in self._memo else make()
            self._memo[key] = value  # now the most recently used
            if len(self._memo) > _REMEMBERED:
                del self._memo[next(iter(self._memo))]
            return value

    def videos(self) -> list[Video]:
        """All videos, by path."""
        return sorted(
            (to_video(row) for row in self._rows(VIDEO)), key=lambda video: (video.path, video.id)
        )

    def video(self, id: str) -> Video:
        """One video. StoreError if the index does not hold it."""
        rows = self._rows(f"{VIDEO} WHERE id = ?", (id,))
        if not rows:
            raise StoreError(f"no video {id!r} in catalog {str(self.path)!r}")
        return to_video(rows[0])

    def record(self, id: str) -> VideoRecord | None:
        """Everything about one video, in canonical order; None if the index does not hold it."""
        with self.snapshot():
            head = self._rows("SELECT segmentation, problems FROM videos WHERE id = ?", (id,))
            if not head:
                return None
            documents = self._rows(
                "SELECT scene, speech, visuals FROM documents JOIN scenes ON scenes.id = scene "
                "WHERE video = ? ORDER BY scene",
                (id,),
            )
            sources = self._rows(
                "SELECT path, recorded_at FROM sources WHERE video = ? ORDER BY position", (id,)
            )
            return VideoRecord(
                video=self.video(id),
                segmentation=head[0][0],
                scenes=tuple(self.scenes(id)),
                texts=tuple(self.texts(id)),
                documents={scene: SceneText(*text) for scene, *text in documents},
                encodings=tuple(self.encodings(id).values()),
                sources=tuple(Source(path_out(p), time_out(t)) for p, t in sources),
                problems=tuple(json.loads(head[0][1])),
            )

    def scenes(self, video: str | None = None, level: int | None = None) -> list[Scene]:
        """Scenes by (video, level, start), of one video or level if given."""
        where: list[str] = ["TRUE"]
        values: list[str | int] = []
        for column, value in (("video", video), ("level", level)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        order = "ORDER BY video, level, start, id"
        rows = self._rows(f"{SCENE} WHERE {' AND '.join(where)} {order}", values)
        return [to_scene(row) for row in rows]

    def scene(self, id: int) -> Scene:
        """One scene. StoreError if the index does not hold it."""
        return self.scenes_by_id([id])[0]

    def scenes_by_id(self, ids: Sequence[int]) -> list[Scene]:
        """The scenes with these ids, in the order given. StoreError if one is not there."""
        found = {row[0]: to_scene(row) for row in self._by_id(SCENE, "id", ids)}
        missing = [id for id in ids if id not in found]
        if missing:
            raise StoreError(f"no scene {missing[0]} in catalog {str(self.path)!r}")
        return [found[id] for id in ids]

    def children(self, id: int) -> list[Scene]:
        """The scenes one level down that make up a scene, in order; they tile it."""
        where = "video = (SELECT video FROM scenes WHERE id = ?) AND parent = ?"
        rows = self._rows(f"{SCENE} WHERE {where} ORDER BY start, id", (id, id))
        return [to_scene(row) for row in rows]

    def texts(
        self, video: str, track: str | None = None, span: Span | None = None
    ) -> list[TimedText]:
        """Timed text of a video in order of start, of one track and touching ``span`` if given."""
        where = ["video = ?"]
        values: list[str | int] = [video]
        if track is not None:
            where.append("track = ?")
            values.append(track)
        if span is not None:
            where.append('start < ? AND ("end" > ? OR start >= ?)')
            values += [span.end, span.start, span.start]
        rows = self._rows(f"{TEXT} WHERE {' AND '.join(where)} ORDER BY position", values)
        return [to_text(row) for row in rows]

    def scene_text(self, id: int) -> SceneText:
        """What is searched as the text of one scene; empty if it has none."""
        return self.scene_texts([id])[id]

    def scene_texts(self, ids: Sequence[int]) -> dict[int, SceneText]:
        """What is searched as the text of these scenes; empty texts where there is none."""
        found = dict.fromkeys(ids, SceneText())
        rows = self._by_id("SELECT scene, speech, visuals FROM documents", "scene", ids)
        return found | {scene: SceneText(*text) for scene, *text in rows}

    def encodings(self, video: str) -> dict[str, Encoding]:
        """What each encoder made of a video, by encoder name."""
        rows = self._rows(
            "SELECT encoder, fingerprint, kind, key, sha256, rows, skipped, error FROM encodings "
            "WHERE video = ? ORDER BY encoder",
            (video,),
        )
        return {row[0]: Encoding(*row) for row in rows}

    def encoders(self) -> dict[str, EncoderRow]:
        """The encoders of this index by name, in the config's order."""
        return {row[0]: to_encoder(row) for row in self._rows(f"{ENCODER} ORDER BY position")}

    def scene_encoders(self) -> list[EncoderRow]:
        """Those with vectors of scenes, in the config's order: not text, not moments."""
        query = "SELECT DISTINCT encoder FROM encodings WHERE kind = 'moments'"
        finer = {name for (name,) in self._rows(query)}
        rows = self.encoders().values()
        return [row for row in rows if row.space is not None and row.name not in finer]

    def encoders_in_use(self) -> dict[str, dict[str, int]]:
        """How many videos each encoder has read, by name and fingerprint."""
        used: dict[str, dict[str, int]] = {}
        for name, fingerprint, count in self._rows(
            "SELECT encoder, fingerprint, COUNT(*) FROM encodings GROUP BY 1, 2 ORDER BY 1, 2"
        ):
            used.setdefault(name, {})[fingerprint] = count
        return used

    def vector_sources(self, encoder: EncoderRow) -> list[tuple[str, str, str, str]]:
        """(video, artifact key, its SHA-256, digest of the video's scenes) by video id, of the
        videos whose vectors this very encoder made."""
        rows = self._rows(
            "SELECT video, key, sha256, scenes_digest FROM encodings JOIN videos ON id = video "
            "WHERE encoder = ? AND fingerprint = ? AND kind = 'vectors' AND key IS NOT NULL "
            "ORDER BY video",
            (encoder.name, encoder.fingerprint),
        )
        return [tuple(row) for row in rows]

    def table(self) -> SceneTable:
        """All scenes as columns, remembered while the content stays the same."""
        saved = functools.partial(tables.scenes, self.tables, self.generation(), self.videos)
        return self.memo("table", lambda: saved() or self.read_table())

    def read_table(self) -> SceneTable:
        """The same from the rows, where ``table`` may take what was laid out before."""
        query = 'SELECT id, video, level, start, "end", known_at FROM scenes ORDER BY id'
        return SceneTable.make(self._rows(query), self.videos())

    def documents(self) -> Documents:
        """The scenes with text, remembered likewise."""
        saved = functools.partial(tables.documents, self.tables, self.generation())
        return self.memo("documents", lambda: saved() or Documents.make(self.text_lengths()))

    def scope(self, query: Query) -> Scope:
        """The scenes that the query's levels, videos and times allow; see ``Scope``."""
        key = query.levels, query.videos, query.after, query.before, query.until, query.like
        with self.snapshot():
            known: dict[Hashable, Scope] = self.memo("scopes", dict)
            scope = known.pop(key) if key in known else self.table().scope(query)
            known[key] = scope
            if len(known) > _SCOPES:
                del known[next(iter(known))]
            return scope

    def text_postings(self, term: str) -> Int64s:
        """The scene of each occurrence of a term (as FTS5 stems it), int64 [n]."""
        return _numbers(
            *self._rows("SELECT group_concat(doc, ' ') FROM terms WHERE term = ?", (term,))[0]
        )

    def text_places(self, term: str) -> Int64s:
        """The place in its scene of each occurrence, in the order of ``text_postings``, int64 [n]:
        the token's number, plus 2**39 where it stands in the visuals."""
        place = "(col = 'visuals') << 39 | offset"
        return _numbers(
            *self._rows(f"SELECT group_concat({place}, ' ') FROM terms WHERE term = ?", (term,))[0]
        )

    def text_terms(self) -> Iterator[tuple[str, Int64s]]:
        """Every term in ascending order, with its ``text_postings``."""
        with self.snapshot():
            self._rows(
                "CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary "
                "USING fts5vocab(main, fulltext, row)"
            )
            for (term,) in self._rows("SELECT term FROM vocabulary ORDER BY term"):
                yield term, self.text_postings(term)

    def text_lengths(self) -> list[tuple[int, int]]:
        """(scene, number of tokens) of every scene with text, in ascending order of id."""
        return self._rows("SELECT scene, tokens FROM documents ORDER BY scene")

    # Writing

    def write_video(self, record: VideoRecord) -> bool:
        """Put a video in place of what was there of it; returns False if nothing changed."""
        record = canonical(record)
        new = record_digest(record)
        with self._writing():
            old = self._rows("SELECT digest FROM videos WHERE id = ?", (record.video.id,))
            if old == [(new,)]:
                return False
            if old:
                video_rows.delete(self._connection, record.video.id)
            video_rows.insert(self._connection, record, new)
            self._shift(record.video.id, old[0][0] if old else None, new)
        return True

    def remove_video(self, id: str) -> bool:
        """Forget a video; returns False if it was not there. Artifacts stay."""
        with self._writing():
            old = self._rows("SELECT digest FROM videos WHERE id = ?", (id,))
            if old:
                video_rows.delete(self._connection, id)
                self._shift(id, old[0][0], None)
        return bool(old)

    def write_encoders(self, rows: Iterable[EncoderRow]) -> None:
        """Make these the encoders of the index, in place of those before."""
        new = [from_encoder(row) for row in rows]
        with self._writing():
            old = [from_encoder(row) for row in self.encoders().values()]
            if old == new:
                return
            self._rows("DELETE FROM encoders")
            self._connection.executemany(
                "INSERT INTO encoders(position, name, fingerprint, space, settings, medium) "
                "VALUES (?,?,?,?,?,?)",
                [(i, *row) for i, row in enumerate(new)],
            )
            self._shift("encoders", digest(old) if old else None, digest(new) if new else None)

    def _shift(self, name: str, old: str | None, new: str | None) -> None:
        """Move the generation: a sum over all content, so the way there does not matter."""
        value = self.generation() - _weight(name, old) + _weight(name, new)
        self._rows("UPDATE state SET value = ? WHERE name = 'generation'", (value % 2**63,))
        self._generation = None

    # SQLite

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock, explained(self.path):
            if self._depth == 0:
                self._generation = None
                self._connection.execute(begin)
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            except BaseException:
                if self._depth == 1 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self.read_only:
            raise StoreError(f"catalog {str(self.path)!r} is open for reading only")
        with self._lock:
            if self._depth:  # a failure could then not be rolled back alone
                raise RuntimeError("cannot write inside Catalog.snapshot()")
            with self._transaction("BEGIN IMMEDIATE"):
                yield

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock, explained(self.path):
            return self._connection.execute(query, values).fetchall()

    def _by_id(self, select: str, column: str, ids: Sequence[int]) -> list[Any]:
        """Rows whose ``column`` is one of ``ids``, in any order."""
        listed = json.dumps([int(id) for id in ids])  # one parameter, however many ids
        return self._rows(f"{select} WHERE {column} IN (SELECT value FROM json_each(?))", (listed,))


def _numbers(listed: str | None) -> Int64s:
    """Numbers that SQLite joined into one text: four times faster than as many rows."""
    return np.fromstring(listed or "", dtype=np.int64, sep=" ")


def _weight(name: str, content: str | None) -> int:
    return int(digest([name, content])[:15], 16) if content else 0
