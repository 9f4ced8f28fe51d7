"""Finished runs read from disk, and which of them did the same."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError
from egorag.evaluate.controls import MAIN
from egorag.evaluate.items import item_to_json
from egorag.evaluate.record import ITEMS, RECORD, ROWS, read_items, read_record, read_rows
from egorag.evaluate.score import Row
from egorag.store.ids import canonical_json


@dataclass(frozen=True, eq=False)
class Finished:
    """A run with its record and its rows by condition, ``main`` first."""

    folder: Path
    record: Mapping[str, Any]
    rows: Mapping[str, tuple[Row, ...]]

    @property
    def result(self) -> Mapping[str, Any]:
        """What it came to."""
        found: Mapping[str, Any] = self.record["result"]
        return found

    @property
    def metric(self) -> str:
        """The score that heads its leaderboard."""
        return str(self.result["main"])

    @property
    def main(self) -> tuple[Row, ...]:
        """The rows that are measured for their own sake."""
        return self.rows[MAIN]

    @property
    def of(self) -> str:
        """What it was measured on, as a hash: runs of one may be compared."""
        items = [item_to_json(row.item) for row in self.main]
        told = [self.result["benchmark"], self.metric, self.record["media"], items]
        return hashlib.sha256(canonical_json(told)).hexdigest()


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Folders of runs, finished or not, in order, each once.

    Args:
        paths: each the folder of a run, its record, the cache of ``bench`` or any folder of runs.

    Raises:
        ConfigError: a path is not there, or holds no run.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise ConfigError(f"there is no {str(path)!r}; runs= takes folders of egorag.bench")
        folder = path if path.is_dir() else path.parent
        inside = folder / "runs" if (folder / "runs").is_dir() else folder
        there = [folder] if _is_run(folder) else sorted(filter(_is_run, inside.iterdir()))
        if not there:
            raise ConfigError(
                f"no runs in {str(path)!r}; it should be the cache of python -m egorag.bench "
                "(runs/bench), one of its runs/KEY, or a record.json"
            )
        found |= {one.resolve(): None for one in there}
    return list(found)


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (RECORD, ROWS, ITEMS))


def read_run(folder: Path) -> Finished:
    """One run, of which nothing was changed since it was finished.

    Raises:
        ConfigError: it is not finished, or was changed or damaged since.
    """
    record = read_record(folder)
    outcomes = read_rows(folder)
    items = read_items(folder)
    rows = {
        name: tuple(Row(item, **vars(outcomes[name, item.id])) for item in items)
        for name in dict.fromkeys(name for name, _ in outcomes)
    }
    return Finished(folder, record, rows)


def alike(runs: Sequence[Finished]) -> list[list[Finished]]:
    """Runs that may be compared, together: of one benchmark, the same items and media, headed by
    the same score; the first of each key alone, the best by that score first."""
    by: dict[str, dict[str, Finished]] = {}
    for run in runs:
        by.setdefault(run.of, {}).setdefault(run.record["key"], run)
    return [
        sorted(of.values(), key=lambda run: -run.result["scores"].get(run.metric, _NONE)["value"])
        for of in by.values()
    ]


_NONE = {"value": -math.inf}
"""The score of a run whose answers are not public."""
