"""Runs of the same items side by side: differences with intervals, p values corrected together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from egorag.evaluate.score import Row
from egorag.metrics.paired import holm, mcnemar, paired_bootstrap

SURE = 0.05
"""A corrected p value below it is called a difference."""

MOST = 500
"""Comparisons beyond which nothing survives: a p value of 10,000 draws is 1 / 10,001 at least."""


def comparisons(
    rows: Mapping[str, Sequence[Row]], metric: str, seed: int = 0, of: str | None = None
) -> list[dict[str, Any]]:
    """How much better one run is than each other on the items both have scored.

    Paired bootstrap over videos; McNemar's exact test besides, where every score is 0 or 1 (it
    takes items as independent). P values are corrected by Holm's method for their number.

    Args:
        rows: by the name of the run.
        of: the one that is compared with the others; the first unless named.

    Returns:
        per other run, in order: ``against``, ``metric``, value, low, high, p, rows and clusters of
        the difference, ``mcnemar`` or None, ``p_corrected``, and ``survives``: whether it is
        better, and not by chance.
    """
    first, *others = rows if of is None else [of, *(name for name in rows if name != of)]
    found = [_difference(rows[first], rows[name], metric, seed, against=name) for name in others]
    return _corrected([one for one in found if one is not None])


def pairwise(rows: Mapping[str, Sequence[Row]], metric: str, seed: int = 0) -> list[dict[str, Any]]:
    """Each run against each after it, as ``comparisons`` does, corrected for all pairs together.

    Returns:
        per pair what ``comparisons`` tells, with ``run``, the first of the two.
    """
    found = [
        _difference(rows[a], rows[b], metric, seed, run=a, against=b)
        for a, b in combinations(rows, 2)
    ]
    return _corrected([one for one in found if one is not None])


def _difference(
    ours: Sequence[Row], others: Sequence[Row], metric: str, seed: int, **named: str
) -> dict[str, Any] | None:
    """How much better the first is on the items both have scored; None where there are none."""
    mine = {row.item.id: row for row in ours if metric in row.values}
    theirs = {row.item.id: row for row in others if metric in row.values}
    shared = [id for id in mine if id in theirs]
    if not shared:
        return None
    a = [mine[id].values[metric] for id in shared]
    b = [theirs[id].values[metric] for id in shared]
    clusters = [mine[id].item.cluster for id in shared]
    difference = paired_bootstrap(a, b, clusters, seed)
    binary = {*a, *b} <= {0.0, 1.0}
    told = {**named, "metric": metric, **difference.to_json()}
    return {**told, "mcnemar": mcnemar(a, b) if binary else None}


def _corrected(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one, p in zip(found, holm([one["p"] for one in found]), strict=True):
        one["p_corrected"] = p
        one["survives"] = bool(one["value"] > 0 and p < SURE)
    return found
