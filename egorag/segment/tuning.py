"""The threshold of ``segmenter=ward`` that finds labelled cuts best, without decoding anything.

Every threshold of a grid is tried on the trees of all labelled videos. The one with the best F1
over all their cuts is the answer; its F1 on those same videos flatters it, so each video is also
scored at the threshold that is best on the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.segment.by_tree import Meetings, SceneTree

STEP = 0.01  # of the grid of thresholds


@dataclass(frozen=True)
class Score:
    """How well found cuts match true ones: each is paired at most once, within a tolerance."""

    hits: int = 0
    found: int = 0
    true: int = 0

    @property
    def precision(self) -> float:
        """Of found cuts, those that are true; 1 where none was found."""
        return self.hits / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Of true cuts, those that were found; 1 where there is none."""
        return self.hits / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 1 where there is nothing to find and nothing was found."""
        both = self.found + self.true
        return 2 * self.hits / both if both else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(self.hits + other.hits, self.found + other.found, self.true + other.true)

    def to_json(self) -> dict[str, float | int]:
        rounded = {name: round(getattr(self, name), 4) for name in ("precision", "recall", "f1")}
        return {**rounded, "hits": self.hits, "found": self.found, "true": self.true}


def match(found: Iterable[int], true: Iterable[int], tolerance: int) -> Score:
    """Pair times (us) that lie within ``tolerance``, as many as can be.

    >>> match([10, 20, 50], [12, 14, 70], tolerance=6)
    Score(hits=2, found=3, true=3)
    """
    ours, theirs = sorted(found), sorted(true)
    hits = i = j = 0
    while i < len(ours) and j < len(theirs):
        if abs(ours[i] - theirs[j]) <= tolerance:
            hits, i, j = hits + 1, i + 1, j + 1
        elif ours[i] < theirs[j]:
            i += 1
        else:
            j += 1
    return Score(hits, len(ours), len(theirs))


@dataclass(frozen=True, eq=False)
class Labelled:
    """A video with labelled cuts: its tree, where it ends (us) and its cuts (us)."""

    name: str
    tree: SceneTree
    end: int
    cuts: Sequence[int]


@dataclass(frozen=True, eq=False)
class Tuned:
    """What the sweep found.

    Attributes:
        thresholds: the grid.
        scores: at each of it, over all videos.
        best: the threshold to use: the middle of the longest run of the best F1.
        held_out: over all videos, each at the threshold that is best on the others; None for one
            video alone.
        chosen: by video, that threshold and the video's score at it.
    """

    thresholds: tuple[float, ...]
    scores: tuple[Score, ...]
    best: float
    held_out: Score | None
    chosen: dict[str, tuple[float, Score]]

    def at(self, threshold: float) -> Score:
        """The score over all videos at the grid's threshold nearest to this one."""
        return self.scores[int(np.abs(np.subtract(self.thresholds, threshold)).argmin())]


def tune(videos: Sequence[Labelled], shortest: int, tolerance: int) -> Tuned:
    """Try every threshold.

    Args:
        shortest: scenes last so long at least, in microseconds.
        tolerance: within which a found cut is a true one, likewise.

    Raises:
        ConfigError: no video.
    """
    if not videos:
        raise ConfigError("there is no labelled video to tune on")
    meetings = [Meetings.of(video.tree, video.end, shortest) for video in videos]
    highest = max((float(m.gaps.max(initial=0.0)) for m in meetings), default=0.0)
    grid = [round(STEP * i, 4) for i in range(int(highest / STEP) + 2)]
    table = [
        [match(m.times[m.gaps > threshold].tolist(), v.cuts, tolerance) for threshold in grid]
        for v, m in zip(videos, meetings, strict=True)
    ]
    total = [sum(column, Score()) for column in zip(*table, strict=True)]
    chosen: dict[str, tuple[float, Score]] = {}
    if len(videos) > 1:
        for number, video in enumerate(videos):
            others = table[:number] + table[number + 1 :]
            place = _best([sum(column, Score()) for column in zip(*others, strict=True)])
            chosen[video.name] = grid[place], table[number][place]
    held_out = sum((score for _, score in chosen.values()), Score()) if chosen else None
    return Tuned(tuple(grid), tuple(total), grid[_best(total)], held_out, chosen)


def _best(scores: Sequence[Score]) -> int:
    """The middle of the longest run of the highest F1, the first of equally long ones."""
    values: npt.NDArray[np.float64] = np.array([score.f1 for score in scores])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], values == values.max(), [0]]).astype(int)))
    starts, ends = edges[::2], edges[1::2]
    longest = int((ends - starts).argmax())
    return int(starts[longest] + ends[longest] - 1) // 2
