"""QVHighlights: moments of a video that a sentence describes, and how salient its clips are.

Lei et al., "QVHighlights: Detecting Moments and Highlights in Videos via Natural Language Queries"
(NeurIPS 2021). ``highlight_val_release.jsonl`` holds one query a line: {"qid", "query", "duration",
"vid", "relevant_windows": [[start, end], ...] in seconds, "relevant_clip_ids": of 2 s each,
"saliency_scores": of each such clip by three people}; ``highlight_test_release.jsonl`` lacks the
last three. https://github.com/jayleicn/moment_detr, folder data; the videos are ``VID.mp4``.

The official numbers need a submission: one {"qid", "pred_relevant_windows": [[start, end, score],
...], "pred_saliency_scores": [one a clip]} a line. Without it the scenes of an index are the
moments, each query searched in its own video.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import Annotated, used
from egorag.evaluate.base import Dataset, Item, Relevant, Scores
from egorag.evaluate.files import Entry, Files
from egorag.metrics.intervals import Interval, clustered
from egorag.metrics.moments import moments
from egorag.metrics.qvhighlights import Predicted, Truth, evaluate, ratings

SPLITS = ("val", "train", "test")
PUBLISHED = (
    "QVHighlights' owners publish highlight_val_release.jsonl at "
    "https://github.com/jayleicn/moment_detr, in data/; put it into benchmark.folder, and the "
    "videos (VID.mp4) there too or into benchmark.media"
)


@dataclass(frozen=True)
class QVHighlights(Annotated):
    """See the module.

    Attributes:
        split: ``val``, ``train``, or ``test``, whose answers are not public.
        predictions: a submission file.
    """

    split: str = "val"
    predictions: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split not in SPLITS:
            raise ValueError(f"no split {self.split!r}{did_you_mean(self.split, SPLITS)}")
        if self.predictions is not None and (self.limit is not None or self.split == "test"):
            raise ValueError("a submission is scored whole, against a split with public answers")

    def read(self) -> Dataset:
        """One item a query."""
        files = Files(Path(self.folder), PUBLISHED)
        rows = files.lines(f"highlight_{self.split}_release.jsonl")
        items = self.draw([_item(row, self.split != "test") for row in rows])
        media = self.find(dict.fromkeys(video for item in items for video in item.videos))
        return used(Dataset("qvhighlights", "moments", items, media, files.sources))

    def from_file(self, dataset: Dataset) -> Scores | None:
        """The official values in percent, under their official names."""
        if self.predictions is None:
            return None
        files = Files(Path(self.folder), PUBLISHED)
        rows = files.lines(f"highlight_{self.split}_release.jsonl")
        truth = {row.whole("qid"): _truth(row) for row in rows}
        predicted = _predicted(Path(self.predictions), truth)
        try:
            told = evaluate(predicted, truth)
        except ValueError as error:
            raise ConfigError(f"{self.predictions}: {error}") from None
        brief: dict[str, Interval | float] = {
            name: value for name, value in told.pop("brief").items() if value is not None
        }
        order = list(truth)
        found = moments([predicted[q].windows for q in order], [truth[q].windows for q in order])
        videos = [row.text("vid") for row in rows]
        for least in (0.5, 0.7):
            brief[f"MR-full-R1@{least}"] = clustered(
                partial(_percent, found.iou >= least), videos, seed=self.seed
            )
        return Scores("MR-full-mAP", brief, {n: _nested(v) for n, v in told.items() if v}, True)


def _percent(hit: npt.NDArray[np.bool_], rows: npt.NDArray[np.intp]) -> float:
    return 100 * float(hit[rows].mean())


def _nested(values: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """``{"HL-mAP": 1.0}`` as ``{"all": {...}}``; what is nested already stays."""
    plain = {name: value for name, value in values.items() if isinstance(value, float)}
    return {"all": plain} if plain else dict(values)


def _item(row: Entry, public: bool) -> Item:
    video = row.text("vid")
    return Item(
        str(row.whole("qid")),
        row.text("query"),
        (video,),
        public=public,
        relevant=tuple(
            Relevant(video, row.span(*pair), 1.0)
            for pair in (_pairs(row, "relevant_windows", 2) if public else ())
        ),
    )


def _truth(row: Entry) -> Truth:
    duration = row.get("duration")
    if not isinstance(duration, (int, float)) or not 0 < duration < 86_400:
        raise row.fail(f"duration must be seconds, got {duration!r:.80}")
    windows = np.array(_pairs(row, "relevant_windows", 2), np.float64)
    try:
        rated = ratings(duration, row.get("relevant_clip_ids"), row.get("saliency_scores"))
    except (TypeError, ValueError) as error:
        raise row.fail(str(error)) from None
    return Truth(windows, rated)


def _pairs(row: Entry, key: str, width: int) -> list[list[float]]:
    """A list of lists of ``width`` numbers, one at least."""
    told = row.get(key)
    good = (
        isinstance(told, list)
        and told
        and all(
            isinstance(one, list)
            and len(one) == width
            and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in one)
            for one in told
        )
    )
    if not good:
        raise row.fail(f"{key} must be a list of lists of {width} numbers, got {told!r:.80}")
    return [list(map(float, one)) for one in told]


def _predicted(path: Path, truth: Mapping[int, Truth]) -> dict[int, Predicted]:
    files = Files(path.parent, "Give benchmark.predictions=FILE.jsonl")
    found: dict[int, Predicted] = {}
    for row in files.lines(path.name):
        qid = row.whole("qid")
        if qid in found or qid not in truth:
            raise row.fail(f"qid {qid} is {'there twice' if qid in found else 'no query of these'}")
        saliency = np.asarray(row.get("pred_saliency_scores"), dtype=object)
        try:
            numbers = saliency.astype(np.float64)
        except (TypeError, ValueError):
            raise row.fail("pred_saliency_scores must be a list of numbers") from None
        windows = np.array(_pairs(row, "pred_relevant_windows", 3), np.float64)
        found[qid] = Predicted(windows, numbers)
    if lacking := [qid for qid in truth if qid not in found]:
        raise ConfigError(f"{path}: {len(lacking)} queries lack predictions, as qid {lacking[0]}")
    return found
