"""The result of a run as plain data and as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from egorag.evaluate.base import Dataset, Scores
from egorag.evaluate.run import Run
from egorag.metrics.intervals import Interval
from egorag.terminal import plain

SHOWN = 5
"""Missing videos and reasons that are printed by name; ``output=json`` has them all."""


def result(dataset: Dataset, scores: Scores, run: Run | None) -> dict[str, Any]:
    """Everything that was measured, on what, and on what not.

    Args:
        run: None where the official metrics were computed from a file of predictions.
    """
    return {
        "benchmark": dataset.name,
        "kind": dataset.kind,
        "main": scores.main,
        "percent": scores.percent,
        "scores": plain_scores(scores),
        "categories": {
            category: {label: _plain(values) for label, values in labels.items()}
            for category, labels in scores.categories.items()
        },
        "from_file": run is None,
        "items": _counts(dataset, run),
        "missing_media": [] if run is None else list(dataset.missing),
        "left_out": {} if run is None else dict(run.left_out),
        "notes": list(dataset.notes),
        "sources": dict(dataset.sources),
    }


def plain_scores(scores: Scores) -> dict[str, Any]:
    """The overall scores as plain data."""
    return _plain(scores.overall)


def text(data: Mapping[str, Any]) -> str:
    """The same, in lines: counts first, since a score means nothing without them."""
    items = data["items"]
    lines = [f"{data['benchmark']}: {items['run']} of {items['all']} items run"]
    if data["from_file"]:
        lines = [f"{data['benchmark']}: {items['all']} items, from a file of predictions"]
    elif items["scored"] != items["run"]:
        lines[0] += f", {items['scored']} scored"
    for why, count in Counter(data["left_out"].values()).most_common(SHOWN):
        lines.append(f"  left out, {count}: {plain(why)}")
    if missing := data["missing_media"]:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        lines.append(f"  media missing, {len(missing)}: {', '.join(missing[:SHOWN])}{more}")
    unit = " (percent)" if data["percent"] else ""
    lines += ["", *_table(data["scores"], data["main"])]
    lines[-len(data["scores"])] += unit
    for category, labels in data["categories"].items():
        values = {
            plain(label): found[data["main"]]
            for label, found in labels.items()
            if data["main"] in found
        }
        width = max(map(len, values), default=0)
        lines += ["", f"{data['main']} by {category}"] if values else []
        lines += [f"  {label:{width}}  {_number(value)}" for label, value in values.items()]
    lines += _controls(data)
    return "\n".join([*lines, *(f"\n{plain(note)}" for note in data["notes"])])


def _controls(data: Mapping[str, Any]) -> list[str]:
    """The same metric of each control, and whether the run is surely better."""
    main = data["main"]
    against = {one["against"]: one for one in data.get("comparisons", ())}
    having = {name: of[main] for name, of in data.get("controls", {}).items() if main in of}
    width = max(map(len, having), default=0)
    lines = ["", f"{main} of the controls"] if having else []
    for name, value in having.items():
        one = against.get(name)
        lines.append(f"  {name:{width}}  {_number(value)}")
        if one is not None:
            surely = "surely better" if one["survives"] else "NOT surely better"
            lines[-1] += f"  {one['value']:+.3f}, p = {one['p_corrected']:.3g}: {surely}"
    return lines


def _counts(dataset: Dataset, run: Run | None) -> dict[str, int]:
    every = len(dataset.items)
    if run is None:
        return {"all": every, "run": every, "scored": every, "left_out": 0}
    return {
        "all": every,
        "run": len(run.rows),
        "scored": sum(bool(row.values) for row in run.rows),
        "left_out": len(run.left_out),
    }


def _plain(values: Mapping[str, Interval | float]) -> dict[str, Any]:
    return {
        name: value.to_json() if isinstance(value, Interval) else value
        for name, value in values.items()
    }


def _table(scores: Mapping[str, Any], main: str) -> list[str]:
    width = max(map(len, scores), default=0)
    order = sorted(scores, key=lambda name: name != main)
    return [f"{name:{width}}  {_number(scores[name])}" for name in order]


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{Interval(**value)}  ({value['rows']} items of {value['clusters']} videos)"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
