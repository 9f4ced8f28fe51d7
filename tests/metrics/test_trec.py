"""trec_eval's own output for its own test files, per query and overall; and the edges."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from egorag.metrics import ranking
from egorag.metrics.trec import measures, overall

LEFT_OUT = {"runid", "relstring", "G", "Rndcg", "rbp_resid"}

Expected = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def official(shared_data: Path) -> tuple[Expected, Expected]:
    """(what trec_eval prints, what is computed here), by query and ``all``."""
    folder = shared_data / "trec_eval"
    scores, grades = defaultdict(dict), defaultdict(dict)
    for line in (folder / "results.test").read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        scores[query][document] = float(score)
    for line in (folder / "qrels.test").read_text().splitlines():
        query, _, document, grade = line.split()
        grades[query][document] = int(grade)
    printed = defaultdict(dict)
    for line in (folder / "out.test.aq").read_text().splitlines():
        name, query, value = line.split()
        if name not in LEFT_OUT:
            printed[query][name] = float(value)
    found = {query: measures(scores[query], grades[query]) for query in scores}
    return printed, {**found, "all": overall(list(found.values()))}


def test_every_value_that_trec_eval_prints(official: tuple[Expected, Expected]) -> None:
    printed, found = official
    assert set(printed) == set(found)
    compared = 0
    for query, values in printed.items():
        for name, value in values.items():
            assert round(found[query][name], 4) == pytest.approx(value, abs=1e-9), (query, name)
            compared += 1
        assert set(values) == set(found[query])
    assert compared == 371  # every value printed but those left out
    assert printed["all"]["map"] == 0.1785 and printed["all"]["recip_rank"] == 0.4064


def test_random_runs_against_trec_eval_itself() -> None:
    """Graded judgements, ties and documents never judged. It is version 9, which rounds the recall
    levels of iprec another way."""
    trec = pytest.importorskip("pytrec_eval")
    dice = np.random.default_rng(0)
    run, judged = {}, {}
    for number in range(40):
        documents = [f"d{i}" for i in range(60)]
        got = dice.choice(60, dice.integers(1, 50), replace=False)
        run[f"q{number}"] = {documents[i]: float(dice.integers(0, 12)) for i in got}
        rated = dice.choice(60, 30, replace=False)
        judged[f"q{number}"] = {documents[i]: int(dice.integers(0, 4)) for i in rated}
    names = {"map", "ndcg", "ndcg_cut", "P", "recall", "Rprec", "bpref", "recip_rank", "infAP"}
    names |= {"success", "map_cut", "set_F", "ndcg_rel", "binG", "Rprec_mult"}
    expected = trec.RelevanceEvaluator(judged, names).evaluate(run)
    for query, values in expected.items():
        found = measures(run[query], judged[query])
        for name, value in values.items():
            assert found[name] == pytest.approx(value, abs=1e-6), (query, name)


def test_it_agrees_with_the_plain_measures() -> None:
    dice = np.random.default_rng(1)
    scores = {f"d{i:02}": float(s) for i, s in enumerate(dice.random(50))}
    grades = {f"d{i:02}": int(dice.integers(0, 3)) for i in range(30, 70)}
    ids = sorted(scores, key=lambda id: -scores[id])
    found = measures(scores, grades)
    for name, value in {
        "map": ranking.average_precision(ids, grades),
        "map_cut_10": ranking.average_precision(ids, grades, 10),
        "recip_rank": ranking.reciprocal_rank(ids, grades),
        "ndcg": ranking.ndcg(ids, grades),
        "ndcg_cut_10": ranking.ndcg(ids, grades, 10),
        "recall_20": ranking.recall_at(ids, grades, 20),
        "P_20": ranking.precision_at(ids, grades, 20),
    }.items():
        assert found[name] == pytest.approx(value), name


def test_a_query_that_retrieved_nothing_scores_nothing() -> None:
    found = measures({}, {"a": 1})
    assert found.pop("num_rel") == 1
    assert set(found.values()) == {0}


def test_ties_stand_by_falling_name_in_float32() -> None:
    assert measures({"a": 1.0, "b": 1.0}, {"b": 1})["recip_rank"] == 1
    assert measures({"a": 1.0 + 1e-12, "b": 1.0}, {"a": 1})["recip_rank"] == 0.5


def test_refusals() -> None:
    with pytest.raises(ValueError, match="nothing is relevant"):
        measures({"a": 1.0}, {"a": 0})
    with pytest.raises(ValueError, match="NaN"):
        measures({"a": float("nan")}, {"a": 1})
    with pytest.raises(ValueError, match="grades must be 0 or more"):
        measures({"a": 1.0}, {"a": 1, "b": -1})
    with pytest.raises(ValueError, match="no queries"):
        overall([])
