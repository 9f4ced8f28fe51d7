"""EPIC-KITCHENS-100 from files of scores: the reference numbers, every form, every refusal."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from egorag.errors import ConfigError
from egorag.evaluate.base import Scores
from egorag.evaluate.ek100 import COLUMNS, NOUNS, VERBS
from egorag.evaluate.ek100_actions import EK100Actions
from egorag.evaluate.ek100_mir import EK100Retrieval
from egorag.metrics.intervals import Interval
from egorag.spans import Span

ROWS = [
    ("P01_11_0", "P01", "P01_11", "00:00:00.00", "00:00:01.89", "take plate", 0, 2, "[2]"),
    ("P01_11_1", "P01", "P01_11", "00:00:01.56", "00:00:02.45", "put plate", 1, 2, "[2]"),
    ("P18_02_0", "P18", "P18_02", "00:01:00.00", "00:01:02.00", "take plate", 0, 2, "[2]"),
    ("P18_02_1", "P18", "P18_02", "01:00:00.00", "01:00:03.00", "take cup", 0, 13, "[13, 2]"),
]
SENTENCES = [("P01_11_0", "take plate"), ("P01_11_1", "put plate"), ("P18_02_1", "take cup")]


def table(path: Path, head: tuple[str, ...], rows: list[Any]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table(tmp_path / "EPIC_100_validation.csv", COLUMNS, ROWS)
    table(
        tmp_path / "EPIC_100_retrieval_test_sentence.csv", ("narration_id", "narration"), SENTENCES
    )
    table(tmp_path / "EPIC_100_tail_verbs.csv", ("verb",), [[1]])
    table(tmp_path / "EPIC_100_tail_nouns.csv", ("noun",), [[13]])
    unseen = "EPIC_100_unseen_participant_ids_validation.csv"
    table(tmp_path / unseen, ("participant_id",), [["P18"]])
    return tmp_path


def scored(benchmark: Any) -> Scores:
    found = benchmark.from_file(benchmark.read())
    assert isinstance(found, Scores)
    return found


def value(score: Any) -> float:
    return score.value if isinstance(score, Interval) else float(score)


@pytest.mark.slow
def test_random_similarity_on_the_official_files(shared_data: Path, tmp_path: Path) -> None:
    """The first of the five draws that the reference numbers are the mean of."""
    similarity = np.random.default_rng(0).standard_normal((9668, 3842)).astype(np.float32)
    np.save(tmp_path / "sim.npy", similarity)
    benchmark = EK100Retrieval(str(shared_data / "ek100"), similarity=str(tmp_path / "sim.npy"))
    found = {name: value(score) for name, score in scored(benchmark).overall.items()}
    assert found["mAP v2t"] == pytest.approx(5.6836, abs=0.05)
    assert found["mAP t2v"] == pytest.approx(5.5701, abs=0.05)
    assert found["nDCG v2t"] == pytest.approx(10.8065, abs=0.05)
    assert found["nDCG t2v"] == pytest.approx(10.9503, abs=0.05)
    assert found["nDCG"] == pytest.approx((found["nDCG v2t"] + found["nDCG t2v"]) / 2)


def test_random_scores_on_the_official_files(shared_data: Path, tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    held = {"verb_output": dice.random((9668, 97)), "noun_output": dice.random((9668, 300))}
    np.savez(tmp_path / "scores.npz", **held)
    given = {"predictions": str(tmp_path / "scores.npz")}
    found = scored(EK100Actions(str(shared_data / "ek100"), challenge="anticipation", **given))
    for task, expected in (("verb", 5.057124), ("noun", 1.702336), ("action", 0.016642)):
        assert value(found.overall[f"{task} class-mean recall@5"]) == pytest.approx(
            expected, abs=1e-6
        )
        same = found.categories["part"]["overall"][f"{task} class-mean recall@5"]
        assert value(same) == pytest.approx(expected, abs=1e-6)


def test_official_annotations_as_queries(shared_data: Path) -> None:
    dataset = EK100Retrieval(str(shared_data / "ek100")).read()
    assert len(dataset.items) == 3842 and len(dataset.missing) == 138
    assert sum(len(item.relevant) for item in dataset.items) == 62_535  # relevancy 1


def test_queries_and_their_clips(folder: Path) -> None:
    dataset = EK100Retrieval(str(folder)).read()
    take, put, cup = dataset.items
    assert [(r.video, r.span) for r in take.relevant] == [
        ("P01_11", Span.seconds(0, 1.89)),
        ("P18_02", Span.seconds(60, 62)),
    ]
    assert len(put.relevant) == len(cup.relevant) == 1
    assert dataset.missing == ("P01_11", "P18_02")
    as_text = EK100Retrieval(str(folder), text_only=True).read()
    assert not as_text.missing and "text" in as_text.notes[0]
    assert [[t.text for t in one.texts] for one in as_text.media] == [
        ["take plate", "put plate"],
        ["take plate", "take cup"],
    ]
    spans = [one.span for one in as_text.media[0].texts]
    assert spans == [Span.seconds(0, 1.89), Span.seconds(1.89, 2.78)]  # end to end, as they overlap
    assert [(r.video, r.span) for r in as_text.items[1].relevant] == [("P01_11", spans[1])]


def test_a_perfect_similarity_scores_everything_in_any_order_of_ids(folder: Path) -> None:
    right = np.array([[1, 0.5, 0.75], [0.5, 1, 0.25], [1, 0.5, 0.75], [0.75, 0.25, 1]])
    np.save(folder / "sim.npy", right)
    found = scored(EK100Retrieval(str(folder), similarity=str(folder / "sim.npy")))
    assert {name: value(score) for name, score in found.overall.items()} == pytest.approx(
        dict.fromkeys(found.overall, 100.0)
    )
    rows, columns = [3, 1, 0, 2], [2, 0, 1]
    np.savez(
        folder / "sim.npz",
        sim_mat=right[rows][:, columns],
        vis_ids=np.array([ROWS[at][0] for at in rows]),
        txt_ids=np.array([SENTENCES[at][0] for at in columns]),
    )
    again = scored(EK100Retrieval(str(folder), similarity=str(folder / "sim.npz")))
    assert again.overall == found.overall
    np.save(folder / "wrong.npy", -right)
    wrong = scored(EK100Retrieval(str(folder), similarity=str(folder / "wrong.npy")))
    assert value(wrong.overall["mAP"]) < 75


def test_similarities_that_cannot_be_scored(folder: Path) -> None:
    def refused(name: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            scored(EK100Retrieval(str(folder), similarity=str(folder / name)))

    refused("none.npy", "cannot read the similarities")
    (folder / "sim.pkl").write_bytes(b"\x80\x04.")
    refused("sim.pkl", "is a pickle.*numpy.savez")
    np.save(folder / "object.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    refused("object.npy", "cannot read the similarities")
    np.save(folder / "small.npy", np.zeros((3, 3)))
    refused("small.npy", "expected numbers, 4 clips by 3 sentences, got float64")
    np.save(folder / "nan.npy", np.full((4, 3), np.nan))
    refused("nan.npy", "NaN")
    np.savez(folder / "ids.npz", sim_mat=np.zeros((4, 3)), vis_ids=np.array(list("abcd")))
    refused("ids.npz", "vis_ids must be the 4 narration_ids.*4 lack, as 'P01_11_0'")
    np.savez(folder / "other.npz", matrix=np.zeros((4, 3)))
    refused("other.npz", "holds matrix; it needs sim_mat")
    (folder / "cut.npz").write_bytes((folder / "other.npz").read_bytes()[:60])
    refused("cut.npz", "cannot read the similarities")


@pytest.mark.parametrize(
    ("column", "wrong", "message"),
    [
        ("verb_class", "97", "line 2: verb_class must be from 0 to 96, got 97"),
        ("noun_class", "x", "line 2: noun_class must be a whole number"),
        ("all_noun_classes", "[]", "line 2: all_noun_classes must be a list"),
        ("stop_timestamp", "00:00:00.00", "line 2: the end 0.0 is not later"),
        ("start_timestamp", "soon", "line 2: could not convert"),
        ("narration_id", "P01_11_1", "line 3: the narration_id 'P01_11_1' is there twice"),
        ("narration_id", "P99_1", "sentence.csv, line 2: the narration_id 'P01_11_0' is no clip's"),
    ],
)
def test_a_wrong_row_is_named(folder: Path, column: str, wrong: str, message: str) -> None:
    first = dict(zip(COLUMNS, ROWS[0], strict=True)) | {column: wrong}
    table(folder / "EPIC_100_validation.csv", COLUMNS, [list(first.values()), *ROWS[1:]])
    with pytest.raises(ConfigError, match=message):
        EK100Retrieval(str(folder)).read()


@pytest.mark.parametrize(
    "name",
    [
        "EPIC_100_validation.csv",
        "EPIC_100_tail_verbs.csv",
        "EPIC_100_unseen_participant_ids_validation.csv",
    ],
)
def test_a_missing_table_is_named_with_its_owners(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=f"'{name}' is not in .*epic-kitchens-100-annotations"):
        EK100Actions(str(folder)).read()


def test_a_row_cut_off_is_named(folder: Path) -> None:
    path = folder / "EPIC_100_validation.csv"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ConfigError, match=r"line 5: \d values, the first line has 9"):
        EK100Actions(str(folder)).read()


def one_hot(classes: list[int], width: int) -> np.ndarray[Any, Any]:
    return np.eye(width)[classes]


VERB, NOUN = one_hot([0, 1, 0, 5], VERBS), one_hot([2, 2, 2, 13], NOUNS)
"""Scores that are right but for the verb of the last clip."""


def test_every_form_of_scores_says_the_same(folder: Path) -> None:
    ids = np.array([row[0] for row in ROWS])
    order = [2, 0, 3, 1]
    np.savez(
        folder / "a.npz",
        verb_output=VERB[order],
        noun_output=NOUN[order],
        narration_id=ids[order],
    )
    save_file({"verb_output": VERB, "noun_output": NOUN}, folder / "a.safetensors")
    results = {
        id: {
            "verb": {str(n): s for n, s in enumerate(VERB[at])},
            "noun": {str(n): s for n, s in enumerate(NOUN[at])},
        }
        for at, id in enumerate(ids)
    }
    told = {"version": "0.2", "challenge": "action_recognition", "results": results}
    (folder / "a.json").write_text(json.dumps(told))
    found = [
        scored(EK100Actions(str(folder), predictions=str(folder / name)))
        for name in ("a.npz", "a.safetensors", "a.json")
    ]
    assert found[0] == found[1] == found[2]
    overall = {name: value(score) for name, score in found[0].overall.items()}
    assert overall["verb accuracy@1"] == 75 and overall["noun accuracy@1"] == 100
    assert overall["action accuracy@1"] == 75
    parts = found[0].categories["part"]
    assert parts["unseen"]["verb accuracy@1"] == 50  # P18's two clips
    assert parts["tail"]["noun accuracy@1"] == 100 and parts["tail"]["action accuracy@1"] == 50


def test_listed_actions_count_as_they_are(folder: Path) -> None:
    """Of the last clip's actions the true one shares the best place with another."""
    lists = [{"0,2": 1.0, "1,1": 0.5}, {"0,2": 1.0}, {"0,2": 1.0}, {"0,13": 1.0, "4,4": 1.0}]
    results = {
        row[0]: {
            "verb": {str(n): float(s) for n, s in enumerate(VERB[at])},
            "noun": {str(n): float(s) for n, s in enumerate(NOUN[at])},
            "action": lists[at],
        }
        for at, row in enumerate(ROWS)
    }
    path = folder / "a.json"
    path.write_text(json.dumps({"results": results}))
    found = scored(EK100Actions(str(folder), predictions=str(path)))
    assert value(found.overall["action accuracy@1"]) == 100 * (1 + 0 + 1 + 0.5) / 4
    del results["P01_11_0"]["action"]
    path.write_text(json.dumps({"results": results}))
    with pytest.raises(ConfigError, match="3 of 4 clips have actions; give all"):
        scored(EK100Actions(str(folder), predictions=str(path)))
    results["P01_11_0"]["action"] = {"0;2": 1.0}
    path.write_text(json.dumps({"results": results}))
    with pytest.raises(ConfigError, match='P01_11_0: action must be scores by "verb,noun"'):
        scored(EK100Actions(str(folder), predictions=str(path)))


def test_scores_that_cannot_be_scored(folder: Path) -> None:
    def refused(name: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            scored(EK100Actions(str(folder), predictions=str(folder / name)))

    (folder / "a.pt").write_bytes(b"")
    refused("a.pt", "is a pickle")
    refused("none.npz", "cannot read the scores")
    np.savez(folder / "half.npz", verb_output=VERB)
    refused("half.npz", "has no noun_output; it holds verb_output")
    np.savez(folder / "narrow.npz", verb_output=VERB[:, :5], noun_output=NOUN)
    refused("narrow.npz", r"expected verb scores \[4, 97\], got \[4, 5\]")
    np.savez(folder / "nan.npz", verb_output=VERB * np.nan, noun_output=NOUN)
    refused("nan.npz", "verb scores hold NaN or infinity")
    ids = np.array(["P01_11_0", "P01_11_1", "P18_02_0", "P77"])
    np.savez(folder / "ids.npz", verb_output=VERB, noun_output=NOUN, narration_id=ids)
    refused("ids.npz", "1 clips lack scores, as 'P18_02_1'; 1 ids are of no clip, as 'P77'")
    (folder / "cut.json").write_text('{"results": {"P01_11_0": {"verb"')
    refused("cut.json", "not valid JSON at line 1")
    (folder / "none.json").write_text("[]")
    refused("none.json", "expected the official submission")
    empty = {"results": {row[0]: {"verb": {"0": 1}, "noun": {}} for row in ROWS}}
    (folder / "few.json").write_text(json.dumps(empty))
    refused("few.json", 'P01_11_0: verb must score the classes "0" to "96"')


def test_settings_that_contradict_each_other(folder: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'recognition'"):
        EK100Actions(str(folder), challenge="recogniton")
    with pytest.raises(ValueError, match="scored whole"):
        EK100Actions(str(folder), limit=3)
    with pytest.raises(ValueError, match="scored whole"):
        EK100Retrieval(str(folder), similarity="x.npy", limit=3)
    with pytest.raises(ValueError, match="give similarity"):
        EK100Retrieval(str(folder), similarity="x.npy", text_only=True)


def test_nothing_is_scored_where_no_file_is_named(folder: Path) -> None:
    benchmark = EK100Actions(str(folder))
    with pytest.raises(ConfigError, match=r"give benchmark.predictions=FILE.json"):
        benchmark.from_file(benchmark.read())
    retrieval = EK100Retrieval(str(folder))
    assert retrieval.from_file(retrieval.read()) is None
