"""EPIC-KITCHENS-100's validation clips, as its benchmarks share them.

Damen et al., "Rescaling Egocentric Vision" (IJCV 2022). One clip a row of
``EPIC_100_validation.csv``; https://github.com/epic-kitchens/epic-kitchens-100-annotations.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.evaluate.files import Entry, Files
from egorag.evaluate.files import seconds as to_seconds
from egorag.spans import Span

VERBS, NOUNS = 97, 300
TABLE = "EPIC_100_validation.csv"
COLUMNS = (
    "narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "narration",
    "verb_class", "noun_class", "all_noun_classes",
)  # fmt: skip
PUBLISHED = (
    "EPIC-KITCHENS-100's owners publish it at "
    "https://github.com/epic-kitchens/epic-kitchens-100-annotations; put its CSV files, those of "
    "retrieval_annotations/ too, into benchmark.folder"
)

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Clips:
    """Annotated clips in the order of the file.

    Attributes:
        verbs, nouns: class of each, int [clips].
        all_nouns: every noun class of each, the main one included.
    """

    ids: tuple[str, ...]
    participants: tuple[str, ...]
    videos: tuple[str, ...]
    spans: tuple[Span, ...]
    texts: tuple[str, ...]
    verbs: Ints
    nouns: Ints
    all_nouns: tuple[frozenset[int], ...]


def read_clips(files: Files, *names: str) -> Clips:
    """The clips of the first of these tables that is there.

    Raises:
        ConfigError: a row makes no sense, an id is there twice; names the line.
    """
    rows = files.table(COLUMNS, *names)
    ids: dict[str, Entry] = {}
    for row in rows:
        id = row.text("narration_id")
        if id in ids:
            raise row.fail(f"the narration_id {id!r} is there twice, first in {ids[id].where}")
        ids[id] = row
    return Clips(
        ids=tuple(ids),
        participants=tuple(row.text("participant_id") for row in rows),
        videos=tuple(row.text("video_id") for row in rows),
        spans=tuple(map(_span, rows)),
        texts=tuple(row.text("narration") for row in rows),
        verbs=np.array([row.whole("verb_class", VERBS) for row in rows], np.intp),
        nouns=np.array([row.whole("noun_class", NOUNS) for row in rows], np.intp),
        all_nouns=tuple(map(_nouns, rows)),
    )


def files_of(folder: str) -> Files:
    """The annotation files in ``folder``."""
    return Files(Path(folder), PUBLISHED)


def _span(row: Entry) -> Span:
    try:
        times = to_seconds(row.text("start_timestamp")), to_seconds(row.text("stop_timestamp"))
    except ValueError as error:
        raise row.fail(str(error)) from None
    return row.span(*times)


def _nouns(row: Entry) -> frozenset[int]:
    told = row.text("all_noun_classes")
    try:
        listed = json.loads(told)
    except ValueError:
        listed = None
    good = isinstance(listed, list) and listed and all(isinstance(n, int) for n in listed)
    if not good or not all(0 <= n < NOUNS for n in listed):
        raise row.fail(f"all_noun_classes must be a list of 0..{NOUNS - 1}, got {told!r:.80}")
    return frozenset(listed)


def refuse_pickle(path: Path) -> None:
    """Raise ConfigError for a file that could only be read by running what it says."""
    if path.suffix.lower() in (".pkl", ".pickle", ".pt", ".pth"):
        raise ConfigError(
            f"{str(path)!r} is a pickle, which can run anything when it is read; save its arrays "
            "with numpy.savez(FILE.npz, NAME=ARRAY, ...) under the same names"
        )
