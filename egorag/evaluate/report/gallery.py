"""Items that went well or did not, with pictures of what was found and of what is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

from egorag.chat.sent import data_url
from egorag.errors import MediaError
from egorag.evaluate.report.curves import ranked
from egorag.evaluate.report.runs import Finished
from egorag.evaluate.score import Row
from egorag.media.sampling import FrameSampling
from egorag.media.stretch import stretch
from egorag.spans import MICROSECONDS, Span, clock, to_us
from egorag.terminal import plain

SHOTS = 3
"""Found scenes that are shown of an item."""

_WIDE = 240  # pixels of a picture's longer side
_LONGEST = 300  # characters of a text


@dataclass(frozen=True)
class Shot:
    """A place in a video.

    Attributes:
        head: why it is shown.
        right: whether the answer is there.
        picture: data address of a JPEG; None where there is none.
        lacks: why not.
    """

    head: str
    right: bool
    time: str
    video: str
    text: str
    picture: str | None
    lacks: str


@dataclass(frozen=True)
class Example:
    """One item and what became of it.

    Attributes:
        choices: text, whether it is right, whether it was chosen.
        told: in words, how it went.
        answer: what was said; None where a choice tells it.
        wanted: what would have been right; None where a choice tells it, or nothing was asked.
    """

    id: str
    text: str
    labels: str
    good: bool
    told: str
    choices: Sequence[tuple[str, bool, bool]]
    answer: str | None
    wanted: str | None
    shots: Sequence[Shot]


def gallery(run: Finished, count: int) -> tuple[list[Example], list[Example]]:
    """At most ``count`` misses, the worst first, and as many hits, the best first; of each label
    in turn, so that they differ."""
    scored = [row for row in run.main if run.metric in row.values]
    order = sorted(scored, key=lambda row: row.values[run.metric])
    bad = [row for row in order if row.values[run.metric] < 0.5]
    good = [row for row in reversed(order) if row.values[run.metric] >= 0.5]
    pictures = _Pictures(_paths(run), run.record["media"], Path(run.record["folder"]))
    return (
        [_example(row, run, pictures, good=False) for row in _in_turn(bad)[:count]],
        [_example(row, run, pictures, good=True) for row in _in_turn(good)[:count]],
    )


def _in_turn(rows: Sequence[Row]) -> list[Row]:
    """The first of each label, then the second, and so on."""
    by: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        by[next(iter(row.item.labels.values()), "")].append(row)
    depth = max(map(len, by.values()), default=0)
    return [of[place] for place in range(depth) for of in by.values() if place < len(of)]


def _example(row: Row, run: Finished, pictures: _Pictures, *, good: bool) -> Example:
    item, output = row.item, row.output
    chosen = output.get("choice")
    choices = [
        (_short(text), place == item.answer, place == chosen)
        for place, text in enumerate(item.choices)
    ]
    labels = [of if isinstance(of, str) else ", ".join(of) for of in item.labels.values()]
    return Example(
        plain(item.id),
        _short(item.text),
        plain(", ".join(labels)),
        good,
        _told(row, run.metric),
        choices,
        _short(output["answer"]) if "answer" in output and chosen is None else None,
        _wanted(row),
        [*pictures.found(row), *pictures.missed(row)],
    )


def _wanted(row: Row) -> str | None:
    if "answer" not in row.output or isinstance(row.item.answer, int):
        return None
    if row.item.answer is not None:
        return _short(row.item.answer)
    return f"nothing there tells it: no {'choice' if row.item.choices else 'answer'} is right"


def _told(row: Row, metric: str) -> str:
    words = [f"{metric} {row.values[metric]:.3f}"]
    if "answer" in row.output:
        sure = f"confidence {row.output['confidence']:.2f}"
        words.append(f"abstained, {sure}" if row.output["abstained"] else sure)
    hits = ranked(row)
    if hits is not None and row.output.get("relevant"):
        rank = next((n for n, hit in enumerate(hits, 1) if hit["grade"] > 0), None)
        among = f"no right scene among {len(hits)}" if hits else "no scene found"
        words.append(among if rank is None else f"first right scene at rank {rank} of {len(hits)}")
    until = row.item.until
    if until is not None:
        known = until.isoformat() if isinstance(until, datetime) else _clock(to_us(until))
        words.append(f"asked of what was known by {known}")
    return "; ".join(words)


def _paths(run: Finished) -> dict[str, str]:
    """Path by video id, as far as any hit tells."""
    every = (hit for rows in run.rows.values() for row in rows for hit in ranked(row) or ())
    return {hit["video"]: hit["path"] for hit in every}


class _Pictures:
    """Frames of the videos of a run, each taken once.

    Args:
        paths: by video id, as the index has them.
        ids: video id by name in the annotations.
        folder: where the run was made, and relative paths begin.
    """

    def __init__(self, paths: Mapping[str, str], ids: Mapping[str, str], folder: Path) -> None:
        self._paths, self._ids, self._folder = paths, ids, folder
        self._taken: dict[tuple[str, int], tuple[str | None, str]] = {}

    def found(self, row: Row) -> Iterator[Shot]:
        """The best scenes that were found or read."""
        for rank, hit in enumerate((ranked(row) or ())[:SHOTS], 1):
            start, end = hit["focus"] or (hit["start"], hit["end"])
            scene = Span.seconds(hit["start"], hit["end"])
            taken = self._at(hit["path"], Span.seconds(start, end).middle)
            text = _short(hit["text"])
            right = hit["grade"] > 0
            head = f"rank {rank}{' ✓' * right}"
            yield Shot(head, right, *_where(hit["path"], scene), text, *taken)

    def missed(self, row: Row) -> Iterator[Shot]:
        """The best place with the answer, where none of the scenes shown is right."""
        if any(hit["grade"] > 0 for hit in (ranked(row) or ())[:SHOTS]) or not row.item.relevant:
            return
        one = max(row.item.relevant, key=lambda one: one.grade)
        path = self._paths.get(self._ids.get(one.video, ""))
        where = _where(one.video if path is None else path, one.span)
        lacking = None, "no picture: no hit tells where this video is"
        taken = lacking if path is None else self._at(path, one.span.middle)
        yield Shot("the answer is here", True, *where, "", *taken)

    def _at(self, path: str, time: int) -> tuple[str | None, str]:
        if (path, time) not in self._taken:
            self._taken[path, time] = _picture(self._folder / path, time)
        return self._taken[path, time]


def _picture(path: Path, time: int) -> tuple[str | None, str]:
    """The picture on show at a time, as a data address, or why there is none."""
    step = MICROSECONDS // 25
    try:
        taken = stretch(path, Span(time, time + step), FrameSampling(25.0, longest=_WIDE))
        frame = next(iter(taken), None)
    except MediaError:
        return None, "no picture: the video is not there any more, or cannot be read"
    return (None, "no picture at this time") if frame is None else (data_url(frame.image), "")


def _where(path: str, span: Span) -> tuple[str, str]:
    return f"{_clock(span.start)}–{_clock(span.end)}", plain(PurePath(path).name)


def _clock(us: int) -> str:
    """Tenths of a second, which is what a reader can use."""
    return clock(round(us / to_us(0.1)) * to_us(0.1))[:-2]


def _short(text: str) -> str:
    told = plain(text)
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"
