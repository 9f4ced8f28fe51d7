"""The surprise curve over a video, with its scenes and a filmstrip below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from egorag.figures.sheet import BLUE, FAINT, INK, MARK, SOFT, Sheet, Shot
from egorag.predict.curve import SurpriseCurve
from egorag.predict.uses import anomalies
from egorag.spans import Span, clock

_APART = 0.045  # of the sheet's width: room for a peak's time


def surprise_sheet(
    name: str, span: Span, curve: SurpriseCurve, scenes: Sequence[Span], film: Sequence[Shot]
) -> Sheet:
    """Energy as an area, the static copy as a line, peaks with their times.

    Args:
        name: of the video.
        span: all of it.
        curve: at least one moment.
        scenes: level-0 scenes; their boundaries are drawn.
        film: see ``Sheet``.
    """
    ahead = curve.spans[0].duration / 1e6
    told = (
        f"How far what came lies from what V-JEPA 2 predicted {ahead:g} s ahead. Below the grey "
        "line, predicting beat standing still."
    )
    sheet = Sheet(f"Surprise in {name}", told, span, film, heights=[2.5])
    (panel,) = sheet.panels
    for scene in scenes[1:]:
        panel.axvline(scene.start, color=FAINT, linewidth=0.9, zorder=0)
    edges = [s.start for s in curve.spans] + [curve.spans[-1].end]
    panel.stairs(curve.energy, edges, baseline=0, fill=True, color=BLUE, alpha=0.16)
    panel.stairs(curve.energy, edges, baseline=None, color=BLUE, linewidth=1.6, label="prediction")
    panel.stairs(curve.static, edges, baseline=None, color=SOFT, linewidth=1.1, label="static copy")
    _mark(panel, curve, span)
    panel.set_ylim(0, 1.18 * max(curve.energy.max(), curve.static.max()) or 1.0)
    panel.locator_params(axis="y", nbins=5)
    panel.grid(axis="y", color=INK, alpha=0.07, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.02), ncols=3, frameon=False, fontsize=9,
        labelcolor=SOFT, handlelength=1.4, borderaxespad=0.0, columnspacing=1.4,
    )  # fmt: skip
    return sheet


def _mark(panel: Any, curve: SurpriseCurve, whole: Span) -> None:
    """A dot at each peak, and its time where there is room; the highest have it first."""
    peaks = anomalies(curve)
    if not peaks:
        return
    xs, ys = [p.span.middle for p in peaks], [p.value for p in peaks]
    panel.plot(xs, ys, "o", color=MARK, markersize=5, zorder=3, label="anomaly")
    still = dict(zip(curve.spans, curve.static, strict=True))
    named: list[int] = []
    for peak in sorted(peaks, key=lambda p: -p.value):
        at = peak.span.middle
        if any(abs(at - other) < whole.duration * _APART for other in named):
            continue
        named.append(at)
        panel.annotate(
            clock(peak.span.start)[:-2], (at, max(peak.value, still[peak.span])), (0, 6),
            textcoords="offset points", ha="center", fontsize=9, color=MARK,
        )  # fmt: skip
