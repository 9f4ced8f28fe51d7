"""The surprise curve over a video, with its scenes and a filmstrip below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from egorag.figures.sheet import BLUE, FAINT, INK, MARK, SOFT, Sheet, Shot
from egorag.predict.curve import SurpriseCurve
from egorag.predict.uses import Peak, anomalies
from egorag.spans import Span, clock

_APART = 0.055  # of the sheet's width: room for a peak's time
_COLUMNS = 800  # more would run into each other

Values: TypeAlias = npt.NDArray[Any]


def surprise_sheet(
    name: str, span: Span, curve: SurpriseCurve, scenes: Sequence[Span], film: Sequence[Shot]
) -> Sheet:
    """Energy as a line over an area, the static copy as a line, peaks with their times.

    Of a long video each column is the mean of its moments, and the area goes up to the highest.

    Args:
        name: of the video.
        span: all of it.
        curve: at least one moment.
        scenes: of one level, in order; their boundaries are drawn.
        film: see ``Sheet``.
    """
    ahead = curve.spans[0].duration / 1e6
    told = (
        f"What came against what V-JEPA 2 predicted {ahead:g} s ahead; under the grey line, "
        "predicting beat standing still"
    )
    sheet = Sheet(f"Surprise in {name}", told, span, film, heights=[2.5])
    (panel,) = sheet.panels
    for scene in scenes[1:]:
        panel.axvline(scene.start, color=FAINT, linewidth=0.9, zorder=0)
    edges, energy, highest, static = _columns(curve)
    panel.stairs(highest, edges, baseline=0, fill=True, color=BLUE, alpha=0.16)
    panel.stairs(energy, edges, baseline=None, color=BLUE, linewidth=1.6, label="prediction")
    panel.stairs(static, edges, baseline=None, color=SOFT, linewidth=1.1, label="static copy")
    _mark(panel, curve, span)
    panel.set_ylim(0, 1.18 * max(highest.max(), static.max()) or 1.0)
    panel.locator_params(axis="y", nbins=5)
    panel.grid(axis="y", color=INK, alpha=0.07, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.02), ncols=3, frameon=False, fontsize=9,
        labelcolor=SOFT, handlelength=1.4, borderaxespad=0.0, columnspacing=1.4,
    )  # fmt: skip
    return sheet


def _columns(curve: SurpriseCurve) -> tuple[Values, Values, Values, Values]:
    """Edges, mean and highest energy, mean static copy; moments that share a column are one."""
    starts = np.array([span.start for span in curve.spans], np.int64)
    each = -(-len(starts) // _COLUMNS)
    first = np.arange(0, len(starts), each)
    counts = np.diff([*first, len(starts)])
    edges = np.append(starts[first], curve.spans[-1].end)
    energy, static = (np.add.reduceat(v, first) / counts for v in (curve.energy, curve.static))
    return edges, energy, np.maximum.reduceat(curve.energy, first), static


def _mark(panel: Any, curve: SurpriseCurve, whole: Span) -> None:
    """Dots with their times at the highest peaks that have room beside each other."""
    peaks = anomalies(curve)
    shown: list[Peak] = []
    for peak in sorted(peaks, key=lambda p: -p.value):
        away = (abs(peak.span.middle - other.span.middle) for other in shown)
        if all(distance > whole.duration * _APART for distance in away):
            shown.append(peak)
    if not shown:
        return
    label = "anomaly" if len(shown) == len(peaks) else f"{len(shown)} of {len(peaks)} anomalies"
    xs, ys = [p.span.middle for p in shown], [p.value for p in shown]
    panel.plot(xs, ys, "o", color=MARK, markersize=5, zorder=3, label=label)
    still = dict(zip(curve.spans, curve.static, strict=True)) if len(curve) <= _COLUMNS else {}
    for peak in shown:
        near_start = peak.span.middle - whole.start < whole.duration * _APART / 2
        panel.annotate(
            clock(peak.span.start)[:-2],
            (peak.span.middle, max(peak.value, still.get(peak.span, 0.0))),
            (0, 6), textcoords="offset points", ha="left" if near_start else "center",
            fontsize=9, color=MARK,
        )  # fmt: skip
