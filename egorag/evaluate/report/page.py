"""The report as one HTML page and as Markdown tables. Equal runs give equal bytes."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, MissingPackageError
from egorag.evaluate.compare import SURE
from egorag.evaluate.report.chart import COLOURS, track
from egorag.evaluate.report.figures import MOST, figures
from egorag.evaluate.report.gallery import gallery
from egorag.evaluate.report.runs import alike, find_runs, read_run
from egorag.evaluate.report.section import ABOVE, Line, Section, score_text
from egorag.metrics.intervals import Interval
from egorag.terminal import plain

STAGES = ("evidence", "used", "accuracy|evidence")
"""Was the evidence read, was it cited, was the answer right where it was read."""


@dataclass(frozen=True, eq=False)
class Report:
    """Runs by what they may be compared in, and why others are not there.

    Attributes:
        left_out: reason by folder.
    """

    sections: Sequence[Section]
    left_out: Mapping[str, str]


def read(paths: Sequence[Path]) -> Report:
    """Read all runs there are.

    Raises:
        ConfigError: a path holds no run, or not one run is whole.
    """
    runs, left_out = [], {}
    for folder in find_runs(paths):
        try:
            runs.append(read_run(folder))
        except ConfigError as error:
            left_out[str(folder)] = str(error)
    if not runs:
        raise ConfigError(f"not one run is finished and whole: {'; '.join(left_out.values())}")
    sections = [Section(group) for group in alike(runs)]
    return Report(sorted(sections, key=lambda one: (one.title, one.asked)), left_out)


def check_jinja() -> None:
    """Before anything is computed.

    Raises:
        MissingPackageError: Jinja2 is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("jinja2") is None:
        raise MissingPackageError(
            f"reports need Jinja2: {sys.executable} -m pip install 'egorag[report]'"
        )


def html(report: Report, examples: int) -> str:
    """The page: no script, nothing from elsewhere; the browser is told to refuse both.

    Args:
        examples: misses and hits that are shown of each section's best run.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    room = files("egorag.evaluate.report")
    style = (room / "style.css").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "score": score_text,
        "svg": Markup,  # only what chart.py has built
        "track": lambda line: Markup(_track(line)),
        "signed": lambda value: f"{value:+.3f}",
        "p": lambda value: "–" if value is None else f"{value:.2g}",
        "pretty": lambda data: json.dumps(data, indent=1),
        "plain": plain,
    }
    template = environment.from_string((room / "page.html").read_text(encoding="utf-8"))
    return template.render(
        sections=[
            _told(number, section, examples) for number, section in enumerate(report.sections)
        ],
        left_out=report.left_out,
        style=Markup(style),
        sure=SURE,
        most=MOST,
        above=ABOVE,
    )


def _told(number: int, section: Section, examples: int) -> dict[str, Any]:
    """What the template needs of a section."""
    shown = examples and section.first.result["kind"] != "boundaries"
    misses, hits = gallery(section.first, examples) if shown else ([], [])
    return {
        "id": f"section-{number}",
        "section": section,
        "figures": list(figures(section)),
        "categories": section.categories(MOST),
        "stages": _stages(section),
        "costs": [_cost(run.record["cost"], len(run.main)) for run in section.runs],
        "misses": misses,
        "hits": hits,
        "again": [
            f"python -m egorag.bench rerun={shlex.quote(str(run.folder))}" for run in section.runs
        ],
    }


def _stages(section: Section) -> dict[str, list[Line]]:
    """The stages of an answer, a line for each run."""
    return {
        stage: [
            Line(line.name, line.number, line.scores[stage], line.scores, {})
            for line in section.lines
            if line.number is not None and line.number < MOST and stage in line.scores
        ]
        for stage in STAGES
        if any(stage in line.scores for line in section.lines)
    }


def _cost(cost: Mapping[str, Any], items: int) -> dict[str, str]:
    """What a run took, as it reads."""
    memory, tokens = cost["peak_memory_bytes"], cost["tokens"]["main"]
    asking = cost["asking_seconds"]
    shared = "" if cost["indexed_now"] else ", shared"
    return {
        "Indexing": f"{cost['indexing_seconds']:.1f} s{shared}",
        "Asking, an item": f"{asking['main'] / items:.3f} s",
        "Controls": f"{sum(of for name, of in asking.items() if name != 'main'):.1f} s",
        "Memory at most": "–" if memory is None else f"{memory / 1e9:.2f} GB",
        "Tokens, an item": f"{tokens / items:.0f}" if tokens else "none counted",
    }


def _track(line: Line) -> str:
    style = "ref" if line.number is None else f"c{line.number % COLOURS}"
    score = line.score or Interval(0, None, None, 0, 0, 0)
    value = None if line.score is None else score.value
    told = f"{line.name}: {score_text(line.score)}"
    return track(value, score.low, score.high, line.references, style, told)


def markdown(report: Report) -> str:
    """The leaderboards alone, for a README or a paper's draft."""
    lines: list[str] = []
    for section in report.sections:
        lines += [f"## {_cell(section.title)}", ""]
        lines += [_cell(section.asked), ""] if section.asked else []
        head = ["run", *map(_cell, section.metrics), "items", "videos"]
        lines += [_row(head), _row(["---"] * len(head))]
        for line in section.lines:
            name = _cell(line.name)
            scores = [score_text(line.scores.get(metric)) for metric in section.metrics]
            size = [str(line.score.rows), str(line.score.clusters)] if line.score else ["–", "–"]
            lines.append(_row([f"*{name}*" if line.number is None else name, *scores, *size]))
        lines += ["", *(f"- {_cell(one)}" for one in section.findings), ""]
    if report.left_out:
        lines += ["## Left out", ""]
        lines += [f"- {_cell(why)}" for why in report.left_out.values()]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Text that no Markdown reader takes for markup."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|~$!&" else c for c in plain(text))
