"""LVBench: 1,549 four-way questions over 103 videos of an hour and more.

Wang et al., "LVBench: An Extreme Long Video Understanding Benchmark" (ICCV 2025).
``video_info.meta.jsonl`` holds one video a line: {"key": YouTube id, "type", "video_info", "qa":
[{"uid", "question", "answer": letter, "question_type": [...], "time_reference": "MM:SS-MM:SS"}]};
the options stand in the question, one a line, as "(A) ...". https://huggingface.co/datasets/
THUDM/LVBench; the videos are ``KEY.mp4``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.evaluate.annotated import Annotated, used
from egorag.evaluate.base import Dataset, Item, Relevant, Scores
from egorag.evaluate.files import Entry, Files
from egorag.evaluate.files import seconds as to_seconds
from egorag.evaluate.predictions import read_choices, score_choices
from egorag.spans import Span

TABLE = "video_info.meta.jsonl"
PUBLISHED = (
    f"LVBench's owners publish {TABLE} at https://huggingface.co/datasets/THUDM/LVBench; put it "
    "into benchmark.folder, and the videos (KEY.mp4) there too or into benchmark.media"
)
_OPTION = re.compile(r"^\s*\(([A-Z])\)\s*", re.M)


@dataclass(frozen=True)
class LVBench(Annotated):
    """See the module.

    Attributes:
        predictions: a JSON object {uid: letter}, the form that the owners' script takes.
    """

    predictions: str | None = None

    def read(self) -> Dataset:
        """All questions."""
        files = Files(Path(self.folder), PUBLISHED)
        videos = files.lines(f"data/{TABLE}", TABLE)
        items = [item for video in videos for item in _items(video)]
        untimed = sum(not item.relevant for item in items)
        note = f"{untimed} of {len(items)} questions name no stretch of time as evidence."
        names = dict.fromkeys(video.text("key") for video in videos)
        return used(
            Dataset(
                "lvbench",
                "choice",
                self.draw(items),
                self.find(names),
                files.sources,
                (note,) if untimed else (),
            )
        )

    def from_file(self, dataset: Dataset) -> Scores | None:
        """Accuracy, overall and by type of question (a question may be of several)."""
        if self.predictions is None:
            return None
        return score_choices(dataset, read_choices(Path(self.predictions), dataset), self.seed)


def _items(video: Entry) -> Iterator[Item]:
    rows = video.get("qa")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise video.fail(f"qa must be a list of objects, got {rows!r:.80}")
    for row in rows:
        yield _item(Entry(row, f"{video.where}, uid {row.get('uid')}"), video)


def _item(row: Entry, video: Entry) -> Item:
    question, *parts = _OPTION.split(row.text("question"))
    letters, choices = parts[::2], tuple(part.strip() for part in parts[1::2])
    if len(choices) < 2 or letters != [chr(ord("A") + i) for i in range(len(choices))]:
        raise row.fail("the question must hold its options in lines (A) ..., (B) ..., in order")
    types = row.get("question_type")
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        raise row.fail(f"question_type must be a list of texts, got {types!r:.80}")
    key = video.text("key")
    return Item(
        str(row.get("uid")),
        question.strip(),
        (key,),
        choices,
        row.letter("answer", len(choices)),
        relevant=_evidence(row.values.get("time_reference"), key),
        labels={"task": tuple(types), "type": video.text("type")},
    )


def _evidence(told: Any, video: str) -> tuple[Relevant, ...]:
    """The stretch that ``time_reference`` tells; none where it is a moment or no time."""
    first, dash, last = str(told).partition("-")
    try:
        start, end = to_seconds(first), to_seconds(last)
    except ValueError:
        return ()
    if not dash or not start < end:
        return ()
    return (Relevant(video, Span.seconds(start, end), 1.0),)
