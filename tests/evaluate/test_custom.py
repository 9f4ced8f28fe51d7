"""One's own questions and queries: what a line may say, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from egorag.errors import ConfigError
from egorag.evaluate.base import Dataset
from egorag.evaluate.custom import Custom
from egorag.spans import Span

QUESTION: dict[str, Any] = {"question": "Which mug?", "answer": "red", "video": "a.mp4"}
QUERY: dict[str, Any] = {
    "query": "milk",
    "relevant": [{"video": "a.mp4", "start": 1, "end": "0:03"}],
}


def read(folder: Path, *rows: Any, **settings: Any) -> Dataset:
    (folder / "a.mp4").touch()
    file = folder / "mine.jsonl"
    file.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows))
    return Custom(str(file), str(folder), **settings).read()


def test_questions_with_everything_there_can_be(tmp_path: Path) -> None:
    full = {
        **QUESTION,
        "id": "q",
        "choices": ["blue", "red"],
        "answer": 1,
        "until": "1:30",
        "labels": {"task": "memory"},
        "relevant": [{"video": "a.mp4", "start": 2, "end": 3, "grade": 0.5}],
    }
    dataset = read(tmp_path, full, {**full, "id": "w", "answer": "blue"}, QUESTION, "")
    one, in_words, plain = dataset.items
    assert dataset.kind == "choice" and dataset.name == "mine" and list(dataset.sources)
    assert (one.id, one.answer, one.until, one.labels) == ("q", 1, 90.0, {"task": "memory"})
    assert [(r.span, r.grade) for r in one.relevant] == [(Span.seconds(2, 3), 0.5)]
    assert in_words.answer == 0
    assert (plain.id, plain.answer, plain.choices) == ("3", "red", ())
    assert [one.here for one in dataset.media] == [True]


def test_nothing_answers_a_null(tmp_path: Path) -> None:
    (item,) = read(tmp_path, {**QUESTION, "answer": None, "choices": ["a", "b"]}).items
    assert item.answer is None and item.public


def test_queries_are_those_of_judged(tmp_path: Path) -> None:
    dataset = read(tmp_path, QUERY, {**QUERY, "relevant": [{"video": "b", "start": 0, "end": 1}]})
    assert dataset.kind == "retrieval" and dataset.missing == ("b",)
    assert dataset.items[0].relevant[0].span == Span.seconds(1, 3)
    assert dataset.items[0].videos == ()
    (only,) = read(tmp_path, {**QUERY, "video": "a.mp4"}).items
    assert only.videos == ("a.mp4",)


def test_a_draw_is_repeatable(tmp_path: Path) -> None:
    rows = [{**QUESTION, "id": str(n)} for n in range(20)]
    drawn = [read(tmp_path, *rows, limit=5, seed=seed).items for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 5


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 1: not valid JSON at line 1"),
        ("[]", "line 1: expected an object, got list"),
        ('{"question": "a", "question": "b"}', "line 1: the key 'question' is there twice"),
        ({"question": "?"}, "line 1: 'answer' is missing"),
        ({**QUESTION, "answr": 1}, "line 1: unknown key 'answr'; did you mean 'answer'"),
        ({**QUESTION, "question": " "}, "line 1: question must be a text"),
        ({**QUESTION, "answer": 1}, "line 1: answer must be a text"),
        ({**QUESTION, "choices": ["a", "b"], "answer": 2}, "answer must be from 0 to 1, got 2"),
        ({**QUESTION, "choices": ["a", "b"], "answer": "c"}, "answer must be a whole number"),
        ({**QUESTION, "choices": ["a"]}, "choices must be a list of two texts or more"),
        ({"question": "?", "answer": "x"}, "needs the video it is asked of"),
        ({**QUESTION, "videos": "a.mp4"}, "videos must be a list of names"),
        ({**QUESTION, "until": "noon"}, "until='noon' is no time"),
        ({**QUESTION, "labels": {"task": 3}}, "labels must be texts by category"),
        ({**QUESTION, "relevant": {}}, "relevant must be a list"),
        ({**QUESTION, "relevant": [{"video": "a.mp4", "start": 3, "end": 1}]}, "the end later"),
        ({**QUERY, "relevant": []}, "a query needs something relevant"),
        ({**QUERY, "query": ""}, "query must be a text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, row)


def test_a_file_is_of_one_kind_and_its_ids_are_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mixes queries and questions"):
        read(tmp_path, QUERY, QUESTION)
    with pytest.raises(ConfigError, match="mine: 2 items are called 'x'"):
        read(tmp_path, {**QUERY, "id": "x"}, {**QUERY, "id": "x"})
    with pytest.raises(ConfigError, match="is empty"):
        read(tmp_path, "")
    with pytest.raises(ConfigError, match=r"'none.jsonl' is not in .*Write one object a line"):
        Custom(str(tmp_path / "none.jsonl"), str(tmp_path)).read()
    read(tmp_path, QUERY)
    with pytest.raises(ConfigError, match=r"the media folder '.*none' does not exist"):
        Custom(str(tmp_path / "mine.jsonl"), str(tmp_path / "none")).read()
