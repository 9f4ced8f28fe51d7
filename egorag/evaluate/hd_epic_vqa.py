"""HD-EPIC VQA: 26,000 five-way questions of 30 prototypes over 41 hours in kitchens.

Perrett et al., "HD-EPIC: A Highly-Detailed Egocentric Video Dataset" (CVPR 2025). One JSON file a
prototype, each an object {id: {"inputs": {"video 1": {"id", "start_time", "end_time"}, ...},
"question", "choices": five, "correct_idx": from 0}}; an input may also be "image 1" with a "time".
https://github.com/hd-epic/hd-epic-annotations, folder vqa-benchmark; the videos from
https://hd-epic.github.io.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import Annotated, used
from egorag.evaluate.base import Dataset, Item
from egorag.evaluate.files import Entry, Files
from egorag.evaluate.files import seconds as to_seconds
from egorag.spans import Span

PUBLISHED = (
    "HD-EPIC's owners publish it at https://github.com/hd-epic/hd-epic-annotations, in "
    "vqa-benchmark/; give benchmark.folder=that folder (or the one above it), and the videos "
    "(PARTICIPANT-DATE-TIME.mp4) as benchmark.media"
)
CATEGORIES = (
    "recipe", "ingredient", "nutrition", "fine_grained", "3d_perception", "object_motion", "gaze",
)  # fmt: skip
"""The paper's seven; names of prototypes begin with them."""

NOTE = (
    "Questions point at places in a picture (<BBOX ...>) and at times (<TIME ...>); both are given "
    "as text. A clip that a question is asked of is widened to the scenes it touches."
)


@dataclass(frozen=True)
class HDEpicVQA(Annotated):
    """See the module.

    Attributes:
        task: one prototype (``recipe_step_recognition``) or category (``recipe``); all unless
            given.
    """

    task: str | None = None

    def read(self) -> Dataset:
        """The questions of every file that is there."""
        folder = Path(self.folder)
        if (folder / "vqa-benchmark").is_dir():
            folder /= "vqa-benchmark"
        files = Files(folder, PUBLISHED)
        there = sorted(path.stem for path in folder.glob("*.json") if _category(path.stem))
        if not there:
            files.path("recipe_step_recognition.json")
        chosen = [name for name in there if self.task in (None, name, _category(name))]
        if not chosen:
            known = [*CATEGORIES, *there]
            raise ConfigError(f"no task {self.task!r}{did_you_mean(str(self.task), known)}")
        items = [item for name in chosen for item in _read(files, name)]
        videos = dict.fromkeys(video for item in items for video in item.videos)
        dataset = Dataset(
            "hd_epic_vqa", "choice", self.draw(items), self.find(videos), files.sources, (NOTE,)
        )
        return used(dataset)


def _category(name: str) -> str | None:
    return next((each for each in CATEGORIES if name.startswith(f"{each}_")), None)


def _read(files: Files, name: str) -> Iterator[Item]:
    told = files.json(f"{name}.json")
    path = files.path(f"{name}.json")
    if not isinstance(told, dict) or not told:
        raise ConfigError(f"{path}: expected an object of questions by id")
    for id, row in told.items():
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, {id}: expected an object, got {type(row).__name__}")
        yield _item(id, Entry(row, f"{path}, {id}"), name)


def _item(id: str, entry: Entry, name: str) -> Item:
    listed = entry.get("choices")
    if not isinstance(listed, list) or len(listed) < 2:
        raise entry.fail(f"choices must be a list, got {listed!r:.80}")
    choices = tuple(_choice(entry, each) for each in listed)
    inputs = entry.get("inputs")
    if not isinstance(inputs, dict) or not inputs:
        raise entry.fail(f"inputs must name videos, got {inputs!r:.80}")
    given = [_input(entry, key, inputs[key]) for key in sorted(inputs, key=_order)]
    videos = tuple(dict.fromkeys(one.text("id") for one in given))
    windows = [window for one in given if (window := _window(one)) is not None]
    return Item(
        id,
        entry.text("question"),
        videos,
        choices,
        entry.whole("correct_idx", len(choices)),
        window=windows[0] if len(windows) == len(videos) == 1 else None,
        labels={"category": str(_category(name)), "task": name},
    )


def _choice(entry: Entry, told: Any) -> str:
    """A text, or several in an order."""
    parts = told if isinstance(told, list) else [told]
    if not parts or not all(isinstance(part, str) and part.strip() for part in parts):
        raise entry.fail(f"a choice must be a text or a list of them, got {told!r:.80}")
    return ", ".join(parts)


def _input(entry: Entry, key: str, value: Any) -> Entry:
    if not isinstance(value, Mapping):
        raise entry.fail(f"{key} must be an object, got {value!r:.80}")
    return Entry(value, f"{entry.where}, {key}")


def _order(key: str) -> tuple[str, int]:
    """``video 2`` before ``video 10``."""
    kind, _, number = key.partition(" ")
    return kind, int(number) if number.isdecimal() else 0


def _window(one: Entry) -> Span | None:
    if "start_time" not in one.values:
        return None
    try:
        times = to_seconds(one.text("start_time")), to_seconds(one.text("end_time"))
    except ValueError as error:
        raise one.fail(str(error)) from None
    return one.span(*times)
