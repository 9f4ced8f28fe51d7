"""The scenes of a video as a tree over time: the video, its events, their scenes; and, where its
scenes were cut from one, the tree of all its moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from egorag.figures.sheet import INK, PAPER, SOFT, Sheet, Shot
from egorag.segment.by_tree import SceneTree
from egorag.spans import Span, clock
from egorag.types import LEVELS, Scene

HUES = ("#3b6fb6", "#c9782b", "#4c9a6a", "#8e5ea2", "#b5495b", "#4f8c9d", "#a08a3a")
"""Of events, in turn."""

_BAR = 0.46  # of a row: the bars; the rest is for the branches
_LETTER = 0.074  # inches: about what a letter of a label takes
_FINEST = 0.01  # inches: merges over less are not drawn


def tree_sheet(
    name: str,
    span: Span,
    scenes: Sequence[Scene],
    film: Sequence[Shot],
    moments: SceneTree | None = None,
) -> Sheet:
    """A bar for every scene of every level, with branches from parent to child; or, with the tree
    of moments, that tree above the bars of events and scenes.

    Args:
        name: of the video.
        span: all of it.
        scenes: of all levels; level 0 tiles the video.
        film: see ``Sheet``.
    """
    levels = sorted({scene.level for scene in scenes}, reverse=True)
    counts = {level: sum(scene.level == level for scene in scenes) for level in levels}
    told = ", ".join(f"{n} {LEVELS[level]}{'s' * (n > 1)}" for level, n in counts.items())
    hues = _hues(scenes)
    if moments is None:
        sheet = Sheet(f"Scenes of {name}", told, span, film, heights=[0.74 * len(levels)])
        _levels(sheet, sheet.panels[0], scenes, levels, hues, branches=True)
        return sheet
    told += f"; above, the Ward tree over {len(moments.spans)} moments of {moments.encoder}"
    lower = [level for level in levels if level < 2] or levels
    sheet = Sheet(f"Scenes of {name}", told, span, film, heights=[2.3, 0.36 * len(lower)])
    above, bars = sheet.panels
    kept = [scene for scene in scenes if scene.level in lower]
    _dendrogram(above, sheet.inch, moments, [scene for scene in scenes if scene.level == 0], hues)
    _levels(sheet, bars, kept, lower, hues, branches=False)
    return sheet


def _levels(
    sheet: Sheet,
    panel: Any,
    scenes: Sequence[Scene],
    levels: Sequence[int],
    hues: Mapping[int, str],
    branches: bool,
) -> None:
    """Rows of bars; without branches they touch."""
    inch = sheet.inch
    row = 1.0 if branches else _BAR * 1.12
    parents = {scene.id: scene for scene in scenes}
    for scene in scenes:
        span, bottom = scene.span, scene.level * row
        gap = min(0.008 * inch, 0.1 * span.duration)  # none would be left of a short one
        panel.barh(
            bottom, span.duration - 2 * gap, _BAR, span.start + gap,
            align="edge", color=hues[scene.id], linewidth=0,
        )  # fmt: skip
        label = clock(span.duration if scene.level == 2 else span.start).rpartition(".")[0]
        if span.duration > inch * _LETTER * (len(label) + 2):
            panel.annotate(
                label, (span.start, bottom + _BAR / 2), (6, 0),
                textcoords="offset points", va="center_baseline", fontsize=8.5, color=PAPER,
            )  # fmt: skip
        parent = parents.get(scene.parent) if scene.parent is not None else None
        if branches and parent is not None:
            _branch(panel, parent, scene, hues, 1.3 if span.duration > 0.1 * inch else 0.5)
    panel.set_ylim(-0.03, levels[0] * row + _BAR + 0.03)
    panel.set_yticks([level * row + _BAR / 2 for level in levels], [LEVELS[n] for n in levels])


def _branch(panel: Any, parent: Scene, child: Scene, hues: Mapping[int, str], width: float) -> None:
    """From the middle of the parent's bar, across in its colour, down in the child's."""
    above, below = parent.level, child.level + _BAR
    half = (above + below) / 2
    over, under = parent.span.middle, child.span.middle
    style = {"linewidth": width, "zorder": 0, "solid_capstyle": "round"}
    shade = SOFT if parent.level == 2 else hues[parent.id]
    panel.plot([over, over, under], [above, half, half], color=shade, **style)
    panel.plot([under, under], [half, below], color=hues[child.id], **style)


def _dendrogram(
    panel: Any, inch: float, moments: SceneTree, scenes: Sequence[Scene], hues: Mapping[int, str]
) -> None:
    """Each merge as a bracket at its height; within an event in the event's colour."""
    from matplotlib.collections import LineCollection

    tree = moments.tree
    edges = np.array([*(s.start for s in moments.spans), moments.spans[-1].end], np.int64)
    starts, ends = edges[tree.extent[:, 0]], edges[tree.extent[:, 1]]
    heights = np.sqrt(tree.heights)  # the few highest would leave no room for the rest
    middles = (starts + ends) / 2
    opened = np.array([scene.span.start for scene in scenes])
    groups = np.array([scene.id if scene.parent is None else scene.parent for scene in scenes])
    scene_of = np.searchsorted(opened, edges[:-1], side="right") - 1
    brackets, shades = [], []
    for node, (a, b) in enumerate(tree.children.tolist(), tree.leaves):
        if ends[node] - starts[node] < inch * _FINEST:
            continue
        xs = middles[a], middles[a], middles[b], middles[b]
        ys = heights[a], heights[node], heights[node], heights[b]
        brackets.append(list(zip(xs, ys, strict=True)))
        first, last = scene_of[tree.extent[node] - [0, 1]]
        shades.append(hues[scenes[first].id] if groups[first] == groups[last] else INK)
    width = 1.1 if len(brackets) < 250 else 0.5
    panel.add_collection(LineCollection(brackets, colors=shades, linewidths=width))
    panel.set_ylim(0, float(heights[-1]) * 1.04 or 1.0)
    panel.set_yticks([])


def _hues(scenes: Sequence[Scene]) -> dict[int, str]:
    """The video in ink, each event in a colour of its own, scenes in their event's."""
    hues: dict[int, str] = {}
    for scene in sorted(scenes, key=lambda s: -s.level):
        if scene.level == 2:
            hues[scene.id] = INK
        elif scene.level == 1:
            hues[scene.id] = HUES[scene.index % len(HUES)]
        else:
            hues[scene.id] = SOFT if scene.parent is None else hues[scene.parent]
    return hues
