"""Each published form as its owners write it, and every way in which it can be wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from published import BENCHMARKS, FIVE, video_mme

from egorag.errors import ConfigError, MissingPackageError
from egorag.evaluate.base import Dataset
from egorag.spans import Span


def read(name: str, folder: Path, change: dict[str, Any] | None = None, **settings: Any) -> Dataset:
    make, reader, _ = BENCHMARKS[name]
    make(folder, **(change or {}))
    found = reader(str(folder), **settings).read()
    assert isinstance(found, Dataset)
    return found


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_every_reader_holds(name: str, tmp_path: Path) -> None:
    dataset = read(name, tmp_path)
    assert dataset.name == name and dataset.kind == "choice"
    assert all(len(digest) == 64 for digest in dataset.sources.values()) and dataset.sources
    assert all(isinstance(item.answer, int) and item.public for item in dataset.items)
    one = read(name, tmp_path, limit=1, seed=1)
    assert len(one.items) == 1 and one.items[0] in dataset.items
    assert read(name, tmp_path, limit=1, seed=1).items == one.items


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_missing_file_is_named_with_its_owners(name: str, tmp_path: Path) -> None:
    _, reader, _ = BENCHMARKS[name]
    with pytest.raises(ConfigError, match=r"is not in .* publish .*https://.*benchmark\.folder"):
        reader(str(tmp_path)).read()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_cut_off_file_gives_no_numbers(name: str, tmp_path: Path) -> None:
    make, reader, file = BENCHMARKS[name]
    make(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ConfigError, match=rf"{path.name}.*not valid JSON at line"):
        reader(str(tmp_path)).read()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=path.name):
        reader(str(tmp_path)).read()


WRONG = [
    ("egoschema", {"q_uid": "u9"}, r"subset_answers.json: the q_uid 'u3' is none of questions"),
    ("egoschema", {"q_uid": "u2"}, "entry 3: the q_uid 'u2' is there twice"),
    ("egoschema", {"option 4": " "}, "entry 3: option 4 must be a text"),
    ("hd_epic_vqa", {"correct_idx": 5}, "recognition_0: correct_idx must be from 0 to 4, got 5"),
    ("hd_epic_vqa", {"inputs": {}}, "inputs must name videos"),
    ("hd_epic_vqa", {"inputs": {"video 1": {"id": "a", "start_time": "x", "end_time": "y"}}},
     "recognition_0, video 1: could not convert"),
    ("hd_epic_vqa", {"choices": ["a", None]}, "a choice must be a text or a list"),
    ("hd_epic_vqa", {"choices": "none"}, "choices must be a list"),
    ("video_mme", {"answer": "E"}, "entry 1: answer must be a letter from A to D, got 'E'"),
    ("video_mme", {"question_id": "601-1"}, "2 items are called '601-1'"),
    ("video_mme", {"options": ["A. One."]}, "options must be a list of two texts or more"),
    ("lvbench", {"answer": "F"}, "line 1, uid 7: answer must be a letter from A to D"),
    ("lvbench", {"question": "What?\n(A) one\n(C) two"}, "must hold its options in lines"),
    ("lvbench", {"uid": "8"}, "2 items are called '8'"),
    ("lvbench", {"question_type": "reasoning"}, "question_type must be a list"),
    ("longvideobench", {"correct_choice": 4}, "entry 1: correct_choice must be from 0 to 3, got 4"),
    ("longvideobench", {"id": "86C_1"}, "2 items are called '86C_1'"),
    ("longvideobench", {"video_path": 3}, "video_path must be a text"),
    ("egolifeqa", {"answer": "Z"}, "entry 1: answer must be a letter"),
    ("egolifeqa", {"query_time": {"date": "DAY1", "time": "25000000"}}, "expected DAY1 or later"),
    ("egolifeqa", {"query_time": "DAY1"}, "query_time must be one day and time"),
    ("egolifeqa", {"ID": "2"}, "2 items are called '2'"),
    ("llqa", {"answer_idx": 4}, "line 1: answer_idx must be from 0 to 3, got 4"),
    ("llqa", {"answer_idx": True}, "answer_idx must be a whole number"),
    ("llqa", {"start_time": "half past nine"}, "line 1: start_time must be YYYY"),
    ("llqa", {"answers": ["Yes"]}, "answers must be a list of two texts or more"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), WRONG)
def test_a_wrong_value_is_named_with_its_place(
    name: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(name, tmp_path, change)


@pytest.mark.parametrize("name", ["egoschema", "hd_epic_vqa"])
def test_a_key_that_is_there_twice_is_refused(name: str, tmp_path: Path) -> None:
    make, reader, file = BENCHMARKS[name]
    make(tmp_path)
    path = tmp_path / (file if name == "hd_epic_vqa" else "subset_answers.json")
    text = path.read_text()
    path.write_text(f"{text[:-1]}, {text[1:]}")
    with pytest.raises(ConfigError, match=rf"{path.name}: the key '.*' is there twice"):
        reader(str(tmp_path)).read()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("egoschema", {"split": "ful"}),
        ("hd_epic_vqa", {"task": "recip"}),
        ("video_mme", {"duration": "sort"}),
        ("longvideobench", {"split": "vall"}),
        ("llqa", {"questions": "binry"}),
    ],
)
def test_a_mistyped_part_is_told_with_its_neighbour(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="Choices:"):
        read(name, tmp_path, **settings)


@pytest.mark.parametrize("settings", [{"limit": 0}, {"limit": 1.5}, {"seed": -1}, {"limit": True}])
def test_a_draw_needs_whole_numbers(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        read("llqa", tmp_path, **settings)


def test_egoschema_runs_all_and_scores_the_public(tmp_path: Path) -> None:
    subset = read("egoschema", tmp_path)
    assert [(item.id, item.answer) for item in subset.items] == [("u1", 3), ("u3", 0)]
    assert subset.items[0].choices == tuple(FIVE) and subset.items[0].videos == ("u1",)
    assert [one.name for one in subset.media] == ["u1", "u3"]
    full = read("egoschema", tmp_path, split="full")
    assert [item.public for item in full.items] == [True, False, True]
    guess = tmp_path / "guess.json"
    guess.write_text(json.dumps({"u1": 3, "u2": 4, "u3": 1}))
    _, reader, _ = BENCHMARKS["egoschema"]
    scores = reader(str(tmp_path), split="full", predictions=str(guess)).from_file(full)
    assert scores.overall["accuracy"].value == 0.5 and scores.overall["accuracy"].rows == 2


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"u1": 3}, "1 items have no prediction: 'u3'"),
        ({"u1": 3, "u3": 1, "u7": 1}, "1 ids of no item: 'u7'"),
        ({"u1": 5, "u3": 1}, "u1 must be from 0 to 4, got 5"),
        ([3, 1], "expected an object of choices by id"),
    ],
)
def test_predictions_must_fit_the_questions(told: Any, message: str, tmp_path: Path) -> None:
    dataset = read("egoschema", tmp_path)
    guess = tmp_path / "guess.json"
    guess.write_text(json.dumps(told))
    _, reader, _ = BENCHMARKS["egoschema"]
    with pytest.raises(ConfigError, match=message):
        reader(str(tmp_path), predictions=str(guess)).from_file(dataset)


def test_hd_epic_clips_lists_and_prototypes(tmp_path: Path) -> None:
    dataset = read("hd_epic_vqa", tmp_path)
    why, order = dataset.items
    assert why.window == Span.seconds(10.5, 11.25) and why.videos == ("P01-20240202-1",)
    assert why.labels == {"category": "fine_grained", "task": "fine_grained_why_recognition"}
    assert order.choices == ("salt, oil", "oil, salt") and order.window is None
    assert order.videos == ("P02-1", "P02-2", "P02-10")
    only = read("hd_epic_vqa", tmp_path, task="ingredient")
    assert [item.id for item in only.items] == [order.id] and len(only.media) == 3


def test_video_mme_without_letters_and_by_length(tmp_path: Path) -> None:
    dataset = read("video_mme", tmp_path)
    assert dataset.items[0].choices == ("One.", "Two.", "Three.", "A. Four")
    assert dataset.items[0].answer == 2
    assert dataset.items[0].labels["task_type"] == "Counting Problem"
    as_is = read("video_mme", tmp_path, {"options": ["A. one", "C. two"], "answer": "B"})
    assert as_is.items[0].choices == ("A. one", "C. two")
    long = read("video_mme", tmp_path, duration="long")
    assert [item.id for item in long.items] == ["601-1"]


def test_video_mme_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, reader, _ = BENCHMARKS["video_mme"]
    path = tmp_path / "videomme" / "test-00000-of-00001.parquet"
    path.parent.mkdir()
    path.write_bytes(b"PAR1 but not whole")
    with monkeypatch.context() as without:
        without.setitem(__import__("sys").modules, "pyarrow", None)
        with pytest.raises(MissingPackageError, match=r"pip install 'egorag\[parquet\]'"):
            reader(str(tmp_path)).read()
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    with pytest.raises(ConfigError, match="no whole Parquet file"):
        reader(str(tmp_path)).read()
    video_mme(tmp_path)
    rows = json.loads((tmp_path / "videomme.json").read_text())
    as_json = reader(str(tmp_path / "videomme.json").removesuffix("videomme.json"))
    path.unlink()
    told = as_json.read()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert reader(str(tmp_path)).read().items == told.items


def test_lvbench_options_evidence_and_official_accuracy(tmp_path: Path) -> None:
    dataset = read("lvbench", tmp_path)
    first, second = dataset.items
    assert first.text == "What is shown?"
    assert first.choices == ("a dog (brown)", "a cat", "a cow", "nothing") and first.answer == 1
    assert [one.span for one in first.relevant] == [Span.seconds(65, 70)]
    assert second.relevant == () and "1 of 2 questions name no stretch" in dataset.notes[0]
    guess = tmp_path / "answers.json"
    guess.write_text(json.dumps({"7": "B", "8": "A"}))
    _, reader, _ = BENCHMARKS["lvbench"]
    scores = reader(str(tmp_path), predictions=str(guess)).from_file(dataset)
    by_task = {k: v["accuracy"].value for k, v in scores.categories["task"].items()}
    assert scores.overall["accuracy"].value == 0.5  # a question of two types counts for both
    assert by_task == {"entity recognition": 1.0, "reasoning": 0.5}


def test_longvideobench_test_has_no_answers(tmp_path: Path) -> None:
    dataset = read("longvideobench", tmp_path)
    assert [len(item.choices) for item in dataset.items] == [4, 2]
    assert dataset.items[0].labels["duration_group"] == "15"
    test = read("longvideobench", tmp_path, split="test")
    assert [(item.public, item.answer) for item in test.items] == [(False, None)]


def test_egolife_is_on_one_clock(tmp_path: Path) -> None:
    names = ["DAY1_A1_JAKE_11150000", "DAY2_A1_JAKE_09595510", "DAY1_A2_ALICE_11150000"]
    for name in names:
        clip = tmp_path / "A1_JAKE" / name.split("_")[0] / f"{name}.mp4"
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.touch()
    dataset = read("egolifeqa", tmp_path)
    assert [one.name for one in dataset.media if one.here] == names[:2]
    assert dataset.media[1].recorded_at == datetime(2000, 1, 2, 9, 59, 55, 500_000, tzinfo=UTC)
    one, several, listed = dataset.items
    assert one.until == datetime(2000, 1, 2, 11, 21, 2, 500_000, tzinfo=UTC)
    (evidence,) = one.relevant  # 24.4 s into the first clip
    assert (evidence.video, evidence.span) == (names[0], Span.seconds(23.9, 24.9))
    assert [r.video for r in several.relevant] == names[:2] and listed.relevant == one.relevant
    (tmp_path / "A1_JAKE/DAY1" / f"{names[0]}.mp4").unlink()
    assert read("egolifeqa", tmp_path).missing == ("clip of DAY1 11152408",)
    odd = read("egolifeqa", tmp_path, {"target_time": {"date": "DAY1", "time": "noon"}})
    (tmp_path / "DAY1_A1_JAKE_99000000.mp4").touch()
    with pytest.raises(ConfigError, match=r"JAKE_99000000\.mp4: the name tells no time of a day"):
        read("egolifeqa", tmp_path)
    assert odd.items[0].relevant == () and "1 of 3 questions name no moment" in odd.notes[0]


def test_llqa_days_are_their_descriptions(tmp_path: Path) -> None:
    dataset = read("llqa", tmp_path)
    (day,) = dataset.media
    assert [(text.span, text.text) for text in day.texts] == [
        (Span.seconds(34_200, 34_620), "He cooks eggs in the kitchen."),
        (Span.seconds(34_800, 34_860), "He drives to work"),
    ]
    assert day.recorded_at == datetime(2015, 3, 14, tzinfo=UTC)
    assert "2 descriptions left out" in dataset.notes[1]
    first, late = dataset.items
    assert [one.span for one in first.relevant] == [Span.seconds(34_320, 34_620)]
    assert late.relevant == ()  # of another day than its question
    assert replace(first, id="x").cluster == "2015-03-14"
