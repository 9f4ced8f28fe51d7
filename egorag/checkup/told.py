"""What the checks found, for a person: lines of at most 100 columns, commands excepted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from egorag.checkup.encoders import BROKEN, PACKAGES, READY, WEIGHTS, Row
from egorag.pipeline.planner import gigabytes

WIDTH = 100
_HEADS = {
    READY: "Ready",
    WEIGHTS: "Needs weights (index fetches them, or get them now)",
    PACKAGES: "Needs packages",
    BROKEN: "Cannot run",
}


def told(machine: Mapping[str, str], rows: Mapping[str, Row]) -> str:
    """Machine first, then the encoders by what they need."""
    absent = [name for name, value in machine.items() if value == "not installed"]
    lines = [f"{name}: {value}" for name, value in machine.items() if name not in absent]
    if absent:
        lines += textwrap.wrap(f"not installed: {', '.join(absent)}", WIDTH)
    for state, head in _HEADS.items():
        chosen = {name: row for name, row in rows.items() if row.state == state}
        if chosen:
            lines += ["", f"{head}: {len(chosen)}"]
            for name, row in chosen.items():
                lines += _entry(name, row)
    lines += ["", "* in the default set of encoders"]
    return "\n".join(lines)


def _entry(name: str, row: Row) -> Iterator[str]:
    mark = "*" if row.default else " "
    yield from _wrapped(f" {mark}{name:26} ", "; ".join(_facts(row)))
    if row.does:
        yield from _wrapped(" " * 6, row.does)
    if row.lacks and (row.gated or row.state != WEIGHTS):
        yield from _wrapped(" " * 6, row.lacks)
    if row.mend:
        yield f"      {row.mend}"


def _facts(row: Row) -> Iterator[str]:
    width = f"{row.dim}-d " if row.dim else ""
    if row.medium:
        yield f"{row.medium} -> {width}{row.yields}" if row.yields else f"reads {row.medium}"
    if row.queries:
        yield f"asked by {', '.join(row.queries)}"
    if row.memory:
        yield f"memory {gigabytes(row.memory)}"
    if row.bytes is not None:
        yield f"{gigabytes(row.bytes)} on disk"
    elif row.download:
        yield f"download {gigabytes(row.download)}"
    if row.licence:
        yield row.licence + (" (gated)" if row.gated else "")
    if row.seconds is not None:
        yield f"set up in {row.seconds:.1f} s"


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
