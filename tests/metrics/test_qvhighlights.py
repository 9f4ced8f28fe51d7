"""QVHighlights: the 104 values of the official evaluation for its sample predictions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egorag.metrics.qvhighlights import Predicted, Truth, evaluate, ratings


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def flat(told: dict[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    for name, value in told.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value


def test_the_official_values_to_the_second_decimal(shared_data: Path) -> None:
    folder = shared_data / "qvhighlights"
    truth = {
        row["qid"]: Truth(
            np.array(row["relevant_windows"], float),
            ratings(row["duration"], row["relevant_clip_ids"], row["saliency_scores"]),
        )
        for row in lines(folder / "highlight_val_release.jsonl")
    }
    predicted = {
        row["qid"]: Predicted(
            np.array(row["pred_relevant_windows"]), np.array(row["pred_saliency_scores"])
        )
        for row in lines(folder / "sample_val_preds.jsonl")
    }
    printed = json.loads((folder / "sample_val_preds_metrics_raw.json").read_text())
    found = dict(flat(evaluate(predicted, truth)))
    expected = dict(flat(printed))
    assert len(expected) == 104 and set(found) == set(expected)
    assert {name: f"{value:.2f}" for name, value in found.items()} == {
        name: f"{value:.2f}" for name, value in expected.items()
    }


def example(windows: list[list[float]]) -> Truth:
    return Truth(np.array(windows, float), ratings(20, [0, 1], [[4, 4, 4], [2, 0, 1]]))


def test_perfect_predictions_score_everything_and_a_missing_length_nothing() -> None:
    truth = {1: example([[0, 8]]), 2: example([[0, 20], [25, 30]])}
    predicted = {
        query: Predicted(
            np.column_stack([one.windows, np.arange(len(one.windows), 0, -1)]),
            one.ratings.mean(1),
        )
        for query, one in truth.items()
    }
    found = evaluate(predicted, truth)
    assert found["full"]["MR-mAP"]["average"] == 100 == found["full"]["MR-R1"]["0.95"]
    assert found["short"]["MR-R1"]["0.5"] == 50  # the first span of query 2 is a longer one
    assert found["long"] is None and found["brief"]["MR-long-mAP"] is None
    assert found["HL-min-VeryGood"] == {"HL-mAP": 100, "HL-Hit1": 100}


def test_no_span_found_is_a_miss() -> None:
    nothing = {1: Predicted(np.zeros((0, 3)), np.zeros(10))}
    found = evaluate(nothing, {1: example([[0, 8]])})
    assert found["full"]["MR-mAP"]["0.5"] == 0 == found["full"]["MR-R1"]["0.5"]


def test_refusals() -> None:
    held = {1: example([[0, 8]])}
    given = {1: Predicted(np.zeros((0, 3)), np.zeros(10))}
    with pytest.raises(ValueError, match="1 are in one alone, as 2"):
        evaluate({**given, 2: given[1]}, held)
    with pytest.raises(ValueError, match="one at least"):
        evaluate({}, {})
    with pytest.raises(ValueError, match=r"clips must lie in 0\.\.9, got 3\.\.10"):
        ratings(20, [3, 10], [[1, 1, 1]] * 2)
    with pytest.raises(ValueError, match="expected 3 scores for each of 1 clips"):
        ratings(20, [3], [[1, 1]])
    assert ratings(4, [], []).tolist() == [[0, 0, 0]] * 2
