"""Charts as inline SVG: widths in percent, so text keeps its size on a narrow screen; colours by
class, so a style sheet has them for light and dark. Elements are built, never pasted: any text in
them is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

COLOURS = 8
"""Classes ``c0`` to ``c7`` of the style sheet; more series begin again."""

_HEIGHT = 260  # pixels of a plot
_CROWDED = 25  # points of a line beyond which they are not marked
_ROW, _MIDDLE = 26, 13  # pixels of a row's track


@dataclass(frozen=True)
class Point:
    """A place in a plot, with the bounds of its interval where there are any."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points of one name.

    Attributes:
        colour: number of its colour; None for a control: grey and dashed.
        joined: drawn as a line with its intervals as a band, else as points with error bars.
    """

    name: str
    points: Sequence[Point]
    colour: int | None = None
    joined: bool = True

    @property
    def style(self) -> str:
        """Its class in the style sheet."""
        return "ref" if self.colour is None else f"c{self.colour % COLOURS}"


@dataclass(frozen=True)
class Axis:
    """What lies along one side of a plot: name, bounds, marks and how they read."""

    name: str
    low: float
    high: float
    ticks: Mapping[float, str]

    def place(self, value: float) -> float:
        """Where a value lies, 0..100; what is beyond a bound is drawn at it."""
        share = (value - self.low) / (self.high - self.low)
        return 100 * min(1.0, max(0.0, share))


def share(name: str) -> Axis:
    """An axis from 0 to 1."""
    return Axis(name, 0, 1, {value / 4: f"{value / 4:g}" for value in range(5)})


def amount(name: str, values: Sequence[float]) -> Axis:
    """An axis from 0 to a round number that no value exceeds.

    >>> list(amount("seconds", [0.7, 3.1]).ticks.values())
    ['0', '1', '2', '3', '4']
    """
    most = max(values) or 1.0
    step = next(s for s in _steps() if s * 5 >= most)
    count = next(n for n in range(1, 6) if n * step >= most)
    return Axis(name, 0, count * step, {n * step: f"{n * step:g}" for n in range(count + 1)})


def _steps() -> Sequence[float]:
    return [float(f"{base}e{power}") for power in range(-9, 16) for base in (1, 2, 5)]


def track(
    value: float | None,
    low: float | None,
    high: float | None,
    references: Mapping[str, float],
    style: str,
    told: str,
) -> str:
    """One row of a forest plot over 0..1: a dot, its interval, controls as dashed lines.

    Args:
        told: the same in words.
    """
    svg = _svg(_ROW, told, "track")
    axis = share("")
    for tick in axis.ticks:
        _line(svg, axis.place(tick), axis.place(tick), 0, _ROW, "grid")
    for name, at in references.items():
        line = _line(svg, axis.place(at), axis.place(at), 2, _ROW - 2, "ref")
        ET.SubElement(line, "title").text = f"{name} {at:.3f}"
    if low is not None and high is not None:
        _line(svg, axis.place(low), axis.place(high), _MIDDLE, _MIDDLE, f"bar {style}")
    if value is not None:
        place = {"cx": _percent(axis.place(value)), "cy": str(_MIDDLE), "r": "5"}
        ET.SubElement(svg, "circle", {**place, "class": f"dot {style}"})
    return _text(svg)


def plot(series: Sequence[Series], x: Axis, y: Axis, told: str) -> str:
    """Lines or points over two axes.

    Args:
        told: what it shows, in words.
    """
    svg = _svg(_HEIGHT, told, "plot")
    for value, label in y.ticks.items():
        at = _down(y, value)
        _line(svg, 0, 100, at, at, "grid")
        _label(svg, "-8", at + 4, label, "end")
    for value, label in x.ticks.items():
        _label(svg, _percent(x.place(value)), _HEIGHT + 18, label, "middle")
    _label(svg, "50%", _HEIGHT + 38, x.name, "middle")
    _line(svg, 0, 100, _HEIGHT, _HEIGHT, "axis")
    stretched = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none"}
    place = {"width": "100%", "height": str(_HEIGHT), "overflow": "visible"}
    inner = ET.SubElement(svg, "svg", {**stretched, **place})
    for one in series:
        if one.joined:
            _joined(inner, one, x, y)
        if not one.joined or len(one.points) <= _CROWDED:
            for point in one.points:
                _marked(svg, one, point, x, y)
    return _text(svg)


def _joined(svg: ET.Element, one: Series, x: Axis, y: Axis) -> None:
    """The band of the intervals, where all points have one, and the line over it."""
    upper = [(p.x, p.high) for p in one.points if p.high is not None]
    lower = [(p.x, p.low) for p in reversed(one.points) if p.low is not None]
    if one.colour is not None and len(upper) == len(lower) == len(one.points) > 1:
        band = _corners([*upper, *lower], x, y)
        ET.SubElement(svg, "polygon", {"points": band, "class": f"band {one.style}"})
    line = _corners([(p.x, p.y) for p in one.points], x, y)
    ET.SubElement(svg, "polyline", {"points": line, "class": f"line {one.style}"})


def _marked(svg: ET.Element, one: Series, point: Point, x: Axis, y: Axis) -> None:
    """A point with its title, and its error bar unless a band shows it."""
    at = x.place(point.x)
    if not one.joined and point.low is not None and point.high is not None:
        ends = _down(y, point.high), _down(y, point.low)
        _line(svg, at, at, *ends, f"bar {one.style}")
    where = {"cx": _percent(at), "cy": f"{_down(y, point.y):.2f}", "r": "3" if one.joined else "5"}
    dot = ET.SubElement(svg, "circle", {**where, "class": f"dot {one.style}"})
    ET.SubElement(dot, "title").text = f"{one.name}: {point.x:.4g}, {point.y:.3f}"


def _corners(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    return " ".join(f"{x.place(a):.3f},{100 - y.place(b):.3f}" for a, b in points)


def _down(axis: Axis, value: float) -> float:
    """Pixels from the top of a plot."""
    return _HEIGHT * (1 - axis.place(value) / 100)


def _svg(height: int, told: str, style: str) -> ET.Element:
    size = {"width": "100%", "height": str(height)}
    return ET.Element("svg", {**size, "class": style, "role": "img", "aria-label": told})


def _line(svg: ET.Element, x1: float, x2: float, y1: float, y2: float, style: str) -> ET.Element:
    ends = {"x1": _percent(x1), "x2": _percent(x2), "y1": f"{y1:.2f}", "y2": f"{y2:.2f}"}
    return ET.SubElement(svg, "line", {**ends, "class": style})


def _label(svg: ET.Element, x: str, y: float, text: str, anchor: str) -> None:
    place = {"x": x, "y": f"{y:.2f}", "text-anchor": anchor}
    ET.SubElement(svg, "text", place).text = text


def _percent(place: float) -> str:
    return f"{place:.3f}%"


def _text(svg: ET.Element) -> str:
    return ET.tostring(svg, encoding="unicode")
