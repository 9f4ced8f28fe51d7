"""Reading scene lists: JSON, or CSV as people and PySceneDetect write it.

- JSON: ``[[start, end], ...]`` or ``{"scenes": [...]}`` whose items are pairs or
  ``{"start": ..., "end": ...}``.
- CSV: columns ``start`` and ``end`` in any order among others, or no header and two columns, or
  the file that ``scenedetect list-scenes`` writes (with or without its first line of cuts).

A time is a number of seconds or ``[HH:]MM:SS[.mmm]``.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError
from egorag.spans import Span, to_us

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)")
_COLUMNS = (("start time (seconds)", "end time (seconds)"), ("start", "end"))


def read_scenes(path: Path) -> tuple[Span, ...]:
    """Scenes of a JSON or CSV file, in order.

    Raises:
        ConfigError: unreadable, neither format, or a bad or overlapping scene.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the scene list {str(path)!r}: {error}") from error
    if path.suffix.lower() == ".json":
        return to_spans(_from_json(text, path), str(path))
    return to_spans(_from_csv(text, path), str(path))


def to_spans(scenes: Iterable[Any], source: str) -> tuple[Span, ...]:
    """Check (start, end) pairs and put them in order; ``source`` names them in messages.

    Raises:
        ConfigError: not a pair of times, negative, empty or backwards, or two scenes overlap.

    >>> to_spans([[4, 6.5], ["0:01", "0:04"]], "scenes")
    (Span(0:01.000-0:04.000), Span(0:04.000-0:06.500))
    """
    spans = sorted(_span(scene, f"{source}, scene {n}") for n, scene in enumerate(scenes, 1))
    for left, right in pairwise(spans):
        if right.start < left.end:
            raise ConfigError(
                f"{source}: scenes {left} and {right} overlap; level-0 scenes must not, "
                "end the first where the second starts"
            )
    return tuple(spans)


def _from_json(text: str, path: Path) -> list[Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{str(path)!r} is not JSON: {error}") from error
    scenes = data.get("scenes") if isinstance(data, dict) else data
    if not isinstance(scenes, list):
        raise ConfigError(
            f'{str(path)!r} must hold [[start, end], ...] or {{"scenes": [...]}}, '
            f"got {type(data).__name__}"
        )
    return scenes


def _from_csv(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if any(row)]
    except csv.Error as error:
        raise ConfigError(f"{str(path)!r} is not CSV: {error}") from error
    for number, row in enumerate(rows[:2]):  # list-scenes puts a line of cuts above its header
        names = [cell.lower() for cell in row]
        for first, second in _COLUMNS:
            if first in names and second in names:
                start, end = names.index(first), names.index(second)
                body = rows[number + 1 :]
                return [(_cell(row, start), _cell(row, end)) for row in body]
    if rows and all(len(row) == 2 for row in rows):
        return [(row[0], row[1]) for row in rows]
    raise ConfigError(
        f"{str(path)!r} is not a scene list: expected a CSV with columns start and end, two "
        "columns without a header, or the file that `scenedetect list-scenes` writes"
    )


def _cell(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _span(scene: Any, name: str) -> Span:
    if isinstance(scene, dict):
        scene = [scene.get("start"), scene.get("end")]
    if not isinstance(scene, list | tuple) or len(scene) != 2:
        raise ConfigError(f"{name}: expected [start, end] in seconds, got {scene!r}")
    start, end = (read_time(value, name) for value in scene)
    if end <= start:
        raise ConfigError(f"{name}: must end after it starts, got {scene[0]!r} to {scene[1]!r}")
    return Span(start, end)


def read_time(value: Any, name: str) -> int:
    """Microseconds of a number of seconds or a clock time; ``name`` stands in the message.

    Raises:
        ConfigError: it is neither.
    """
    seconds: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        hours, minutes, rest = clock.groups()
        seconds = int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
    elif isinstance(value, str) and re.fullmatch(r"\d+(\.\d*)?|\.\d+", value.strip()):
        seconds = float(value)
    if seconds is None or not 0 <= seconds < 1e9:
        raise ConfigError(
            f"{name}: {value!r} is not a time; expected seconds (0 or more) or [HH:]MM:SS.mmm"
        )
    return to_us(seconds)
