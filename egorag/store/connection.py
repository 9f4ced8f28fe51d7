"""Opening the catalog's SQLite file for one writer or for many readers, with errors in words."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from egorag.errors import StoreError
from egorag.store import migrations

_WAIT = 30.0  # seconds a statement waits for a lock that another process holds


_LITTLE = 1 << 20  # bytes free; a full disk often has a few left
_NO_HELPERS = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR_SHM")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the catalog at ``path`` into StoreErrors that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(f"catalog {str(path)!r}: {_remedy(error, path)}") from error


def _remedy(error: sqlite3.DatabaseError, path: Path) -> str:
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
        return f"{error} (this is a bug; please report it)"
    full = "the disk is full; free some space and run the same command again"
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_IOERR") and shutil.disk_usage(path.parent).free < _LITTLE:
        return full
    return {
        "SQLITE_FULL": full,
        "SQLITE_READONLY": "it cannot be written; choose a folder you may write",
        "SQLITE_BUSY": "another process is writing; try again when it has finished",
        "SQLITE_CANTOPEN": "it cannot be opened; check that the folder exists and may be read",
        "SQLITE_IOERR": "the disk failed to read or write; check it and run the same command again",
        "SQLITE_NOTADB": "it is damaged (not a database); delete it and run the same "
        "`python -m egorag.index` command again (results kept in artifacts/ are used again)",
        "SQLITE_CORRUPT": "it is damaged; delete it and run the same `python -m egorag.index` "
        "command again (results kept in artifacts/ are used again)",
    }.get("_".join(name.split("_")[:2]), str(error))


def open_writer(path: Path) -> sqlite3.Connection:
    """Open or make the catalog for writing, brought to the newest version."""
    with explained(path):
        connection = _connect(path, "rwc")
        try:
            migrations.version(connection)  # before anything is changed in another's file
            # Readers go on reading the last committed state while a write is under way.
            connection.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing; a power cut may lose the last commits, never more.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrations.migrate(connection)
        except StoreError as error:
            connection.close()
            raise StoreError(f"catalog {str(path)!r}: {error}") from None
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the catalog for reading only, also where nothing at all may be written."""
    with explained(path):
        try:
            connection, found = _open_for_reading(path, "ro")
        except sqlite3.OperationalError as error:
            # SQLite keeps two helper files beside a WAL database and cannot make them here.
            if not error.sqlite_errorname.startswith(_NO_HELPERS):
                raise
            _check_settled(path, error)
            connection, found = _open_for_reading(path, "ro&immutable=1")
    if found < len(migrations.MIGRATIONS):
        connection.close()
        raise StoreError(
            f"catalog {str(path)!r} has the older version {found}; run the same "
            "`python -m egorag.index` command once to bring it up to date"
        )
    return connection


def _open_for_reading(path: Path, mode: str) -> tuple[sqlite3.Connection, int]:
    connection = _connect(path, mode)
    try:
        return connection, migrations.version(connection)
    except StoreError as error:
        connection.close()
        raise StoreError(f"catalog {str(path)!r}: {error}") from None
    except sqlite3.DatabaseError:
        connection.close()
        raise


def _check_settled(path: Path, error: sqlite3.OperationalError) -> None:
    """Raise unless all of the content is in the file itself and none in a log beside it."""
    if not path.exists():
        raise error
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(
            f"catalog {str(path)!r} was copied or made read-only in the middle of a run; open it "
            "once where it can be written"
        ) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_WAIT,
        isolation_level=None,  # transactions are begun and ended by hand
        check_same_thread=False,  # Catalog holds a lock around every use
    )
