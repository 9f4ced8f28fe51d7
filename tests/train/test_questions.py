"""Questions with known answers: what is read, what is refused, what counts as right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from egorag.errors import ConfigError
from egorag.spans import Span
from egorag.train.questions import Question, read_questions
from egorag.types import Answer, Citation, Video

VIDEOS = [Video("id-a", "films/a.mp4", 60_000_000), Video("id-b", "films/b.mp4", 60_000_000)]
WHERE = {"video": "a.mp4", "start": 10, "end": "0:20"}


def read(tmp_path: Path, *lines: object) -> list[Question]:
    file = tmp_path / "q.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(text), encoding="utf-8")
    return read_questions(file, VIDEOS)


def cites(video: str, start: float, end: float) -> Answer:
    span = Span.seconds(start, end)
    return Answer("x", False, 0.5, (Citation(video, "p", span, "quote", "caption"),))


def test_an_open_question_is_right_where_it_cites_what_is_relevant(tmp_path: Path) -> None:
    (one,) = read(tmp_path, {"question": "Who?", "relevant": [WHERE], "until": 30})
    assert one.answerable and one.until == 30 and one.group == "Who?"
    assert one.right(cites("id-a", 12, 14)) and one.right(cites("id-a", 14, 60))
    assert not one.right(cites("id-a", 5, 14.9))  # not over half of either
    assert not one.right(cites("id-b", 12, 14))
    assert not one.right(Answer("x", False, 0.9))
    assert not one.right(Answer("x", True, 0.9, cites("id-a", 12, 14).citations))


def test_a_choice_by_number_or_text(tmp_path: Path) -> None:
    pair = {"question": "Which?", "choices": ["red", "blue"], "video": "b"}
    by_number, by_text, none = read(
        tmp_path, {**pair, "answer": 1}, {**pair, "answer": "blue"}, {**pair, "answer": None}
    )
    assert by_number == by_text and by_number.group == by_number.video == "id-b"
    assert by_number.right(Answer("blue", False, 0.5, choice=1))
    assert not by_number.right(Answer("red", False, 0.5, choice=0))
    assert not none.answerable and not none.right(Answer("red", False, 0.5, choice=0))


def test_what_nothing_answers_is_never_right(tmp_path: Path) -> None:
    null, graded = read(
        tmp_path,
        {"question": "Who?", "answer": None},
        {"question": "Who?", "relevant": [{**WHERE, "grade": 0}]},
    )
    for one in (null, graded):
        assert not one.answerable and not one.right(cites("id-a", 12, 14))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: not JSON"),
        ([1], "expected"),
        ({"question": " ", "answer": None}, "the question is empty"),
        ({"question": "Who?"}, "say the answer"),
        ({"question": "Who?", "answr": 1}, "did you mean 'answer'"),
        ({"question": "Who?", "answer": "Anna"}, "needs relevant"),
        ({"question": "Who?", "relevant": 3}, "relevant must be a list"),
        ({"question": "Who?", "relevant": [{**WHERE, "end": 1}]}, "end later"),
        ({"question": "Who?", "relevant": [{**WHERE, "video": "zzz"}]}, "holds none"),
        ({"question": "Who?", "choices": ["a"], "answer": 0}, "two or more texts"),
        ({"question": "Who?", "choices": ["a", "a"], "answer": 0}, "two or more texts"),
        ({"question": "Who?", "choices": ["a", "b"], "answer": 2}, "from 0 to 1"),
        ({"question": "Who?", "choices": ["a", "b"], "answer": True}, "from 0 to 1"),
        ({"question": "Who?", "choices": ["a", "b"], "answer": "c"}, "from 0 to 1"),
        ({"question": "Who?", "answer": None, "video": 3}, "video must be a name"),
        ({"question": "Who?", "answer": None, "until": [1]}, "until must be a time"),
    ],
)
def test_lines_that_make_no_sense_are_named(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, line)
    assert said in str(raised.value)


def test_files_without_questions_and_videos_not_indexed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no question"):
        read(tmp_path, "")
    with pytest.raises(ConfigError, match="cannot read the questions"):
        read_questions(tmp_path / "none.jsonl", VIDEOS)
    first = {"question": "Who?", "answer": None, "video": "a"}
    with pytest.raises(ConfigError, match="holds no video 'zzz'"):
        read(tmp_path, first, {**first, "video": "zzz"})
