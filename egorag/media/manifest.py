"""MANIFEST.json: media files with what the user knows of them.

A list of ``{"path", "recorded_at", "scenes": [[start, end], ...], "metadata"}``; all but the path
may be left out. Relative paths start at the manifest's folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError
from egorag.media.entry import Input, check_keys, moment_of, parse_object, scenes_of, text_of

_OPTIONAL = ("recorded_at", "scenes", "metadata")


def read_manifest(path: Path) -> list[Input]:
    """One input an entry, in the manifest's order, then the bad ones, each with an ``error``.

    Raises:
        ConfigError: not a list of entries at all.
    """
    try:
        entries = parse_object(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the manifest {str(path)!r}: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ConfigError(
            f'the manifest {str(path)!r} must be a list such as [{{"path": "kitchen.mp4"}}], got '
            f"{'an empty list' if entries == [] else type(entries).__name__}"
        )
    inputs: dict[Path, Input] = {}
    failed: list[Input] = []
    for number, entry in enumerate(entries, 1):
        item = _entry(entry, path)
        if item.error is None and item.path in inputs:
            item = replace(item, error="listed twice; the first entry is used")
        if item.error is None:
            inputs[item.path] = item
        else:
            failed.append(replace(item, error=f"{path.name} entry {number}: {item.error}"))
    return [*inputs.values(), *failed]


def _entry(entry: Any, manifest: Path) -> Input:
    named = entry.get("path") if isinstance(entry, dict) else None
    try:
        checked = check_keys(entry, ["path"], _OPTIONAL)
        metadata = checked.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise ValueError(f"metadata must be an object, got {type(metadata).__name__}")
        return Input(
            manifest.parent / text_of(checked["path"], "path"),
            recorded_at=moment_of(checked.get("recorded_at")),
            scenes=scenes_of(checked.get("scenes") or []),
            metadata=metadata,
        )
    except ValueError as error:
        try:
            path = manifest.parent / text_of(named, "path")
        except ValueError:
            path = manifest
        return Input(path, error=str(error))
