"""python -m egorag.index: index videos, sound files or timed text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egorag.cli import Result, main

ABOUT = """Index media into a folder that search and ask read.

  python -m egorag.index input=kitchen.mp4 index=runs/kitchen
  python -m egorag.index input=videos/ index=runs/all encoder=[subtitles,minilm]
  python -m egorag.index input=videos/ index=runs/all profile=scan    # then profile=index, =deep

Run it again after an interrupt or a changed setting: only what is missing is done."""


def run(settings: dict[str, Any]) -> Result:
    """Index ``settings["input"]`` into ``settings["index"]``."""
    from egorag.media.inputs import discover
    from egorag.pipeline.build import build_from
    from egorag.pipeline.progress import Bars

    inputs = discover(settings["input"])
    with Bars(len(inputs)) as bars:
        summary = build_from(settings, inputs, bars)
    done = [o for o in summary.outcomes if o.record is not None]
    lines = [f"{len(done)} of {len(summary.outcomes)} inputs indexed in {summary.index}"]
    for outcome in summary.outcomes:
        if outcome.record is None:
            lines.append(f"  failed: {outcome.path}: {outcome.reason}")
        elif outcome.failed:
            lines.append(f"  in part: {outcome.path}: {'; '.join(outcome.record.problems)}")
    for name, count in summary.outdated.items():
        lines.append(
            f"  {name}: {count} videos of earlier runs were read with other settings and are not "
            "found through it; index them again"
        )
    for name, did in summary.encoders.items():
        if did["checkpoint"] is not None:
            where = f"{did['checkpoint']}, {did['dtype']} on {did['device']}"
            lines.append(f"  {name} ({where})" + (f": {did['does']}" if did["does"] else ""))
    lines += _cost(summary.encoders)
    for medium, names in summary.searchable.items():
        lines.append(f"  queries by {medium} now search {', '.join(names)}")
    return Result(summary.to_json(), "\n".join(lines), 1 if summary.failed else 0)


def _cost(encoders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What was computed and at what cost, and what was there already."""
    made = [f"{n} {did['seconds']:.1f} s" for n, did in encoders.items() if did["made"]]
    reused = [n for n, did in encoders.items() if did["reused"] and not did["made"]]
    told = [("computed", made), ("there already", reused)]
    return [f"  {how}: {', '.join(names)}" for how, names in told if names]


if __name__ == "__main__":
    main("index", ABOUT, run)
