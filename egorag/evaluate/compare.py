"""Runs of the same items side by side: differences with intervals, p values corrected together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from egorag.evaluate.score import Row
from egorag.metrics.paired import holm, mcnemar, paired_bootstrap

SURE = 0.05
"""A corrected p value below it is called a difference."""


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
    mine = {row.item.id: row for row in rows[first] if metric in row.values}
    found: list[dict[str, Any]] = []
    for name in others:
        theirs = {row.item.id: row for row in rows[name] if metric in row.values}
        shared = [id for id in mine if id in theirs]
        if not shared:
            continue
        a = [mine[id].values[metric] for id in shared]
        b = [theirs[id].values[metric] for id in shared]
        clusters = [mine[id].item.cluster for id in shared]
        difference = paired_bootstrap(a, b, clusters, seed)
        binary = {*a, *b} <= {0.0, 1.0}
        told = {"against": name, "metric": metric, **difference.to_json()}
        found.append({**told, "mcnemar": mcnemar(a, b) if binary else None})
    for one, p in zip(found, holm([one["p"] for one in found]), strict=True):
        one["p_corrected"] = p
        one["survives"] = bool(one["value"] > 0 and p < SURE)
    return found
