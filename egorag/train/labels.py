"""Tables of what happens when: what a probe learns to name.

Two kinds: any CSV file with the columns video, start, end, label; and the annotations of
EPIC-KITCHENS-100 (Damen et al., "Rescaling Egocentric Vision", IJCV 2022), in which an action is a
verb and a noun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from egorag.errors import ConfigError, did_you_mean
from egorag.spans import Span
from egorag.train.tables import read_table, stretch
from egorag.types import Video

TASKS: Mapping[str, tuple[str, ...]] = {"label": ("label",), "ek100": ("verb", "noun", "action")}
"""What is asked of a clip, by task."""

_COLUMNS = {
    "label": ("video", "start", "end", "label"),
    "ek100": ("video_id", "start_timestamp", "stop_timestamp", "verb_class", "noun_class"),
}
_LISTED = 3  # examples in a message


@dataclass(frozen=True)
class Labelled:
    """A stretch of a video and what happens in it.

    Attributes:
        video: as the table calls it.
        labels: by query of the task.
    """

    video: str
    span: Span
    labels: Mapping[str, str]


def read_labels(path: Path, task: str) -> list[Labelled]:
    """The rows of a table of this task, in order.

    Times are seconds or ``H:MM:SS.s``. The names of EPIC-KITCHENS' classes are taken from
    ``EPIC_100_verb_classes.csv`` and ``..._noun_classes.csv`` where these lie beside the table;
    else the classes keep their numbers.

    Raises:
        ConfigError: no such file, no rows, a column is missing, or a row makes no sense; names the
            row.
    """
    if task not in TASKS:
        raise ConfigError(f"no task {task!r}{did_you_mean(task, TASKS)}")
    rows = read_table(path, _COLUMNS[task])
    if not rows:
        raise ConfigError(f"{str(path)!r} holds no labels under its first line")
    read = _row if task == "label" else _ek100_row(path.parent)
    return [read(row, f"{path}, row {number}") for number, row in enumerate(rows, start=2)]


def clip_before(action: Span, anticipation: int, observed: int) -> Span | None:
    """The clip an action is anticipated from: ``observed`` microseconds long, it ends
    ``anticipation`` microseconds before the action's START. None where no time is left before it.

    (The authors' code, at anticipation point 0, ends the clip that long before the action's end: a
    part of the action is then in view.)

    >>> clip_before(Span.seconds(10, 13), 1_000_000, 4_000_000)
    Span(0:05.000-0:09.000)
    """
    end = action.start - anticipation
    return Span(max(0, end - observed), end) if end > 0 else None


def find_videos(names: Iterable[str], videos: Sequence[Video]) -> dict[str, str]:
    """The id of each name that an index knows: an id, path, file name, or file name without suffix.

    Raises:
        ConfigError: none is known, or a name means two videos.
    """
    known: dict[str, set[str]] = {}
    for video in videos:
        path = Path(video.path)
        for name in {video.id, video.path, path.name, path.stem}:
            known.setdefault(name, set()).add(video.id)
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if len(known.get(name, ())) > 1:
            raise ConfigError(f"{name!r} is the name of several videos of the index; give paths")
    found = {name: next(iter(known[name])) for name in wanted if name in known}
    if not found:
        listed = ", ".join(map(repr, wanted[:_LISTED]))
        raise ConfigError(
            f"the index holds none of the {len(wanted)} labelled videos ({listed}, ...)"
            f"{_called(wanted[0], videos)}"
        )
    return found


def _called(name: str, videos: Sequence[Video]) -> str:
    """The file names of some videos that ``name`` may mean, the likeliest first."""
    files = sorted({Path(video.path).name for video in videos})
    close = get_close_matches(name, files, n=_LISTED, cutoff=0.6)
    return did_you_mean(name, list(dict.fromkeys([*close, *files]))[:10])


def _row(row: Mapping[str, str], where: str) -> Labelled:
    label = " ".join(row["label"].split())
    if not label:
        raise ConfigError(f"{where}: the label is empty")
    span = stretch(row["start"], row["end"], where)
    return Labelled(row["video"].strip(), span, {"label": label})


def _ek100_row(beside: Path) -> Callable[[Mapping[str, str], str], Labelled]:
    names = {part: _class_names(beside / f"EPIC_100_{part}_classes.csv") for part in TASKS["ek100"]}

    def read(row: Mapping[str, str], where: str) -> Labelled:
        labels = {}
        for part in ("verb", "noun"):
            number = row[f"{part}_class"].strip()
            if not number.isdecimal():
                raise ConfigError(f"{where}: {part}_class must be a number, got {number!r}")
            labels[part] = names[part].get(number, number)
        labels["action"] = f"{labels['verb']} {labels['noun']}"
        span = stretch(row["start_timestamp"], row["stop_timestamp"], where)
        return Labelled(row["video_id"].strip(), span, labels)

    return read


def _class_names(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {row["id"].strip(): row["key"].strip() for row in read_table(path, ("id", "key"))}
