"""Tables a user hands in: CSV files that tell what happens when."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from egorag.errors import ConfigError
from egorag.spans import Span
from egorag.when import parse_when


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a first line that names at least ``columns``.

    Raises:
        ConfigError: no such file, or a column is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, restval="")
            rows, there = list(table), [str(name) for name in table.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read the table {str(path)!r}: {error}") from error
    missing = [name for name in columns if name not in there]
    if missing:
        raise ConfigError(
            f"{str(path)!r} has no column {missing[0]!r}; it needs a first line with "
            f"{','.join(columns)}, and has {','.join(there)[:200] or 'nothing'}"
        )
    return rows


def stretch(start: str, end: str, where: str) -> Span:
    """From one time to another, each in seconds or ``H:MM:SS.s``.

    Raises:
        ConfigError: they are no times of a video, or the end is not later; begins with ``where``.
    """
    try:
        times = parse_when("start", start), parse_when("end", end)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    first, last = times
    if not isinstance(first, float) or not isinstance(last, float) or not 0 <= first < last:
        raise ConfigError(
            f"{where}: start and end must be times in the video, the end later; got {start!r} and "
            f"{end!r}"
        )
    return Span.seconds(first, last)
