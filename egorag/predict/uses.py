"""What a surprise curve is for: anomalies, cuts, summaries that keep the surprising.

All of it is unproven on general video. V-JEPA 2's predictor was trained to fill in masked places,
not to tell the normal from the strange; that its error peaks where something happens has been
shown for physically impossible events (Garrido et al. 2025, arXiv:2502.11831), not for days of
first-person video. A camera that turns fast surprises as much as an accident does. Measure on
videos of your own, with labels, before you rely on any of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.predict.curve import Measure, SurpriseCurve
from egorag.spans import Span, to_us

THRESHOLD = 3.5
"""Robust z-score above which Iglewicz & Hoaglin (1993, "How to Detect and Handle Outliers") call
a value an outlier."""


@dataclass(frozen=True)
class Peak:
    """A moment that stands out, ``z`` robust deviations above the median."""

    span: Span
    value: float
    z: float


def robust_z(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distances from the median in robust deviations, [n].

    ``0.6745 (x - median) / MAD``, which is a z-score where the values are normal; where more than
    half of them are equal, ``(x - median) / (1.2533 mean absolute deviation)`` (both from Iglewicz
    & Hoaglin, 1993); zeros where all are.

    >>> robust_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(2).tolist()
    [-1.35, -0.67, 0.0, 0.67, 65.43]
    """
    away = values - np.median(values)
    scale = np.median(np.abs(away)) / 0.6745
    if scale == 0:
        scale = np.abs(away).mean() * 1.2533
    found: npt.NDArray[np.float64] = away / scale if scale > 0 else np.zeros_like(away)
    return found


def anomalies(
    curve: SurpriseCurve,
    *,
    z: float = THRESHOLD,
    of: Measure = "energy",
    apart: float = 0.0,
) -> list[Peak]:
    """Local peaks of surprise whose robust z-score is at least ``z``, in time order.

    Median and deviation are those of the whole curve: unlike the curve, this looks at all of the
    video. A curve that is restless throughout has no anomalies.

    Args:
        of: the energy, the static copy's, or one against the other.
        apart: seconds; of peaks nearer to each other the higher is kept.

    Raises:
        ConfigError: an unknown measure.
    """
    values = curve.values(of)
    if not len(values):
        return []
    scores = robust_z(values)
    around = np.concatenate([[-np.inf], values, [-np.inf]])
    top = (values >= around[:-2]) & (values > around[2:]) & (scores >= z)
    kept: list[int] = []
    for i in sorted(np.flatnonzero(top).tolist(), key=lambda i: (-values[i], i)):
        starts = (curve.spans[k].start for k in kept)
        if all(abs(curve.spans[i].start - start) >= to_us(apart) for start in starts):
            kept.append(i)
    return [Peak(curve.spans[i], float(values[i]), float(scores[i])) for i in sorted(kept)]


def cuts(
    curve: SurpriseCurve, *, z: float = THRESHOLD, of: Measure = "energy", apart: float = 1.0
) -> list[int]:
    """Times (microseconds) where the picture stops going on as predicted: the starts of
    ``anomalies`` at least ``apart`` seconds from each other.

    A time is that of the first frame judged: the cut lies at most one sampled frame before it, or
    within its step. Compare with ``of="static"``, which asks the encoder alone: only what the
    prediction finds beyond that is the predictor's doing. Shot detectors that compare pictures
    see hard cuts better and cheaper; whether this one tells where an activity changes within a
    shot is unproven.
    """
    return [peak.span.start for peak in anomalies(curve, z=z, of=of, apart=apart)]


def summary(
    curve: SurpriseCurve, scenes: Sequence[Span], seconds: float, *, of: Measure = "energy"
) -> list[Span]:
    """The most surprising scenes that fit into ``seconds``, in time order.

    A scene counts by its mean surprise; scenes are taken from the highest down, and one that no
    longer fits is passed over. Scenes in which nothing was judged are not taken.

    Raises:
        ConfigError: seconds that are not positive, or an unknown measure.
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"a summary needs a positive number of seconds, got {seconds}")
    values = curve.values(of)
    middles = np.array([span.middle for span in curve.spans], np.int64)
    scored = []
    for scene in scenes:
        inside = values[(middles >= scene.start) & (middles < scene.end)]
        if len(inside):
            scored.append((-float(inside.mean()), scene))
    left = to_us(seconds)
    kept: list[Span] = []
    for _, scene in sorted(scored):
        if scene.duration <= left:
            kept.append(scene)
            left -= scene.duration
    return sorted(kept)
