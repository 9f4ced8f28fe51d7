"""The measures of trec_eval, by its names, to its last printed digit.

https://github.com/usnistgov/trec_eval (version 10), as of ``-q -m all_trec``. Left out are its
experimental G, Rndcg and rbp_resid, and what is no number. Its way with ties is kept for parity:
scores are float32, and equal ones stand by falling id. That favours whoever names documents so;
``ties.py`` does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from egorag.metrics.ranking import Floats, check_grades, discounts

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

CUTS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
COUNTED = ("num_ret", "num_rel", "num_rel_ret", "num_nonrel_judged_ret")
"""Measures that are summed over queries, not averaged."""
GEOMETRIC = ("map", "bpref")
LEAST = 1e-5
"""What a value below counts as in a geometric mean."""
PERSISTENCE = 0.9
_EPSILON = 1e-5  # of infAP


def measures(scores: Mapping[str, float], grades: Mapping[str, int]) -> dict[str, float]:
    """Every measure of one query.

    Args:
        scores: of what was retrieved.
        grades: of what was judged, 0 or more; relevant from 1 up.

    Raises:
        ValueError: nothing is relevant, a negative grade, or a score that is NaN.

    >>> measures({"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 0, "b": 1})["map"]
    0.5
    """
    check_grades(grades)
    if any(math.isnan(score) for score in scores.values()):
        raise ValueError("scores hold NaN; nothing can be ranked by them")
    order = sorted(scores, key=lambda id: (np.float32(scores[id]), id), reverse=True)
    gains = np.array([grades.get(id, 0) for id in order], np.float64)
    judged = np.array([id in grades for id in order], bool)
    best = np.array(sorted(grades.values(), reverse=True), np.float64)
    found = np.cumsum(gains > 0, dtype=np.intp)
    total, unjudged = int((best > 0).sum()), np.cumsum(~judged, dtype=np.intp)
    right = int((gains > 0).sum())
    precise = np.cumsum(np.where(gains > 0, found / np.arange(1, len(order) + 1), 0))

    def at(sums: Floats | Ints, cut: int) -> float:
        """The sum over the first ``cut``."""
        return float(sums[min(cut, len(order)) - 1]) if len(order) and cut else 0.0

    told: dict[str, float] = {
        "num_ret": len(order),
        "num_rel": total,
        "num_rel_ret": right,
        "num_nonrel_judged_ret": int((judged & (gains == 0)).sum()),
        "map": at(precise, len(order)) / total,
        "recip_rank": 1 / (int(np.argmax(gains > 0)) + 1) if right else 0.0,
        "Rprec": at(found, total) / total,
        "bpref": _bpref(gains > 0, judged, total, int((best == 0).sum())),
        "infAP": _inferred(gains > 0, judged, total),
        "utility": 2 * right - len(order),
        "binG": float((1 / np.log2(1 + _places(gains) + 1)).sum()) / total,
        "rbp": _rank_biased(gains, float(best[0])),
        "set_P": right / len(order) if order else 0.0,
        "set_recall": right / total,
        "set_relative_P": right / min(len(order), total) if order else 0.0,
        "set_map": right * right / (len(order) * total) if order else 0.0,
        "set_F": 2 * right / (len(order) + total),
        **_gained(gains, best),
        **_interpolated(found, total),
    }
    for cut in CUTS:
        told[f"P_{cut}"] = at(found, cut) / cut
        told[f"recall_{cut}"] = at(found, cut) / total
        told[f"relative_P_{cut}"] = at(found, cut) / min(cut, total)
        told[f"map_cut_{cut}"] = at(precise, cut) / total
    for cut in (1, 5, 10):
        told[f"success_{cut}"] = float(at(found, cut) > 0)
    for cut in (5, 10, 20):
        told[f"unj_{cut}"] = at(unjudged, cut) / cut
    for tenths in range(2, 21, 2):
        cut = int(tenths / 10 * total + 0.9)
        told[f"Rprec_mult_{tenths / 10:.2f}"] = at(found, cut) / cut
    return told


def overall(queries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of several queries: counts summed, the rest averaged, and ``gm_map``, ``gm_bpref``.

    Raises:
        ValueError: no queries.
    """
    if not queries:
        raise ValueError("no queries to average")
    told: dict[str, float] = {"num_q": len(queries)}
    for name in queries[0]:
        values = [query[name] for query in queries]
        told[name] = sum(values) if name in COUNTED else float(np.mean(values))
        if name in GEOMETRIC:
            told[f"gm_{name}"] = float(np.exp(np.mean(np.log(np.maximum(values, LEAST)))))
    return told


def _places(gains: Floats) -> Floats:
    """How many non-relevant stand before each relevant one."""
    return np.cumsum(gains == 0)[gains > 0].astype(np.float64)


def _bpref(relevant: Bools, judged: Bools, total: int, wrong: int) -> float:
    """Buckley and Voorhees, "Retrieval evaluation with incomplete information" (SIGIR 2004)."""
    before = np.cumsum(judged & ~relevant)[relevant]
    lost = np.minimum(before, total) / max(min(wrong, total), 1)
    return float((1 - lost).sum()) / total


def _inferred(relevant: Bools, judged: Bools, total: int) -> float:
    """Inferred average precision; Yilmaz and Aslam (CIKM 2006), where nothing of the pool was left
    unjudged."""
    place = np.flatnonzero(relevant)
    above = np.arange(len(place))
    pooled = np.cumsum(judged)[relevant] - 1
    share = (above + _EPSILON) / (pooled + 2 * _EPSILON)
    return float(((1 + pooled * share) / (place + 1)).sum()) / total


def _rank_biased(gains: Floats, most: float) -> float:
    """Moffat and Zobel, "Rank-biased precision" (TOIS 27, 2008); gains over the highest grade."""
    weights = PERSISTENCE ** np.arange(len(gains))
    return float((1 - PERSISTENCE) * (gains @ weights)) / max(most, 1.0)


def _gained(gains: Floats, best: Floats) -> dict[str, float]:
    """nDCG: of all, by cut, and at each relevant one."""
    size = max(len(gains), len(best), *CUTS)
    got, ideal = (
        np.cumsum(np.pad(each, (0, size - len(each))) * discounts(size)) for each in (gains, best)
    )
    share = got / ideal
    relevant, total = np.flatnonzero(gains > 0), int((best > 0).sum())
    at_relevant = float(share[relevant].sum()) + (total - len(relevant)) * float(share[-1])
    return {
        "ndcg": float(share[-1]),
        "ndcg_rel": at_relevant / total,
        **{f"ndcg_cut_{cut}": float(share[cut - 1]) for cut in CUTS},
    }


def _interpolated(found: Ints, total: int) -> dict[str, float]:
    """The highest precision at a recall of at least so much, and the mean of the eleven."""
    precision = found / np.arange(1, len(found) + 1)
    # The highest precision from each rank on; beyond the last it is 0.
    highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    told = {}
    for tenths in range(11):
        needed = int(tenths / 10 * total + 0.5)
        told[f"iprec_at_recall_{tenths / 10:.2f}"] = float(highest[np.searchsorted(found, needed)])
    return {**told, "11pt_avg": float(np.mean(list(told.values())))}
