"""LongVideoBench: 6,678 questions of two to five choices over videos up to an hour.

Wu et al., "LongVideoBench: A Benchmark for Long-context Interleaved Video-Language Understanding"
(NeurIPS 2024). ``lvb_val.json`` (1,337 with answers) and ``lvb_test_wo_gt.json`` (without) are
lists of {"id", "video_path", "question", "candidates", "correct_choice": from 0, "duration_group",
"question_category", "level", "topic_category", ...}.
https://huggingface.co/datasets/longvideobench/LongVideoBench (asks for consent).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import Annotated, used
from egorag.evaluate.base import Dataset, Item
from egorag.evaluate.files import Entry, Files

TABLES = {"val": "lvb_val.json", "test": "lvb_test_wo_gt.json"}
PUBLISHED = (
    "LongVideoBench's owners publish it at "
    "https://huggingface.co/datasets/longvideobench/LongVideoBench (it asks for consent); give "
    "benchmark.folder=the folder of that download, with videos.tar unpacked in it or in "
    "benchmark.media"
)
LABELS = ("duration_group", "question_category", "level", "topic_category")
NOTE = (
    "The published subtitles are JSON files of the uncut videos and are not read; speech counts as "
    "far as an encoder of this run hears it."
)


@dataclass(frozen=True)
class LongVideoBench(Annotated):
    """See the module.

    Attributes:
        split: ``val``, or ``test``, whose answers are not public: run, not scored.
    """

    split: str = "val"

    def read(self) -> Dataset:
        """The questions of the split."""
        if self.split not in TABLES:
            raise ConfigError(f"no split {self.split!r}{did_you_mean(self.split, TABLES)}")
        files = Files(Path(self.folder), PUBLISHED)
        items = [_item(row, self.split == "val") for row in files.listed(TABLES[self.split])]
        videos = dict.fromkeys(video for item in items for video in item.videos)
        dataset = Dataset(
            "longvideobench", "choice", self.draw(items), self.find(videos), files.sources, (NOTE,)
        )
        return used(dataset)


def _item(row: Entry, public: bool) -> Item:
    choices = row.texts("candidates")
    return Item(
        row.text("id"),
        row.text("question"),
        (row.text("video_path"),),
        choices,
        row.whole("correct_choice", len(choices)) if public else None,
        public,
        labels={name: str(row.values[name]) for name in LABELS if name in row.values},
    )
