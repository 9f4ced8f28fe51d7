"""Tiny annotation files in the form their owners publish, made up; each maker writes a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from egorag.evaluate.egolifeqa import EgoLifeQA
from egorag.evaluate.egoschema import EgoSchema
from egorag.evaluate.hd_epic_vqa import HDEpicVQA
from egorag.evaluate.llqa import LLQA
from egorag.evaluate.longvideobench import LongVideoBench
from egorag.evaluate.lvbench import LVBench
from egorag.evaluate.video_mme import VideoMME

Row = dict[str, Any]
FIVE = [f"choice {n}" for n in range(5)]


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def egoschema(folder: Path, **change: Any) -> None:
    options = {f"option {n}": text for n, text in enumerate(FIVE)}
    rows = [
        {"q_uid": uid, "google_drive_id": "x", "question": f"What of {uid}?", **options}
        for uid in ("u1", "u2", "u3")
    ]
    write_json(folder / "questions.json", [*rows[:2], {**rows[2], **change}])
    write_json(folder / "subset_answers.json", {"u1": 3, "u3": 0})


def hd_epic(folder: Path, **change: Any) -> None:
    clip = {"id": "P01-20240202-1", "start_time": "00:00:10.5", "end_time": "00:00:11.25"}
    why = {
        "inputs": {"video 1": clip},
        "question": "Why?",
        "choices": FIVE,
        "correct_idx": 4,
        "stat": "2 make up",
    }
    order = {
        "inputs": {f"video {n}": {"id": f"P02-{n}"} for n in (1, 10, 2)},
        "question": "What is the order?",
        "choices": [["salt", "oil"], ["oil", "salt"]],
        "correct_idx": 1,
    }
    base = folder / "vqa-benchmark"
    name = "fine_grained_why_recognition"
    write_json(base / f"{name}.json", {f"{name}_0": {**why, **change}})
    write_json(
        base / "ingredient_ingredients_order.json", {"ingredient_ingredients_order_0": order}
    )


def video_mme(folder: Path, **change: Any) -> None:
    row = {
        "video_id": "001",
        "duration": "short",
        "domain": "Knowledge",
        "sub_category": "Law",
        "url": "https://example.org",
        "videoID": "abc-_1",
        "question_id": "001-1",
        "task_type": "Counting Problem",
        "question": "How many?",
        "options": ["A. One.", "B. Two.", "C. Three.", "D. A. Four"],
        "answer": "C",
    }
    long = {**row, "videoID": "long1", "question_id": "601-1", "duration": "long"}
    write_json(folder / "videomme.json", [{**row, **change}, long])


def lvbench(folder: Path, **change: Any) -> None:
    row = {
        "uid": "7",
        "question": "What is shown?\n(A) a dog (brown)\n(B) a cat\n(C) a cow\n(D) nothing",
        "answer": "B",
        "question_type": ["entity recognition", "reasoning"],
        "time_reference": "01:05-01:10",
    }
    again = {**row, "uid": "8", "time_reference": "whole video", "question_type": ["reasoning"]}
    video = {"key": "Cm73", "type": "sport", "video_info": {"fps": 30}}
    write_lines(
        folder / "video_info.meta.jsonl",
        [{**video, "qa": [{**row, **change}]}, {**video, "key": "xYz", "qa": [again]}],
    )


def longvideobench(folder: Path, **change: Any) -> None:
    row = {
        "video_id": "86C",
        "question": "Which subtitles appear?",
        "question_wo_referring_query": "Which?",
        "candidates": FIVE[:4],
        "correct_choice": 2,
        "position": [854],
        "topic_category": "NP-News-Programs",
        "question_category": "TOS",
        "level": "L2-Relation",
        "id": "86C_0",
        "video_path": "86C.mp4",
        "subtitle_path": "86C_en.json",
        "duration_group": 15,
        "starting_timestamp_for_subtitles": 0,
        "duration": 10.0,
    }
    other = {**row, "id": "86C_1", "candidates": FIVE[:2], "correct_choice": 1}
    write_json(folder / "lvb_val.json", [{**row, **change}, other])
    without = {key: value for key, value in row.items() if key != "correct_choice"}
    write_json(folder / "lvb_test_wo_gt.json", [without])


def egolife(folder: Path, **change: Any) -> None:
    row = {
        "ID": "1",
        "query_time": {"date": "DAY2", "time": "11210210"},
        "type": "EntityLog",
        "need_audio": True,
        "question": "Who used the screwdriver first?",
        "choice_a": "Tasha",
        "choice_b": "Alice",
        "choice_c": "Shure",
        "choice_d": "Lucia",
        "answer": "B",
        "target_time": {"date": "DAY1", "time": "11152408"},
    }
    several = {**row, "ID": "2", "target_time": {"date": "DAY1", "time": "11152408, DAY2 10000000"}}
    listed = {**row, "ID": "3", "target_time": {"date": "DAY1", "time_list": ["11152408"]}}
    write_json(folder / "EgoLifeQA/EgoLifeQA_A1_JAKE.json", [{**row, **change}, several, listed])


def llqa(folder: Path, **change: Any) -> None:
    row = {
        "question": "What is he doing?",
        "answers": ["Reading .", "Cooking .", "Sleeping .", "Driving ."],
        "answer_idx": 1,
        "start_time": "2015/03/14 09:32:00+00",
        "end_time": "2015/03/14 09:36:00+00",
        "date": "2015-03-14",
    }
    late = {**row, "start_time": "2015/03/15 00:10:00+00", "end_time": "2015/03/15 00:10:00+00"}
    write_lines(folder / "published/test_multiple.jsonl", [{**row, **change}, late])
    write_lines(
        folder / "published/descriptions.jsonl",
        [
            {"desc": "He cooks eggs in the kitchen. [09:30-09:36]", "date": "2015-03-14"},
            {"desc": "He drives to work (9:40)", "date": "2015-03-14"},
            {"desc": "No time at all", "date": "2015-03-14"},
            {"desc": "Backwards [09:30-08:00]", "date": "2015-03-14"},
        ],
    )


Maker = Callable[..., None]

BENCHMARKS: dict[str, tuple[Maker, Callable[..., Any], str]] = {
    "egoschema": (egoschema, EgoSchema, "questions.json"),
    "hd_epic_vqa": (hd_epic, HDEpicVQA, "vqa-benchmark/fine_grained_why_recognition.json"),
    "video_mme": (video_mme, VideoMME, "videomme.json"),
    "lvbench": (lvbench, LVBench, "video_info.meta.jsonl"),
    "longvideobench": (longvideobench, LongVideoBench, "lvb_val.json"),
    "egolifeqa": (egolife, EgoLifeQA, "EgoLifeQA/EgoLifeQA_A1_JAKE.json"),
    "llqa": (llqa, LLQA, "published/test_multiple.jsonl"),
}
"""By name: the maker, the reader, and the file that holds the questions."""
