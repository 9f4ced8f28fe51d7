"""What an index holds, in a form two runs can be compared by."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any


def catalog_rows(index: Path) -> dict[str, list[Any]]:
    """Every row of every table of the catalog, sorted."""
    with sqlite3.connect(f"file:{index / 'catalog.sqlite'}?mode=ro", uri=True) as db:
        tables = [
            name
            for (name,) in db.execute(
                "SELECT name FROM sqlite_master"
                " WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
                " AND name NOT LIKE '%\\_data' ESCAPE '\\' AND name NOT LIKE '%\\_idx' ESCAPE '\\'"
            )
        ]
        return {t: sorted(map(repr, db.execute(f'SELECT * FROM "{t}"'))) for t in tables}


def artifact_hashes(index: Path) -> dict[str, str]:
    """SHA-256 of every artifact by its place."""
    folder = index / "artifacts"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
