"""The figures of a section, each with its legend and the numbers it was drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from egorag.evaluate.report.chart import Axis, Point, Series, amount, plot, share
from egorag.evaluate.report.curves import Recall, Sureness, recall, sureness
from egorag.evaluate.report.section import Section
from egorag.evaluate.score import Row

MOST = 8
"""Runs of one figure: the best ones; more colours could not be told apart."""

_POINTS = 100  # of a risk curve, evenly by rank, the last one kept
_PROCESS = " Memory is that of the whole process: what a sweep ran before counts, too."


@dataclass(frozen=True)
class Figure:
    """A chart and what belongs to it.

    Attributes:
        svg: markup, any text in it escaped.
        legend: class in the style sheet and name of each series.
        head, body: the same as a table.
    """

    title: str
    told: str
    svg: str
    legend: Sequence[tuple[str, str]]
    head: Sequence[str]
    body: Sequence[Sequence[str]]


def figures(section: Section) -> Iterator[Figure]:
    """Those that the runs have data for."""
    for draw in (recall_figure, risk_figure, reliability_figure):
        found = draw(section)
        if found is not None:
            yield found
    yield from cost_figures(section)


def recall_figure(section: Section) -> Figure | None:
    """Recall by how many scenes are looked at, beside the best run's controls."""
    shown = _shown(section)
    found = [(name, recall(rows, section.seed)) for name, rows in shown]
    series = [_recall(name, of, number) for number, (name, of) in enumerate(found) if of]
    if not series:
        return None
    for name in ("bm25", "random"):
        of = recall(section.first.rows.get(name, ()), section.seed)
        series += [_recall(f"{name} (control)", of, None)] if of else []
    depth = max(len(one.points) for one in series)
    what = "ranked" if "hits" in section.first.main[0].output else "read"
    step = -(-depth // 10)
    marks = {float(k): str(k) for k in range(1, depth + 1) if k == 1 or k % step == 0}
    x = Axis(f"scenes {what}", 1, max(2, depth), marks)
    return _figure(
        "Recall",
        f"Share of the right scenes among the first k {what}, mean over items with one; bands are "
        "95 % intervals over videos.",
        series,
        x,
        share("recall"),
    )


def _recall(name: str, of: Recall, number: int | None) -> Series:
    points = [
        Point(
            k + 1,
            float(of.values[k]),
            None if of.low is None else float(of.low[k]),
            None if of.high is None else float(of.high[k]),
        )
        for k in range(len(of.values))
    ]
    return Series(name, points, number)


def risk_figure(section: Section) -> Figure | None:
    """How wrong the answers given are, by how many are given."""
    found = _sure(section)
    if not found:
        return None
    series = []
    for number, name, of in found:
        pairs = list(zip(of.curve.coverage.tolist(), of.curve.risk.tolist(), strict=True))
        step = -(-len(pairs) // _POINTS)
        series.append(Series(name, [Point(*pair) for pair in pairs[::-step][::-1]], number))
    areas = "; ".join(f"{name} {of.area:.3f}" for _, name, of in found)
    return _figure(
        "Risk and coverage",
        "Share of wrong answers among the surest, by the share of items answered; what the run "
        f"abstained from counts as not answered. Area under it (AURC, 0 is perfect): {areas}.",
        series,
        share("share of items answered"),
        share("share wrong"),
    )


def reliability_figure(section: Section) -> Figure | None:
    """How often answers are right, by how sure they are."""
    found = _sure(section)
    if not found:
        return None
    series = [
        Series(name, [Point(b.confidence, b.accuracy) for b in of.bins], number)
        for number, name, of in found
    ]
    errors = "; ".join(f"{name} {of.error:.3f} and {of.brier:.3f}" for _, name, of in found)
    ideal = Series("confidence is the chance of being right", [Point(0, 0), Point(1, 1)])
    return _figure(
        "Confidence",
        "Share right by confidence, in ten bins, of the answers given. Calibration error and "
        f"Brier score (0 is perfect): {errors}.",
        [*series, ideal],
        share("confidence"),
        share("share right"),
    )


def cost_figures(section: Section) -> Iterator[Figure]:
    """The score by what it costs to ask one item: time, and what a language model is sent."""
    shown = [line for line in section.lines if line.number is not None and line.score][:MOST]
    costs = {
        "seconds an item": [_seconds(run.main) for run in section.runs],
        "peak memory, GB": [
            (run.record["cost"]["peak_memory_bytes"] or 0) / 1e9 for run in section.runs
        ],
        "tokens an item": [_tokens(run.main) for run in section.runs],
    }
    for name, values in costs.items():
        if len(shown) < 2 or not any(values):
            continue
        series = []
        for line in shown:
            assert line.score is not None and line.number is not None
            low, high = line.score.low, line.score.high
            point = Point(values[line.number], line.score.value, low, high)
            series.append(Series(line.name, [point], line.number, joined=False))
        yield _figure(
            f"{section.metric} by {name}",
            "Up and to the left is better; bars are 95 % intervals over videos."
            + _PROCESS * name.startswith("peak"),
            series,
            amount(name, values),
            share(section.metric),
        )


def _seconds(rows: Sequence[Row]) -> float:
    return sum(row.seconds for row in rows) / len(rows)


def _tokens(rows: Sequence[Row]) -> float:
    return sum(int(row.output.get("tokens") or 0) for row in rows) / len(rows)


def _shown(section: Section) -> Sequence[tuple[str, Sequence[Row]]]:
    pairs = zip(section.names, section.runs, strict=True)
    return [(name, run.main) for name, run in pairs][:MOST]


def _sure(section: Section) -> list[tuple[int, str, Sureness]]:
    found = [(n, name, sureness(rows)) for n, (name, rows) in enumerate(_shown(section))]
    return [(number, name, of) for number, name, of in found if of is not None]


def _figure(title: str, told: str, series: Sequence[Series], x: Axis, y: Axis) -> Figure:
    body = [
        [one.name, f"{p.x:.4g}", f"{p.y:.3f}", _bounds(p)] for one in series for p in one.points
    ]
    head = ["run", x.name, y.name, "95 % interval"]
    svg = plot(series, x, y, f"{title}: {y.name} by {x.name}. {told} The numbers are below.")
    legend = [(one.style, one.name) for one in series]
    return Figure(title, told, svg, legend, head, body)


def _bounds(point: Point) -> str:
    return "" if point.low is None else f"[{point.low:.3f}, {point.high:.3f}]"
