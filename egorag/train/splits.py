"""What is learned from, what decides when to stop, what it is tested on: apart by video.

Clips of one video look alike. Were they spread over the parts, a score would tell how well a video
is recognised, not what happens in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from egorag.errors import ConfigError

PARTS = ("train", "validation", "held_out")


@dataclass(frozen=True)
class Split:
    """Videos (ids) of each part; no video is in two."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]

    def __post_init__(self) -> None:
        every = [*self.train, *self.validation, *self.held_out]
        twice = sorted({video for video in every if every.count(video) > 1})
        if twice:
            raise ConfigError(
                f"video {twice[0]!r} is in two parts of the split; a video is either learned from "
                "or tested on"
            )
        for part in PARTS:
            if not getattr(self, part):
                raise ConfigError(f"no video is left for {part}; give labels of more videos")

    def part(self, video: str) -> str:
        """The part this video is in. KeyError if in none."""
        for part in PARTS:
            if video in getattr(self, part):
                return part
        raise KeyError(video)


def split_videos(
    videos: Iterable[str],
    seed: int,
    validation: float = 0.15,
    held_out: float = 0.15,
    tested: Iterable[str] | None = None,
) -> Split:
    """Deal videos into parts by chance; equal videos and seed give equal parts.

    Args:
        videos: ids in any order; repeats count once.
        validation, held_out: shares of the videos, each at least one video.
        tested: the held-out videos where they are given; then ``videos`` are dealt into training
            and validation alone.

    Raises:
        ConfigError: fewer than three videos (two where ``tested`` are given), or one in both.

    >>> split_videos(["a", "b", "c", "d"], seed=0)
    Split(train=('b', 'd'), validation=('a',), held_out=('c',))
    """
    known = sorted(set(videos))
    given = None if tested is None else tuple(sorted(set(tested)))
    least = 3 if given is None else 2
    if len(known) < least:
        raise ConfigError(
            f"{len(known)} labelled videos are too few: one each is needed to learn from, to stop "
            "by and to test on; label more videos"
        )
    for name, share in (("validation", validation), ("held_out", held_out)):
        if not isinstance(share, (int, float)) or not 0 < share < 1:
            raise ValueError(f"{name} must be a share above 0 and below 1, got {share!r}")
    order = [known[i] for i in np.random.default_rng(seed).permutation(len(known))]
    if given is None:
        count = min(len(known) - 2, max(1, round(len(known) * held_out)))
        given, order = tuple(sorted(order[:count])), order[count:]
    count = min(len(order) - 1, max(1, round(len(known) * validation)))
    return Split(tuple(sorted(order[count:])), tuple(sorted(order[:count])), given)
