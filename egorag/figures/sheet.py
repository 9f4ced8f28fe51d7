"""What every figure shares: a sheet over a video's time, its axis, its filmstrip, its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, MissingPackageError, StoreError
from egorag.media.sampling import FrameSampling
from egorag.media.stretch import stretch
from egorag.spans import MICROSECONDS, Span, clock
from egorag.terminal import printable

Picture = npt.NDArray[np.uint8]

INK, SOFT, FAINT, PAPER = "#22262b", "#6b7178", "#d9dce1", "#ffffff"
BLUE, MARK = "#3b6fb6", "#c0392b"
WIDTH = 12.0
"""Inches of every sheet."""

_LEFT, _RIGHT = 0.055, 0.985  # of the width
_ACROSS = WIDTH * (_RIGHT - _LEFT)  # inches
_HEAD, _GAP, _FOOT, _STRIP = 0.76, 0.1, 0.34, 0.92  # inches; the last is the filmstrip's height
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600)  # seconds
_SUFFIXES = (".png", ".svg")
_LONGEST = 90  # letters of a title
_NOTEBOOK_DPI = 80


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture of a filmstrip, the time it stands for, and whether a scene opens with it."""

    span: Span
    picture: Picture
    opens: bool


def check_target(to: Path) -> None:
    """Before anything is computed.

    Raises:
        ConfigError: the suffix is of no format there is, or the folder does not exist.
        MissingPackageError: matplotlib is not installed.
    """
    import importlib.util
    import sys

    if to.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"to={to}: a figure is written as {' or '.join(_SUFFIXES)}")
    if not to.parent.is_dir():
        raise ConfigError(f"to={to}: there is no folder {str(to.parent)!r}")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingPackageError(
            f"figures need matplotlib: {sys.executable} -m pip install 'egorag[plot]'"
        )


class Sheet:
    """A figure under way: panels and a filmstrip, one below the other, over one video's time.

    Args:
        title: bold, above all.
        told: one line below it.
        span: the time shown.
        film: pictures with the time each stands for; none leaves the strip out.
        heights: inches of each panel, from the top.

    Attributes:
        panels: matplotlib axes, x in microseconds.
    """

    def __init__(
        self, title: str, told: str, span: Span, film: Sequence[Shot], heights: Sequence[float]
    ) -> None:
        from matplotlib.figure import Figure

        self.title = title if len(title) <= _LONGEST else f"{title[: _LONGEST - 3]}..."
        self.span = span
        rows = [*heights, *([_STRIP] if film else [])]
        total = _HEAD + sum(rows) + _GAP * (len(rows) - 1) + _FOOT
        self.figure: Any = Figure(figsize=(WIDTH, total), dpi=150, facecolor=PAPER)
        self._write(_LEFT, 1 - 0.30 / total, self.title, size=13, weight="bold", color=INK)
        self._write(_LEFT, 1 - 0.55 / total, told, size=9, color=SOFT)
        top = total - _HEAD
        axes: list[Any] = []
        for row in rows:
            box = (_LEFT, (top - row) / total, _RIGHT - _LEFT, row / total)
            axes.append(self.figure.add_axes(box))
            top -= row + _GAP
        self.panels = axes[: len(heights)]
        for panel in axes:
            panel.set_xlim(span.start, span.end)
            panel.tick_params(length=0, labelsize=9, labelcolor=SOFT)
            panel.spines[:].set_visible(False)
            panel.set_xticks([])
        if film:
            self._show(axes[-1], film)
        ticks = ticks_over(span)
        axes[-1].set_xticks(ticks, [clock(t).rpartition(".")[0] for t in ticks])
        for time, label in zip(ticks, axes[-1].get_xticklabels(), strict=True):
            if time > span.end - 0.03 * span.duration:
                label.set_horizontalalignment("right")  # else it runs over the edge

    @property
    def inch(self) -> float:
        """Microseconds in an inch of the panels."""
        return self.span.duration / _ACROSS

    def save(self, to: Path) -> None:
        """Write a PNG or SVG, equal for an equal figure.

        Raises:
            StoreError: the file cannot be written.
        """
        from matplotlib import rc_context

        kind = to.suffix.lower()[1:]
        unsaid = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
        try:
            with rc_context({"svg.hashsalt": "egorag", "image.composite_image": False}):
                self.figure.savefig(to, format=kind, metadata=unsaid[kind])
        except OSError as error:
            raise StoreError(f"cannot write {str(to)!r}: {error.strerror or error}") from error

    def _repr_png_(self) -> bytes:
        """How a notebook shows it: small enough to be kept in one."""
        import io

        from matplotlib import rc_context

        kept = io.BytesIO()
        with rc_context({"image.composite_image": False}):
            self.figure.savefig(kept, format="png", dpi=_NOTEBOOK_DPI, metadata={"Software": None})
        return kept.getvalue()

    def _write(self, x: float, y: float, words: str, **style: Any) -> None:
        # A file may be called $x$: names are no formulas.
        told = printable(words).encode("utf-8", "replace").decode()
        self.figure.text(x, y, told, va="center", parse_math=False, **style)

    def _show(self, panel: Any, film: Sequence[Shot]) -> None:
        for shot in film:
            left = shot.span.start + self.inch * (0.018 if shot.opens else 0.0)
            place = (left, shot.span.end, 0, 1)
            picture = _crop(shot.picture, shot.span.duration / self.inch / _STRIP)
            panel.imshow(picture, extent=place, aspect="auto", interpolation="antialiased")
        panel.set_xlim(self.span.start, self.span.end)
        panel.set_ylim(0, 1)
        panel.set_yticks([])


def filmstrip(path: Path, whole: Span, scenes: Sequence[Span]) -> list[Shot]:
    """The pictures of scenes side by side: a long one shows several of its moments, very short
    neighbours share one.

    Args:
        scenes: level-0 scenes that tile ``whole``.

    Raises:
        MediaError: the file cannot be read.
    """
    first = picture_at(path, whole.middle)
    if first is None:
        return []
    inch = whole.duration / _ACROSS
    wide = _STRIP * first.shape[1] / first.shape[0] * inch
    found = []
    for group in _wide_enough(scenes, 0.3 * inch):
        count = max(1, round(group.duration / wide))
        edges = [group.start + group.duration * k // count for k in range(count + 1)]
        for start, end in pairwise(edges):
            part = Span(start, end)
            picture = picture_at(path, part.middle)
            found.append(Shot(part, first if picture is None else picture, start == group.start))
    return found


def _wide_enough(scenes: Sequence[Span], least: float) -> list[Span]:
    """Neighbours joined until each is at least that long."""
    joined: list[Span] = []
    for scene in scenes:
        if joined and joined[-1].duration < least:
            joined[-1] = joined[-1].union(scene)
        else:
            joined.append(scene)
    if len(joined) > 1 and joined[-1].duration < least:
        joined[-2:] = [joined[-2].union(joined[-1])]
    return joined


def _crop(picture: Picture, aspect: float) -> Picture:
    """The middle of a picture in another aspect ratio, width over height."""
    height, width = picture.shape[:2]
    keep = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
    left, top = (width - keep[0]) // 2, (height - keep[1]) // 2
    return picture[top : top + keep[1], left : left + keep[0]]


def picture_at(path: Path, time: int) -> Picture | None:
    """The picture on show at the first 1/25 s from ``time`` (microseconds): RGB uint8 [H, W, 3] of
    at most 320 pixels a side; None where the video is over.

    Raises:
        MediaError: the file cannot be read.
    """
    sampling = FrameSampling(25.0, longest=320)
    taken = stretch(path, Span(time, time + MICROSECONDS // 25), sampling)
    return next((frame.image for frame in taken), None)


def ticks_over(span: Span, most: int = 12) -> list[int]:
    """Round times within ``span``, in microseconds.

    >>> ticks_over(Span.seconds(0, 40))
    [0, 5000000, 10000000, 15000000, 20000000, 25000000, 30000000, 35000000, 40000000]
    """
    steps = (s * MICROSECONDS for s in _TICKS)
    step = next((s for s in steps if span.duration / s <= most), span.duration // most)
    return list(range(-(-span.start // step) * step, span.end + 1, step))
