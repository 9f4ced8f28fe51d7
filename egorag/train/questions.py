"""Questions with known answers, and whether an answer to one is right.

One JSON object a line: ``{"question": "Which mug?", "choices": ["red", "blue"], "answer": 1}``; the
answer is the number of a choice, from 0, or its text. Without choices, ``relevant`` says where the
answer lies (as in ``judged.py``), and right is an answer that cites it. ``"answer": null`` without
``relevant`` is a question that nothing answers. Optional: ``video``, where it is asked of one, and
``until``, seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.terminal import plain
from egorag.train.judged import Relevant, relevant_of
from egorag.train.labels import find_videos
from egorag.train.pairs import together
from egorag.types import Answer, Video

_KEYS = ("question", "choices", "answer", "video", "until", "relevant")


@dataclass(frozen=True)
class Question:
    """What is asked, and what is right.

    Attributes:
        choices: None for an open question.
        answer: number of the right choice; None for an open question, or where none is right.
        relevant: where the answer to an open question lies.
        video: id of the video it is asked of; None for all.
        until: causal cut-off, as the index takes it.
    """

    text: str
    choices: tuple[str, ...] | None
    answer: int | None
    relevant: tuple[Relevant, ...]
    video: str | None
    until: float | str | None

    @property
    def answerable(self) -> bool:
        """Whether anything answers it."""
        return self.answer is not None or bool(self.relevant)

    @property
    def group(self) -> str:
        """Questions that are no independent evidence share it: their video, else their text."""
        return self.video or self.text

    def right(self, answer: Answer) -> bool:
        """Whether the answer given is right; an abstention never is."""
        if answer.abstained or not self.answerable:
            return False
        if self.choices is not None:
            return answer.choice == self.answer
        return any(
            cited.video == one.video and together(one.span, [cited.span])
            for cited in answer.citations
            for one in self.relevant
        )


def read_questions(path: Path, videos: Sequence[Video]) -> list[Question]:
    """The questions of a file, in order.

    Raises:
        ConfigError: no such file, none in it, a line that makes no sense (names it), or a video
            that the index does not hold.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the questions {str(path)!r}: {error}") from error
    read = [
        _question(line, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not read:
        raise ConfigError(f"{str(path)!r} holds no question")
    names = {one.video for one in read} | {r.video for one in read for r in one.relevant}
    named = sorted(name for name in names if name is not None)
    ids = find_videos(named, videos) if named else {}
    if missing := [name for name in named if name not in ids]:
        raise ConfigError(f"{str(path)!r}: the index holds no video {missing[0]!r}; index it first")
    return [
        replace(
            one,
            video=one.video and ids[one.video],
            relevant=tuple(replace(r, video=ids[r.video]) for r in one.relevant),
        )
        for one in read
    ]


def _question(line: str, where: str) -> Question:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}") from None
    if not isinstance(told, dict) or not isinstance(told.get("question"), str):
        raise ConfigError(f'{where}: expected {{"question": TEXT, "answer": ...}}')
    for key in told:
        if key not in _KEYS:
            raise ConfigError(f"{where}: no key {key!r}{did_you_mean(key, _KEYS)}")
    if not plain(told["question"]):
        raise ConfigError(f"{where}: the question is empty")
    if "answer" not in told and "relevant" not in told:
        raise ConfigError(f"{where}: say the answer; null where nothing answers the question")
    listed = told.get("relevant") or []
    if not isinstance(listed, list):
        raise ConfigError(f"{where}: relevant must be a list of video, start, end")
    relevant = tuple(relevant_of(one, where) for one in listed)
    choices = _choices(told.get("choices"), where)
    answer = told.get("answer")
    if choices is not None:
        answer = _chosen(answer, choices, where)
    elif answer is not None and not relevant:
        raise ConfigError(f"{where}: an open question needs relevant, where its answer lies")
    else:
        answer = None
    video, until = told.get("video"), told.get("until")
    if video is not None and not isinstance(video, str):
        raise ConfigError(f"{where}: video must be a name, got {video!r}")
    if isinstance(until, bool) or not isinstance(until, (int, float, str, type(None))):
        raise ConfigError(f"{where}: until must be a time, got {until!r}")
    return Question(
        told["question"],
        choices,
        answer,
        tuple(one for one in relevant if one.grade > 0),
        video,
        until,
    )


def _choices(given: Any, where: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    texts = isinstance(given, list) and all(isinstance(c, str) and plain(c) for c in given)
    if not texts or len(set(given)) < 2:
        raise ConfigError(f"{where}: choices must be two or more texts, got {given!r}")
    return tuple(given)


def _chosen(answer: Any, choices: Sequence[str], where: str) -> int | None:
    if answer is None:
        return None
    if isinstance(answer, str) and answer in choices:
        return choices.index(answer)
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return answer
    raise ConfigError(
        f"{where}: answer must be a number from 0 to {len(choices) - 1}, the text of a choice, or "
        f"null, got {answer!r}"
    )
