"""A run made again from its record: equal to the last digit, or what differs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egorag import config, registry
from egorag.errors import ConfigError, EgoragError
from egorag.evaluate.measure import measure
from egorag.evaluate.record import Outcome, read_record, read_rows
from egorag.terminal import plain

SHOWN = 10
"""Differences of one kind that are told by name."""

PLACES = frozenset({"path"})
"""What an output tells of where files lie, which is no number."""


def rerun(path: Path, cache: Path) -> dict[str, Any]:
    """Make the run of a record again and compare.

    What is in ``cache`` is not encoded again; with an empty one everything is made anew. Files that
    its config names relatively are looked for in the folder in which the run was made.

    Returns:
        ``same``: whether every score and every output is equal, to the last digit; ``rows``;
        ``differs``: where not; ``surroundings``: what else is not as it was (code, packages,
        data, machine); ``record`` of the new run.

    Raises:
        ConfigError: no record, it or its rows were changed, or its benchmark cannot be read any
            more.
    """
    old = read_record(path)
    before = read_rows(path)
    cache = cache.absolute()
    defaults = config.compose("bench", [])  # of settings that the record is too old for
    settings = {**defaults, **old["config"], "cache": str(cache)}
    made_in = Path(old["folder"])
    with contextlib.chdir(made_in if made_in.is_dir() else Path.cwd()):
        try:
            dataset = registry.build("benchmarks", "benchmark", settings["benchmark"]).read()
            again = measure(dataset, settings, cache / "reruns", fresh=True)
        except EgoragError as error:
            if made_in.is_dir():
                raise
            raise ConfigError(
                f"cannot make the run again: {error}; it was made in {str(made_in)!r}, which is "
                "not there: go to the folder in which its files lie now"
            ) from error
    new = read_record(again.record)
    differs = _rows_differ(before, read_rows(again.record))
    differs += _differ("result", old["result"], new["result"])
    surroundings = [
        line
        for part in ("code", "revision", "sources", "media", "environment")
        for line in _differ(part, old[part], new[part])
    ]
    return {
        "same": not differs,
        "rows": len(before),
        "differs": differs,
        "surroundings": surroundings,
        "record": str(again.record),
    }


def rerun_text(data: Mapping[str, Any]) -> str:
    """The same for a person."""
    head = (
        f"equal to the last digit: {data['rows']} rows"
        if data["same"]
        else f"NOT equal: {len(data['differs'])} differences in {data['rows']} rows"
    )
    lines = [head, *_some(data["differs"])]
    if data["surroundings"]:
        lines += ["not as it was:", *_some(data["surroundings"])]
    return "\n".join([*lines, f"record: {data['record']}"])


def _some(lines: list[str]) -> list[str]:
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [*(f"  {plain(line)}" for line in lines[:SHOWN]), *more]


def _rows_differ(
    old: Mapping[tuple[str, str], Outcome], new: Mapping[tuple[str, str], Outcome]
) -> list[str]:
    found = []
    for condition, item in sorted({*old, *new}):
        a, b = old.get((condition, item)), new.get((condition, item))
        named = f"{condition} of item {item}"
        if a is None or b is None:
            found.append(f"{named}: only in the {'new' if a is None else 'old'} run")
        else:
            found += _differ(f"{named}, scores", a.values, b.values)
            found += _differ(f"{named}, output", a.output, b.output)
    return found


def _differ(name: str, old: Any, new: Any) -> list[str]:
    """One line for each leaf that is not equal."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new} - PLACES)
        return [x for k in keys for x in _differ(f"{name}.{k}", old.get(k), new.get(k))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [x for i, (a, b) in pairs for x in _differ(f"{name}[{i}]", a, b)]
    return [] if old == new else [f"{name}: was {_short(old)}, is {_short(new)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
