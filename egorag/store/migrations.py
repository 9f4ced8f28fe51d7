"""The catalog's schema as numbered steps. A step, once released, is never edited; add another.

No row holds anything that differs between two runs over the same input (no time stamps, no
counters), so that an interrupted and resumed run ends in the very rows of an undisturbed one.
"""

from __future__ import annotations

import sqlite3

from egorag.errors import StoreError

APPLICATION_ID = 0x65676F72  # "egor": tells our files from other SQLite databases

TOKENIZER = "porter unicode61 remove_diacritics 2"

_VERSION_1 = f"""
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('generation', 0);

CREATE TABLE encoders (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL,  -- in the config
  fingerprint TEXT NOT NULL,
  medium TEXT NOT NULL,
  space TEXT,                 -- JSON; NULL when it yields timed text
  settings TEXT NOT NULL      -- JSON
) WITHOUT ROWID;

CREATE TABLE videos (
  id TEXT PRIMARY KEY,
  path NOT NULL,              -- TEXT, or a BLOB of bytes where the name is not valid UTF-8
  duration INTEGER NOT NULL,  -- microseconds, here and below
  recorded_at TEXT,           -- ISO 8601 with zone
  metadata TEXT NOT NULL,     -- JSON
  segmentation TEXT NOT NULL,
  problems TEXT NOT NULL,     -- JSON list
  scenes_digest TEXT NOT NULL,
  digest TEXT NOT NULL        -- SHA-256 of the whole record
) WITHOUT ROWID;

CREATE TABLE sources (
  video TEXT NOT NULL REFERENCES videos(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  path NOT NULL,
  recorded_at TEXT,
  PRIMARY KEY (video, position)
) WITHOUT ROWID;

CREATE TABLE scenes (
  id INTEGER PRIMARY KEY,     -- see ids.py
  video TEXT NOT NULL REFERENCES videos(id) ON DELETE CASCADE,
  level INTEGER NOT NULL,
  position INTEGER NOT NULL,
  start INTEGER NOT NULL,
  "end" INTEGER NOT NULL,
  parent INTEGER,
  known_at INTEGER NOT NULL
);
CREATE INDEX scenes_by_video ON scenes(video, level, start);

CREATE TABLE texts (
  video TEXT NOT NULL REFERENCES videos(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,  -- in order of start
  start INTEGER NOT NULL,
  "end" INTEGER NOT NULL,
  track TEXT NOT NULL,
  source TEXT NOT NULL,
  text TEXT NOT NULL,
  confidence REAL,
  words TEXT NOT NULL,        -- JSON [[start, end, text], ...]
  PRIMARY KEY (video, position)
) WITHOUT ROWID;
CREATE INDEX texts_by_start ON texts(video, start);

CREATE TABLE encodings (
  video TEXT NOT NULL REFERENCES videos(id) ON DELETE CASCADE,
  encoder TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT,
  sha256 TEXT,
  rows INTEGER NOT NULL,
  skipped TEXT,
  error TEXT,
  PRIMARY KEY (video, encoder)
) WITHOUT ROWID;

CREATE TABLE documents (
  scene INTEGER PRIMARY KEY REFERENCES scenes(id) ON DELETE CASCADE,
  speech TEXT NOT NULL,
  visuals TEXT NOT NULL,
  tokens INTEGER NOT NULL     -- as FTS5 counts them, for BM25
);
CREATE VIRTUAL TABLE fulltext USING fts5(
  speech, visuals, content='documents', content_rowid='scene', tokenize='{TOKENIZER}'
);
CREATE VIRTUAL TABLE terms USING fts5vocab(fulltext, 'instance');
"""

_VERSION_2 = "ALTER TABLE texts ADD COLUMN speaker TEXT;"

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2)
"""Step i brings version i to i + 1."""


def version(connection: sqlite3.Connection) -> int:
    """The schema version of a catalog; 0 for an empty file.

    Raises:
        StoreError: another program's database, or a newer egorag's.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and owner != APPLICATION_ID:
        raise StoreError("it is a database of another program")
    if found > len(MIGRATIONS):
        raise StoreError(
            f"it has version {found}, made by a newer egorag; this one knows up to version "
            f"{len(MIGRATIONS)}. Upgrade: pip install -U egorag"
        )
    return int(found)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a catalog to the newest version, each step whole or not at all."""
    for number in range(version(connection), len(MIGRATIONS)):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {number + 1}; COMMIT;"
        )
