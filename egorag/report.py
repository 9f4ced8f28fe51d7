"""python -m egorag.report: runs of egorag.bench side by side, as a page and as tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from egorag.cli import Result, main

ABOUT = """Put finished runs of python -m egorag.bench side by side: scores with intervals and
controls, which gain survives, curves, costs, and hits and misses with pictures.

  python -m egorag.report runs/bench
  python -m egorag.report runs/bench/runs/KEY other/runs/KEY to=report.html

One HTML file that needs nothing else, and the leaderboards in Markdown beside it. Runs are compared
where they asked the same items of the same videos; what is not finished or damaged is named and
left out (exit code 1)."""


def run(settings: dict[str, Any]) -> Result:
    """Write the report of ``settings["runs"]`` to ``settings["to"]``."""
    from pathlib import Path

    from egorag.config import parse_list
    from egorag.errors import ConfigError
    from egorag.evaluate.report import page
    from egorag.store.files import write_whole

    page.check_jinja()
    to, examples = Path(settings["to"]), settings["examples"]
    if to.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"to={to}: a report is an .html file; its tables are written beside it")
    if not isinstance(examples, int) or not 0 <= examples <= 100:
        raise ConfigError(f"examples must be a whole number from 0 to 100, got {examples!r}")
    given = parse_list("runs", settings["runs"])
    parted = ([one] if Path(one).exists() else one.split(",") for one in given)
    report = page.read([Path(one) for some in parted for one in some])
    tables = to.with_suffix(".md")
    write_whole(to, page.html(report, examples).encode("utf-8", "replace"))
    write_whole(tables, page.markdown(report).encode("utf-8", "replace"))
    data = {
        "to": str(to),
        "tables": str(tables),
        "left_out": dict(report.left_out),
        "sections": [
            {
                "title": section.title,
                "runs": dict(
                    zip(section.names, (str(r.folder) for r in section.runs), strict=True)
                ),
                "findings": section.findings,
            }
            for section in report.sections
        ],
    }
    lines = [f"left out: {why}" for why in report.left_out.values()]
    for section in report.sections:
        lines += [section.title, *(f"  {finding}" for finding in section.findings)]
    text = "\n".join([*lines, f"{to} and {tables}"])
    return Result(data, text, 1 if report.left_out else 0)


def settings_of(arguments: Sequence[str]) -> list[str]:
    """Paths given without a key as ``runs=``.

    >>> settings_of(["a", "to=x.html", "b"])
    ['to=x.html', 'runs=["a", "b"]']
    """
    import json

    paths = [one for one in arguments if "=" not in one and not one.startswith("-")]
    rest = [one for one in arguments if one not in paths]
    return [*rest, f"runs={json.dumps(paths)}"] if paths else rest


if __name__ == "__main__":
    main("report", ABOUT, run, settings_of(sys.argv[1:]))
