"""EgoLifeQA: four-way questions over a week in first person, each asked at a moment of it.

Yang et al., "EgoLife: Towards Egocentric Life Assistant" (CVPR 2025).
``EgoLifeQA/EgoLifeQA_A1_JAKE.json`` is a list of {"ID", "query_time": {"date": "DAY2", "time":
"HHMMSSFF"}, "type", "question", "choice_a" .. "choice_d", "answer": letter, "target_time"}; FF
counts frames of 1/20 s. ``target_time`` comes as {"date", "time"}, with several times in one text
("DAY1 11152408, 12000000"), as {"date", "time_list"}, or as a list of such objects.
https://huggingface.co/datasets/lmms-lab/EgoLife; the videos are clips of 30 seconds,
``DAY1_A1_JAKE_11093000.mp4``.

What is recorded or known after ``query_time`` is cut off. Days have no date; DAY1 is taken for
2000-01-01, so that times of all clips are on one clock.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError
from egorag.evaluate.annotated import Annotated, media_under
from egorag.evaluate.base import Dataset, Item, Media, Relevant
from egorag.evaluate.files import Entry, Files
from egorag.spans import Span, to_us

PUBLISHED = (
    "EgoLife's owners publish it at https://huggingface.co/datasets/lmms-lab/EgoLife; give "
    "benchmark.folder=the folder of that download, with the clips (DAY1/DAY1_A1_JAKE_HHMMSSFF.mp4) "
    "in it or in benchmark.media"
)
FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
CLIP = timedelta(seconds=30)
AROUND = to_us(0.5)
"""A target time is a moment; this much to each side counts as the evidence."""

_TIME = re.compile(r"DAY\s*(\d+)|(\d+)", re.I)


@dataclass(frozen=True)
class EgoLifeQA(Annotated):
    """See the module.

    Attributes:
        person: whose week; its questions and clips carry the name.
    """

    person: str = "A1_JAKE"

    def read(self) -> Dataset:
        """All questions, and every clip of the person that is in the media folder."""
        name = f"EgoLifeQA_{self.person}.json"
        files = Files(Path(self.folder), PUBLISHED)
        rows = files.listed(f"EgoLifeQA/{name}", name)
        clips = _clips(Path(self.media or self.folder), self.person)
        every = [_item(row, clips) for row in rows]
        untimed = sum(not item.relevant for item in every)
        note = f"{untimed} of {len(every)} questions name no moment as evidence."
        items = self.draw(every)
        lacking = {one.video for item in items for one in item.relevant} - {c.name for c in clips}
        media = (*clips, *(Media(name) for name in sorted(lacking)))
        notes = (note,) if untimed else ()
        return Dataset("egolifeqa", "choice", items, media, files.sources, notes)


def _clips(folder: Path, person: str) -> list[Media]:
    """The clips of the person, in order of time."""
    named = re.compile(rf"DAY(\d+)_{re.escape(person)}_(\d{{8}})", re.I)
    found = []
    for path in media_under(folder):
        if match := named.fullmatch(path.stem):
            try:
                began = _moment(int(match[1]), match[2])
            except ValueError as error:
                raise ConfigError(f"{path}: the name tells no time of a day: {error}") from None
            found.append(Media(path.stem, path, recorded_at=began))
    return sorted(found, key=lambda clip: (clip.recorded_at or FIRST_DAY, clip.name))


def _item(row: Entry, clips: list[Media]) -> Item:
    choices = tuple(row.text(f"choice_{letter}") for letter in "abcd")
    asked = row.get("query_time")
    times = list(_times(asked)) if isinstance(asked, dict) else []
    if len(times) != 1:
        raise row.fail(f"query_time must be one day and time, got {asked!r:.80}")
    try:
        until = _moment(*times[0])
    except ValueError as error:
        raise row.fail(str(error)) from None
    return Item(
        str(row.get("ID")),
        row.text("question"),
        (),
        choices,
        row.letter("answer", len(choices)),
        relevant=tuple(_evidence(row.values.get("target_time"), clips)),
        until=until,
        labels={"task": row.text("type")},
    )


def _evidence(told: Any, clips: list[Media]) -> Iterator[Relevant]:
    """Each target in the clip that holds it, a name for the clip where it is not there; what is no
    time is passed over."""
    for day, time in _times(told):
        try:
            moment = _moment(day, time)
        except ValueError:
            continue
        at = bisect_right(clips, moment, key=lambda clip: clip.recorded_at or FIRST_DAY) - 1
        began = clips[at].recorded_at if at >= 0 else None
        if began is None or moment >= began + CLIP:
            yield Relevant(f"clip of DAY{day} {time}", Span(0, 2 * AROUND), 1.0)
            continue
        us = (moment - began) // timedelta(microseconds=1)
        yield Relevant(clips[at].name, Span(max(0, us - AROUND), us + AROUND), 1.0)


def _times(told: Any) -> Iterator[tuple[int, str]]:
    """Every (day, HHMMSSFF) of a time as published, see the module."""
    for one in told if isinstance(told, list) else [told]:
        if not isinstance(one, dict):
            continue
        listed = one.get("time_list") or [one.get("time", "")]
        day = 0
        for number, text in _TIME.findall(" ".join(map(str, [one.get("date", ""), *listed]))):
            day = int(number) if number else day
            if text:
                yield day, text


def _moment(day: int, time: str) -> datetime:
    """
    Raises:
        ValueError: no time of a day.
    """
    parts = [int(time[i : i + 2]) for i in range(0, 8, 2)] if len(time) == 8 else [99]
    if day < 1 or any(part >= most for part, most in zip(parts, (24, 60, 60, 100), strict=False)):
        raise ValueError(f"expected DAY1 or later and a time HHMMSSFF, got DAY{day} {time!r}")
    hours, minutes, seconds, frames = parts
    return FIRST_DAY + timedelta(
        days=day - 1, hours=hours, minutes=minutes, seconds=seconds, milliseconds=50 * frames
    )
