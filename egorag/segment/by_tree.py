"""Scenes from a Ward tree: the video is cut where moments on both sides are far apart on average.

The measure of a cut is the **gap**: the Euclidean distance between the means of the moments on its
two sides, as far as the two nodes reach that meet there. Unlike Ward's own distance, which grows
with the square root of the nodes' lengths, it does not depend on how long scenes are or how often
a video was looked at, so one threshold serves all. Between unit vectors it is at most 2; two still
scenes whose cosine is c are ``sqrt(2 - 2c)`` apart (0.45 at 0.9).

The rule:

1. A meeting of two nodes of which one is shorter than ``min_seconds`` is no cut: that stretch stays
   with the node it joined in the tree, on the side where they touch.
2. The *height* of any other meeting is the largest gap of such meetings in its subtree; it is a cut
   if that is above the threshold. Heights never fall from child to parent, so every scene is at
   least ``min_seconds`` long, and a larger threshold only takes cuts away.
3. A scene longer than ``max_seconds`` is cut where its highest meeting is, as a lower threshold
   would, and so on; one without a meeting left is split evenly.

Scenes tile the video. Whoever cuts by a tree has seen the whole video: where a scene ends depends
on what follows, so for boundaries that are causal too, cut by ``shots`` or ``fixed``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import ShotSampling
from egorag.segment.fixed import FixedStream
from egorag.segment.tiling import Tiling, bounds
from egorag.segment.ward import WardTree
from egorag.spans import Span, to_us

SHORT_CLIP, SHORT_THRESHOLD, LONG_CLIP, LONG_THRESHOLD = 16, 0.30, 64, 0.20
"""Moments that average more frames differ less: thresholds fall by 0.05 with each doubling."""


@dataclass(frozen=True, eq=False)
class SceneTree:
    """A video's moments and the tree over them.

    Attributes:
        encoder: whose moments.
        spans: one a leaf of ``tree``, in time order.
    """

    encoder: str
    spans: tuple[Span, ...]
    tree: WardTree

    def span(self, node: int) -> Span:
        """From the first moment of a node to the last."""
        first, end = self.tree.extent[node].tolist()
        return Span(self.spans[first].start, self.spans[end - 1].end)

    def __repr__(self) -> str:
        return f"SceneTree({self.encoder}, {len(self.spans)} moments)"


@dataclass(frozen=True, slots=True)
class Break:
    """What the tree says of the boundary between two scenes.

    Attributes:
        gap: the height of the meeting by gaps; 0 where a scene was split evenly.
        height: its height by Ward's distance; likewise.
        merge: which merge of the tree it is, the later the nearer to the root; -1 likewise.
    """

    gap: float
    height: float
    merge: int


_EVEN = Break(0.0, 0.0, -1)


@dataclass(frozen=True)
class Cut:
    """Scenes that tile the video, and the break between each and the next."""

    scenes: tuple[Span, ...]
    breaks: tuple[Break, ...]


@dataclass(frozen=True)
class Ward:
    """Scenes cut from the Ward tree of an encoder's moments; see the module for the rule.

    Attributes:
        encoder: an encoder of the recipe that yields moments.
        threshold: gap above which two stretches are two scenes. None: the encoder's own, or by the
            frames in its clips: 0.30 / 0.25 / 0.20 at 16 / 32 / 64.
        count: cut into about so many scenes instead: the highest meetings by Ward's distance, which
            weighs length. Fewer where ``min_seconds`` leaves no more; more where ``max_seconds``
            asks for it.
        event_threshold: gap between events; None takes the highest breaks by Ward's distance until
            events are ``events.seconds`` long on average.

    Raises:
        ConfigError: a value out of range, or both ``threshold`` and ``count``.
    """

    encoder: str = "picture_frames"
    threshold: float | None = None
    count: int | None = None
    min_seconds: float = 1.0
    max_seconds: float | None = 20.0
    event_threshold: float | None = field(default=None, metadata={"affects_output": False})

    def __post_init__(self) -> None:
        bounds(self.min_seconds, self.max_seconds)
        for name in ("threshold", "event_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigError(f"segmenter.{name} must be 0 or more, got {value}")
        if self.count is not None and self.count < 1:
            raise ConfigError(f"segmenter.count must be 1 or more, got {self.count}")
        if self.count is not None and self.threshold is not None:
            raise ConfigError(
                "the ward segmenter takes segmenter.threshold or segmenter.count, not both; got "
                f"threshold={self.threshold}, count={self.count}"
            )

    @property
    def sampling(self) -> ShotSampling | None:
        return None

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def start(self) -> FixedStream:
        """For a video without moments: windows of ``max_seconds``, or one scene."""
        stream = FixedStream(Tiling(*bounds(self.min_seconds, self.max_seconds)))
        length = "one scene" if self.max_seconds is None else f"windows of {self.max_seconds:g} s"
        stream.problems.append(f"no moments of {self.encoder} to cut it by: it became {length}")
        return stream

    def threshold_for(self, encoder: object) -> float:
        """The threshold for moments of this encoder: as set, or its default."""
        own = getattr(encoder, "scene_threshold", None)
        clip = getattr(encoder, "frames", SHORT_CLIP)
        return self.threshold if self.threshold is not None else float(own or by_clip(clip))

    def cut(self, found: SceneTree, end: int, threshold: float) -> Cut:
        """The scenes of a video that ends at ``end`` microseconds.

        Args:
            threshold: from ``threshold_for``; not looked at where ``count`` is set.
        """
        shortest, longest = bounds(self.min_seconds, self.max_seconds)
        meetings = Meetings.of(found, end, shortest)
        chosen = (
            meetings.highest(self.count - 1)
            if self.count is not None
            else np.flatnonzero(meetings.gaps > threshold)
        )
        starts = {meetings.time(i): i for i in chosen.tolist()}
        if longest is not None:
            for piece in _pieces(sorted(starts), end):
                starts.update(meetings.splits(piece, longest))
        edges = sorted(starts)
        parts = [(span, starts.get(span.end)) for span in _pieces(edges, end)]
        scenes: list[Span] = []
        breaks: list[Break] = []
        for span, place in parts:
            even = _evenly(span, longest)
            scenes += even
            breaks += [_EVEN] * (len(even) - 1)
            if place is not None:
                breaks.append(meetings.told(place))
        return Cut(tuple(scenes), tuple(breaks))

    def events(self, breaks: Sequence[Break], duration: int, seconds: float) -> list[range]:
        """Ranges of scenes, one an event: a coarser cut of the same tree at scenes' own breaks.

        Args:
            duration: of the video, in microseconds.
            seconds: how long events are on average, unless ``event_threshold`` is set.
        """
        if self.event_threshold is not None:
            kept = [i for i, each in enumerate(breaks) if each.gap > self.event_threshold]
        else:
            count = max(1, round(duration / to_us(seconds)))
            order = sorted(range(len(breaks)), key=lambda i: _rank(breaks[i]), reverse=True)
            kept = sorted(order[: count - 1])
        edges = [0, *(i + 1 for i in kept), len(breaks) + 1]
        return [range(a, b) for a, b in pairwise(edges)]


def _rank(each: Break) -> tuple[float, int]:
    return each.height, each.merge


def by_clip(frames: int) -> float:
    """The default threshold for moments of clips of this many frames.

    >>> [round(by_clip(frames), 2) for frames in (8, 16, 32, 64, 128)]
    [0.3, 0.3, 0.25, 0.2, 0.2]
    """
    place = math.log(frames / SHORT_CLIP) / math.log(LONG_CLIP / SHORT_CLIP)
    return SHORT_THRESHOLD + min(1.0, max(0.0, place)) * (LONG_THRESHOLD - SHORT_THRESHOLD)


@dataclass(frozen=True, eq=False)
class Meetings:
    """The merges of a tree in time order, as places where the video may be cut; ``[n - 1]`` each.

    Attributes:
        times: microseconds.
        gaps: heights by gaps; 0 where one side is too short for a cut.
        heights: by Ward's distance.
        merges: number of the merge; among equal heights the later is the higher.
    """

    times: npt.NDArray[np.int64]
    gaps: npt.NDArray[np.float64]
    heights: npt.NDArray[np.float64]
    merges: npt.NDArray[np.int64]
    allowed: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, found: SceneTree, end: int, shortest: int) -> Meetings:
        """Those of a video that ends at ``end``, where scenes last ``shortest`` (us) or more."""
        tree = found.tree
        edges = np.array([0, *(span.start for span in found.spans[1:]), end], np.int64)
        lengths = edges[tree.extent[:, 1]] - edges[tree.extent[:, 0]]
        allowed = lengths[tree.children].min(axis=1) >= shortest
        gaps = tree.rising(np.where(allowed, tree.gaps, 0.0))
        order = np.argsort(tree.meetings)
        return cls(
            edges[tree.meetings[order]],
            np.where(allowed, gaps, 0.0)[order],
            tree.heights[tree.leaves :][order],
            order,
            allowed[order],
        )

    def highest(self, count: int) -> npt.NDArray[np.int64]:
        """The ``count`` highest by Ward's distance of those that may be cuts."""
        order = np.lexsort((self.merges, self.heights))[::-1]
        return order[self.allowed[order]][:count]

    def splits(self, piece: Span, longest: int) -> dict[int, int]:
        """Where a scene is cut until no part is longer than ``longest``, as far as may be: the
        meetings by their time."""
        first, end = np.searchsorted(self.times, [piece.start + 1, piece.end]).tolist()
        inside = np.arange(first, end)[self.allowed[first:end]]
        if piece.duration <= longest or not len(inside):
            return {}
        place = int(inside[np.lexsort((self.merges[inside], self.gaps[inside]))[-1]])
        at = self.time(place)
        left = self.splits(Span(piece.start, at), longest)
        return {at: place, **left, **self.splits(Span(at, piece.end), longest)}

    def time(self, place: int) -> int:
        return int(self.times[place])

    def told(self, place: int) -> Break:
        return Break(float(self.gaps[place]), float(self.heights[place]), int(self.merges[place]))


def _pieces(edges: Sequence[int], end: int) -> list[Span]:
    return [Span(a, b) for a, b in pairwise([0, *edges, end])]


def _evenly(span: Span, longest: int | None) -> list[Span]:
    """Equal parts, none longer than ``longest``."""
    count = 1 if longest is None else -(-span.duration // longest)
    edges = [span.start + span.duration * i // count for i in range(count + 1)]
    return [Span(a, b) for a, b in pairwise(edges)]
