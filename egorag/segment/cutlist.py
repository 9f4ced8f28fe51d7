"""Reading labelled cuts: the times at which a new scene begins, by video.

- CSV with the columns ``video`` and ``seconds``, one cut a line.
- JSON ``{"VIDEO": [time, ...], ...}``.
- JSON ``{"cuts": [{"seconds": ...}, ...]}`` of the one video that the file is called after, as
  ``python -m egorag.sample`` writes it: ``day.truth.json`` is about ``day``.

A video is told by its path, name or id, in the last format without its suffix. A time is a number
of seconds or ``[HH:]MM:SS[.mmm]``. A video without cuts is one scene, and worth labelling: in JSON
as an empty list, in CSV as a line with no time.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError
from egorag.segment.scenelist import read_time


def read_cuts(path: Path) -> dict[str, list[int]]:
    """Sorted times in microseconds by video, as the file calls it.

    Raises:
        ConfigError: unreadable, none of the formats, or a bad time.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read labelled cuts {str(path)!r}: {error}") from error
    found = _from_json(text, path) if path.suffix.lower() == ".json" else _from_csv(text, path)
    if not found:
        raise ConfigError(f"{str(path)!r} labels no video")
    return {
        video: sorted({read_time(time, f"{path.name}, a cut of {video}") for time in times})
        for video, times in found.items()
    }


def _from_json(text: str, path: Path) -> dict[str, list[Any]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{str(path)!r} is not JSON: {error}") from error
    if isinstance(data, dict) and "cuts" in data:
        cuts = data["cuts"]
        if isinstance(cuts, list) and all(isinstance(c, dict) and "seconds" in c for c in cuts):
            return {path.stem.removesuffix(".truth"): [cut["seconds"] for cut in cuts]}
        raise ConfigError(f'{str(path)!r}: each of its cuts must be {{"seconds": ...}}')
    if isinstance(data, dict) and all(isinstance(times, list) for times in data.values()):
        return data
    raise ConfigError(f'{str(path)!r} must hold {{"VIDEO": [seconds, ...], ...}}')


def _from_csv(text: str, path: Path) -> dict[str, list[Any]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    if not {"video", "seconds"} <= set(rows.fieldnames or ()):
        raise ConfigError(
            f"{str(path)!r} must be a CSV with the columns video and seconds, or end in .json; "
            f"got the columns {', '.join(rows.fieldnames or ()) or 'of an empty file'}"
        )
    found: dict[str, list[Any]] = {}
    for row in rows:
        times = found.setdefault(row["video"], [])
        if row["seconds"]:
            times.append(row["seconds"])
    return found
