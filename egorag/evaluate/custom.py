"""Questions, or queries with their moments, over one's own videos.

One JSON object a line. A query with where its answers lie (the form of ``egorag.train.judged``)::

    {"query": "pour milk", "relevant": [{"video": "a.mp4", "start": 12, "end": "0:20"}]}

A question, with choices (the answer is the number, from 0, or the text of one) or without; where
``answer`` is null nothing in the video answers it, and right is to abstain::

    {"question": "Which mug?", "choices": ["red", "blue"], "answer": 1, "video": "a.mp4",
     "until": "1:30", "relevant": [...], "labels": {"task": "memory"}}

Optional in both: ``id``, ``until``, ``labels``. ``relevant`` is optional in a question, and
``video`` (or ``videos``, a list) in a query, which is then asked of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError
from egorag.evaluate.annotated import check_limit, draw, find_media, used
from egorag.evaluate.base import Dataset, Item
from egorag.evaluate.files import Entry, Files
from egorag.media.entry import check_keys
from egorag.train.judged import relevant_of
from egorag.when import parse_when

_COMMON = ("id", "video", "videos", "until", "labels", "relevant")
_FORM = (
    'Write one object a line: {"query": TEXT, "relevant": [{"video", "start", "end"}]} or '
    '{"question": TEXT, "choices": [...], "answer": 0, "video": NAME}'
)


@dataclass(frozen=True)
class Custom:
    """A file of one's own questions or one of queries; see the module.

    Attributes:
        questions: the JSONL file.
        media: the folder that holds the videos.
        limit, seed: how many items to run, drawn by the seed; all unless given.
    """

    questions: str
    media: str
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_limit(self.limit, self.seed)

    def read(self) -> Dataset:
        """Queries make a dataset of retrieval, questions one of answers.

        Raises:
            ConfigError: a line that is neither, or both kinds in one file; names the line.
        """
        path = Path(self.questions)
        files = Files(path.parent, _FORM)
        entries = files.lines(path.name)
        kinds = {"query" in entry.values for entry in entries}
        if len(kinds) > 1:
            raise ConfigError(f"{path} mixes queries and questions; make two files of it")
        read = _query if kinds.pop() else _question
        items = [read(entry, number) for number, entry in enumerate(entries, 1)]
        names = {name for item in items for name in item.needs}
        return used(
            Dataset(
                path.stem,
                "retrieval" if read is _query else "choice",
                draw(items, self.limit, self.seed),
                find_media(Path(self.media), sorted(names)),
                files.sources,
            )
        )


def _query(entry: Entry, number: int) -> Item:
    given = _keys(entry, ("query", "relevant"), _COMMON)
    if not given["relevant"]:
        raise entry.fail("a query needs something relevant to find")
    return Item(text=entry.text("query"), **_common(entry, number))


def _question(entry: Entry, number: int) -> Item:
    given = _keys(entry, ("question", "answer"), ("choices", *_COMMON))
    choices = entry.texts("choices") if given.get("choices") else ()
    answer = given["answer"]
    if choices and answer is not None:
        in_words = isinstance(answer, str) and answer in choices
        answer = choices.index(answer) if in_words else entry.whole("answer", len(choices))
    elif answer is not None:
        answer = entry.text("answer")
    common = _common(entry, number)
    if not common["videos"]:
        raise entry.fail("a question needs the video it is asked of")
    return Item(text=entry.text("question"), choices=choices, answer=answer, **common)


def _keys(entry: Entry, needed: tuple[str, ...], optional: tuple[str, ...]) -> Mapping[str, Any]:
    try:
        return check_keys(dict(entry.values), needed, optional)
    except ValueError as error:
        raise entry.fail(str(error)) from None


def _common(entry: Entry, number: int) -> dict[str, Any]:
    """What queries and questions both may have."""
    given = entry.values
    videos = given.get("videos", [given["video"]] if "video" in given else [])
    if not isinstance(videos, list) or not all(isinstance(v, str) and v for v in videos):
        raise entry.fail(f"videos must be a list of names, got {videos!r:.80}")
    labels = given.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise entry.fail(f"labels must be texts by category, got {labels!r:.80}")
    relevant = given.get("relevant", [])
    if not isinstance(relevant, list):
        raise entry.fail("relevant must be a list of video, start, end, grade")
    try:
        until = parse_when("until", given.get("until"))
    except ConfigError as error:
        raise entry.fail(str(error)) from None
    return {
        "id": entry.text("id") if "id" in given else str(number),
        "videos": tuple(videos),
        "until": until,
        "labels": labels,
        "relevant": tuple(relevant_of(one, entry.where) for one in relevant),
    }
