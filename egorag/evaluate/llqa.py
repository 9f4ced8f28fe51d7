"""LLQA: questions over lifelogs, answered from their descriptions.

Tran et al., "LLQA - Lifelog Question Answering Dataset" (MMM 2022).
https://github.com/allie-tran/LLQA, folder published: ``test_multiple.jsonl`` (four choices),
``test_binary.jsonl`` (yes or no) and the same of ``train``, one {"question", "answers",
"answer_idx", "start_time": "2015/03/14 09:32:00+00", "end_time", "date"} a line;
``descriptions.jsonl`` with one {"desc": "He watches TV. [07:13-07:31]", "date"} a line. The
pictures belong to the Lifelog Search Challenge; here a day is its descriptions, as timed text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import Annotated, used
from egorag.evaluate.base import Dataset, Item, Media, Relevant
from egorag.evaluate.files import Entry, Files
from egorag.media.markup import clean_text
from egorag.spans import Span
from egorag.types import TimedText

PUBLISHED = (
    "LLQA's owners publish it at https://github.com/allie-tran/LLQA, in published/; give "
    "benchmark.folder=that folder (or the one above it)"
)
SPLITS, QUESTIONS = ("test", "train"), ("multiple", "binary")
MINUTE = 60_000_000
_STAMP = re.compile(r"[\[(]\s*(\d{1,2}):(\d{2})(?:\s*-\s*(\d{1,2}):(\d{2}))?\s*[\])]\W*$")
NOTE = (
    "The questions were made from the descriptions that are searched here, which is easier than "
    "from pictures."
)


@dataclass(frozen=True)
class LLQA(Annotated):
    """See the module.

    Attributes:
        split: ``test`` or ``train``.
        questions: ``multiple`` or ``binary``.
    """

    split: str = "test"
    questions: str = "multiple"

    def read(self) -> Dataset:
        """The questions, and each day that has descriptions."""
        for value, known in ((self.split, SPLITS), (self.questions, QUESTIONS)):
            if value not in known:
                raise ConfigError(f"no such part of LLQA: {value!r}{did_you_mean(value, known)}")
        folder = Path(self.folder)
        folder = folder / "published" if (folder / "published").is_dir() else folder
        files = Files(folder, PUBLISHED)
        name = f"{self.split}_{self.questions}"
        rows = files.lines(f"{name}.jsonl")
        items = [_item(row, f"{name}-{number}") for number, row in enumerate(rows, 1)]
        days, unread = _days(files)
        wanted = dict.fromkeys(video for item in items for video in item.videos)
        media = [days.get(day, Media(day)) for day in wanted]
        notes = (NOTE, f"{unread} descriptions left out: the time at their end cannot be read.")
        dataset = Dataset(
            "llqa",
            "choice",
            self.draw(items),
            tuple(media),
            files.sources,
            notes[: 1 + (unread > 0)],
        )
        return used(dataset)


def _item(row: Entry, id: str) -> Item:
    choices = row.texts("answers")
    day = row.text("date")
    return Item(
        id,
        row.text("question"),
        (day,),
        choices,
        row.whole("answer_idx", len(choices)),
        relevant=_evidence(row, day),
    )


def _evidence(row: Entry, day: str) -> tuple[Relevant, ...]:
    """From the first minute to the last, both whole; none where they are of another day."""
    times = []
    for key in ("start_time", "end_time"):
        try:
            times.append(datetime.strptime(f"{row.text(key)}00", "%Y/%m/%d %H:%M:%S%z"))
        except ValueError:
            raise row.fail(f"{key} must be YYYY/MM/DD HH:MM:SS+00, got {row.text(key)!r}") from None
    if {f"{time:%Y-%m-%d}" for time in times} != {day}:
        return ()
    start, end = (MINUTE * (60 * time.hour + time.minute) for time in times)
    return (Relevant(day, Span(start, max(start, end) + MINUTE), 1.0),)


def _days(files: Files) -> tuple[dict[str, Media], int]:
    """Each day's descriptions, and how many have no time that makes sense."""
    said: dict[str, list[TimedText]] = defaultdict(list)
    unread = 0
    for row in files.lines("descriptions.jsonl"):
        told = row.get("desc")
        if not isinstance(told, str):
            raise row.fail(f"desc must be a text, got {told!r:.80}")
        found = _STAMP.search(told)
        hours = [int(part) for part in found.groups() if part is not None] if found else [24]
        text = clean_text(told[: found.start()]) if found else ""
        start = MINUTE * (60 * hours[0] + hours[1]) if len(hours) > 1 else 0
        end = (MINUTE * (60 * hours[2] + hours[3]) if len(hours) > 2 else start) + MINUTE
        if not text or max(hours[::2]) > 23 or max(hours[1::2]) > 59 or end <= start:
            unread += 1
            continue
        said[row.text("date")].append(TimedText(Span(start, end), text, "caption", "llqa"))
    return {day: _day(day, texts, files) for day, texts in said.items()}, unread


def _day(day: str, texts: list[TimedText], files: Files) -> Media:
    try:
        began = datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{files.folder / 'descriptions.jsonl'}: {day!r} is no date") from None
    return Media(day, texts=tuple(dict.fromkeys(texts)), recorded_at=began)
