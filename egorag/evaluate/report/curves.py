"""Curves from the rows of a run: recall by depth, risk by coverage, right by confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.evaluate.score import Row
from egorag.metrics.calibration import Bin, brier, calibration_error, reliability
from egorag.metrics.intervals import draws
from egorag.metrics.selective import Curve, area_under_risk_coverage, risk_coverage

_ROUNDS = 1000  # of the bootstrap, as the scores' own
_BOUNDS = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Recall:
    """The share of the right scenes among the first k, mean over items, by k = 1, 2, ...

    Attributes:
        values, low, high: float [ks]; bounds are None for fewer than two videos.
        items: how many have a right scene.
    """

    values: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64] | None
    high: npt.NDArray[np.float64] | None
    items: int


def recall(rows: Sequence[Row], seed: int) -> Recall | None:
    """The curve as far as the longest ranking; None where no row tells what is right.

    Rows of answers are taken by the evidence that was read.
    """
    having = [row for row in rows if row.output.get("relevant") and ranked(row) is not None]
    ks = max((len(ranked(row) or ()) for row in having), default=0)
    if not ks:
        return None
    shares = np.array([_shares(row, ks) for row in having])
    clusters = [row.item.cluster for row in having]
    bounds: tuple[Any, Any] = (None, None)
    if len(set(clusters)) > 1:
        drawn = [draws(shares[:, k], clusters, seed, _ROUNDS)[0] for k in range(ks)]
        bounds = tuple(np.quantile(drawn, _BOUNDS, axis=1))
    return Recall(shares.mean(0), *bounds, len(having))


def ranked(row: Row) -> list[dict[str, Any]] | None:
    """The hits of a row, or the evidence of its answer; None where it has neither."""
    found = row.output.get("hits", row.output.get("evidence"))
    return None if found is None else list(found)


def _shares(row: Row, ks: int) -> list[float]:
    graded = [hit["grade"] > 0 for hit in ranked(row) or ()]
    return [sum(graded[: k + 1]) / row.output["relevant"] for k in range(ks)]


@dataclass(frozen=True, eq=False)
class Sureness:
    """What the confidence of a run's answers is worth.

    Attributes:
        curve: risk by coverage; what the run abstained from is never answered.
        bins: answers given, by confidence.
        given: how many answers were given, of ``asked``.
        error: expected calibration error of the answers given.
        brier: mean squared distance of confidence and outcome.
        area: mean risk over all coverages of the answers given.
    """

    curve: Curve
    bins: list[Bin]
    given: int
    asked: int
    error: float
    brier: float
    area: float


def sureness(rows: Sequence[Row]) -> Sureness | None:
    """Of the answers that were given; None where there are none with a confidence."""
    asked = [row for row in rows if "accuracy" in row.values and "confidence" in row.output]
    given = [row for row in asked if not row.output["abstained"]]
    if not given:
        return None
    sure = [row.output["confidence"] for row in given]
    right = [row.values["accuracy"] for row in given]
    curve = risk_coverage(sure, right)
    of_all = curve.coverage * (len(given) / len(asked))
    return Sureness(
        Curve(curve.threshold, of_all, curve.risk),
        reliability(sure, right),
        len(given),
        len(asked),
        calibration_error(sure, right),
        brier(sure, right),
        area_under_risk_coverage(sure, right),
    )
