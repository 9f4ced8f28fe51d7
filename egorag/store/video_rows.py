"""Writing and deleting the rows of one video, inside a transaction that the catalog holds."""

from __future__ import annotations

import json
import sqlite3

from egorag.store.ids import digest
from egorag.store.records import VideoRecord, scene_list, word_lists
from egorag.store.rows import json_in, path_in, time_in


def insert(connection: sqlite3.Connection, record: VideoRecord, record_hash: str) -> None:
    """Write a canonical record of a video that has no rows yet."""
    video, id = record.video, record.video.id
    scenes = [scene_list(scene) for scene in record.scenes]
    connection.execute(
        "INSERT INTO videos VALUES (?,?,?,?,?,?,?,?,?)",
        (
            id,
            path_in(video.path),
            video.duration,
            time_in(video.recorded_at),
            json_in(dict(video.metadata)),
            record.segmentation,
            json_in(record.problems),
            digest(scenes),
            record_hash,
        ),
    )
    connection.executemany(
        "INSERT INTO sources VALUES (?,?,?,?)",
        [(id, i, path_in(s.path), time_in(s.recorded_at)) for i, s in enumerate(record.sources)],
    )
    connection.executemany(
        'INSERT INTO scenes(id, level, position, start, "end", parent, known_at, video) '
        "VALUES (?,?,?,?,?,?,?,?)",
        [(*scene, id) for scene in scenes],
    )
    connection.executemany(
        "INSERT INTO texts VALUES (?,?,?,?,?,?,?,?,?,?)",
        [
            (
                *(id, i, t.span.start, t.span.end, t.track, t.source, t.text, t.confidence),
                json_in(word_lists(t)),
                t.speaker,
            )
            for i, t in enumerate(record.texts)
        ],
    )
    connection.executemany(
        "INSERT INTO encodings VALUES (?,?,?,?,?,?,?,?,?)",
        [
            (id, e.encoder, e.fingerprint, e.kind, e.key, e.sha256, e.rows, e.skipped, e.error)
            for e in record.encodings
        ],
    )
    _insert_documents(connection, record)


def _insert_documents(connection: sqlite3.Connection, record: VideoRecord) -> None:
    documents = [(scene, t.speech, t.visuals) for scene, t in record.documents.items()]
    connection.executemany("INSERT INTO fulltext(rowid, speech, visuals) VALUES (?,?,?)", documents)
    listed = json.dumps([scene for scene, *_ in documents])
    sizes = connection.execute(
        "SELECT id, sz FROM fulltext_docsize WHERE id IN (SELECT value FROM json_each(?))",
        (listed,),
    )
    lengths = {scene: _token_count(packed) for scene, packed in sizes}
    connection.executemany(
        "INSERT INTO documents VALUES (?,?,?,?)",
        [(*document, lengths[document[0]]) for document in documents],
    )


def delete(connection: sqlite3.Connection, id: str) -> None:
    """Remove every row of a video."""
    # The full-text table keeps no text of its own: it is told what to forget.
    connection.execute(
        "INSERT INTO fulltext(fulltext, rowid, speech, visuals) "
        "SELECT 'delete', scene, speech, visuals FROM documents "
        "JOIN scenes ON scenes.id = scene WHERE video = ?",
        (id,),
    )
    # Foreign keys take all rows that refer to the video along.
    connection.execute("DELETE FROM videos WHERE id = ?", (id,))


def _token_count(packed: bytes) -> int:
    """Sum of the varints (one a column) in which FTS5 keeps the token counts of a row."""
    total = value = 0
    for byte in packed:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            total, value = total + value, 0
    return total
