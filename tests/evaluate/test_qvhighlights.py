"""QVHighlights from a submission: the official values by the reader, and its refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from egorag.errors import ConfigError
from egorag.evaluate.base import Scores
from egorag.evaluate.qvhighlights import QVHighlights
from egorag.metrics.intervals import Interval
from egorag.spans import Span

TRUE = {
    "qid": 7,
    "query": "a dog",
    "duration": 10,
    "vid": "abc_0.0_10.0",
    "relevant_clip_ids": [1, 2],
    "saliency_scores": [[4, 4, 4], [2, 3, 4]],
    "relevant_windows": [[2, 6]],
}
FOUND = {
    "qid": 7,
    "query": "a dog",
    "vid": "abc_0.0_10.0",
    "pred_relevant_windows": [[2.0, 6.0, 0.9], [0.0, 10.0, 0.1]],
    "pred_saliency_scores": [0.1, 0.9, 0.3, 0.0, 0.0],
}


def write(folder: Path, change: dict[str, Any], predicted: list[dict[str, Any]]) -> QVHighlights:
    (folder / "highlight_val_release.jsonl").write_text(json.dumps({**TRUE, **change}) + "\n")
    file = folder / "predictions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in predicted))
    return QVHighlights(str(folder), predictions=str(file))


def scored(benchmark: QVHighlights) -> Scores:
    found = benchmark.from_file(benchmark.read())
    assert isinstance(found, Scores) and found.percent
    return found


def value(score: Interval | float) -> float:
    return score.value if isinstance(score, Interval) else score


def leaves(told: Mapping[str, Any]) -> Iterator[float]:
    for one in told.values():
        yield from leaves(one) if isinstance(one, Mapping) else [one]


def test_the_official_values(shared_data: Path) -> None:
    folder = shared_data / "qvhighlights"
    predictions = str(folder / "sample_val_preds.jsonl")
    found = scored(QVHighlights(str(folder), predictions=predictions))
    printed = json.loads((folder / "sample_val_preds_metrics_raw.json").read_text())
    brief = printed.pop("brief")
    assert {name: round(value(score), 2) for name, score in found.overall.items()} == brief
    assert {name: set(labels) for name, labels in found.categories.items()} == {
        name: {"all"} if name.startswith("HL") else set(values) for name, values in printed.items()
    }
    count = 0
    for name, labels in found.categories.items():
        official = {"all": printed[name]} if name.startswith("HL") else printed[name]
        for label, values in labels.items():
            for metric, score in values.items():
                assert round(value(score), 2) == official[label][metric], (name, label, metric)
                count += 1
    assert count + len(brief) == len(list(leaves(printed))) + len(brief) == 104


def test_items_are_the_queries(tmp_path: Path) -> None:
    benchmark = write(tmp_path, {}, [FOUND])
    (item,) = benchmark.read().items
    assert (item.id, item.text, item.videos) == ("7", "a dog", ("abc_0.0_10.0",))
    assert [one.span for one in item.relevant] == [Span.seconds(2, 6)]
    assert value(scored(benchmark).overall["MR-full-R1@0.7"]) == 100


def test_the_test_split_has_no_answers(tmp_path: Path) -> None:
    public = {key: TRUE[key] for key in ("qid", "query", "duration", "vid")}
    (tmp_path / "highlight_test_release.jsonl").write_text(json.dumps(public))
    (item,) = QVHighlights(str(tmp_path), split="test").read().items
    assert not item.public and item.relevant == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"relevant_windows": [[2, 6, 1]]},
            "line 1: relevant_windows must be a list of lists of 2",
        ),
        ({"relevant_windows": []}, "line 1: relevant_windows must be"),
        ({"relevant_windows": [[6, 2]]}, "line 1: Span ends before it starts"),
        ({"relevant_clip_ids": [1, 5]}, "line 1: clips must lie in 0..4"),
        ({"saliency_scores": [[4, 4, 4]]}, "line 1: expected 3 scores for each of 2 clips"),
        ({"duration": "long"}, "line 1: duration must be seconds"),
        ({"qid": "seven"}, "line 1: qid must be a whole number"),
    ],
)
def test_wrong_annotations_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scored(write(tmp_path, change, [FOUND]))


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        ([{**FOUND, "qid": 8}], "predictions.jsonl, line 1: qid 8 is no query of these"),
        ([FOUND, FOUND], "line 2: qid 7 is there twice"),
        ([{**FOUND, "pred_relevant_windows": [[0, 5]]}], "lists of 3 numbers"),
        ([{**FOUND, "pred_saliency_scores": ["a"]}], "must be a list of numbers"),
    ],
)
def test_wrong_predictions_are_named(
    tmp_path: Path, predicted: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        scored(write(tmp_path, {}, predicted))


def test_a_query_without_a_prediction_is_named(tmp_path: Path) -> None:
    benchmark = write(tmp_path, {}, [FOUND])
    more = json.dumps(TRUE) + "\n" + json.dumps({**TRUE, "qid": 9}) + "\n"
    (tmp_path / "highlight_val_release.jsonl").write_text(more)
    with pytest.raises(ConfigError, match="1 queries lack predictions, as qid 9"):
        scored(benchmark)


@pytest.mark.parametrize(
    "settings",
    [{"split": "vall"}, {"split": "test", "predictions": "x"}, {"predictions": "x", "limit": 2}],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"did you mean|scored whole"):
        QVHighlights("x", **settings)
