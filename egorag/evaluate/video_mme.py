"""Video-MME: 2,700 four-way questions over 900 videos of 11 seconds to an hour.

Fu et al., "Video-MME: The First-Ever Comprehensive Evaluation Benchmark of Multi-modal LLMs in
Video Analysis" (CVPR 2025). One Parquet table, ``videomme/test-00000-of-00001.parquet``, at
https://huggingface.co/datasets/lmms-lab/Video-MME (videos ``VIDEOID.mp4``, subtitles
``VIDEOID.srt``); the same rows as a JSON list are read, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import Annotated, used
from egorag.evaluate.base import Dataset, Item
from egorag.evaluate.files import Entry, Files

TABLE = "test-00000-of-00001.parquet"
NAMES = (f"videomme/{TABLE}", TABLE, "videomme.json")
PUBLISHED = (
    "Video-MME's owners publish it at https://huggingface.co/datasets/lmms-lab/Video-MME; give "
    "benchmark.folder=the folder of that download and unpack the videos into it or into "
    "benchmark.media. Its rows as a JSON list are read from videomme.json"
)
DURATIONS = ("short", "medium", "long")
NOTE = (
    "Subtitles count where VIDEOID.srt lies beside VIDEOID.mp4 and the subtitles encoder is "
    "chosen; the published tables tell results with and without them apart."
)


@dataclass(frozen=True)
class VideoMME(Annotated):
    """See the module.

    Attributes:
        duration: ``short``, ``medium`` or ``long``; all unless given.
    """

    duration: str | None = None

    def read(self) -> Dataset:
        """The questions about videos of that length."""
        if self.duration not in (None, *DURATIONS):
            raise ConfigError(
                f"no duration {self.duration!r}{did_you_mean(str(self.duration), DURATIONS)}"
            )
        files = Files(Path(self.folder), PUBLISHED)
        rows = (files.listed if files.path(*NAMES).suffix == ".json" else files.parquet)(*NAMES)
        items = [_item(row) for row in rows if self.duration in (None, row.text("duration"))]
        videos = dict.fromkeys(video for item in items for video in item.videos)
        dataset = Dataset(
            "video_mme", "choice", self.draw(items), self.find(videos), files.sources, (NOTE,)
        )
        return used(dataset)


def _item(row: Entry) -> Item:
    choices = without_letters(row.texts("options"))
    labels = {name: row.text(name) for name in ("duration", "domain", "sub_category", "task_type")}
    return Item(
        row.text("question_id"),
        row.text("question"),
        (row.text("videoID"),),
        choices,
        row.letter("answer", len(choices)),
        labels=labels,
    )


def without_letters(options: Sequence[str]) -> tuple[str, ...]:
    """Options without the letters that count them, where all have theirs; answerers count anew.

    >>> without_letters(["A. Black.", "B. A. Gray"]), without_letters(["C. elegans", "yeast"])
    (('Black.', 'A. Gray'), ('C. elegans', 'yeast'))
    """
    counted = [f"{chr(ord('A') + number)}. " for number in range(len(options))]
    if not all(one.startswith(mark) for one, mark in zip(options, counted, strict=True)):
        return tuple(options)
    return tuple(one[len(mark) :].strip() for one, mark in zip(options, counted, strict=True))
