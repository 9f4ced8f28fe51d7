"""Scenes the user gives: their boundaries are kept exactly, gaps become scenes of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import ShotSampling
from egorag.segment.scenelist import read_scenes, to_spans
from egorag.segment.tiling import Tiling, bounds
from egorag.spans import Span


@dataclass(frozen=True)
class Given:
    """Scenes from a list or a file; see ``scenelist.py`` for the formats.

    Nothing is dropped: what lies before, between and after the given scenes becomes scenes too.
    A scene that runs past the end of the video is clipped there, one that lies wholly past it is
    left out; both are told in the stream's ``problems``.

    Attributes:
        scenes: [[start, end], ...] in seconds, in any order, without overlaps.
        path: a JSON or CSV file instead; its content, not its name, enters the fingerprint.
        min_seconds, max_seconds: merge and split as the other segmenters do; only when asked.

    Raises:
        ConfigError: neither or both sources, an unreadable file, a bad or overlapping scene.
    """

    scenes: Sequence[Sequence[float]] | None = None
    path: str | None = field(default=None, metadata={"affects_output": False})
    min_seconds: float = 0.0
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        bounds(self.min_seconds, self.max_seconds)
        if (self.scenes is None) == (self.path is None):
            raise ConfigError(
                "the given segmenter needs segmenter.scenes=[[start,end],...] in seconds or "
                f"segmenter.path=FILE.json|FILE.csv, and not both; got scenes={self.scenes!r}, "
                f"path={self.path!r}"
            )
        _ = self.spans  # a bad file must fail now, not at the first video

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """The given scenes in order, checked."""
        if self.path is not None:
            return read_scenes(Path(self.path))
        assert self.scenes is not None
        return to_spans(self.scenes, "segmenter.scenes")

    @property
    def sampling(self) -> ShotSampling | None:
        return None

    def fingerprint(self) -> str:
        times = repr([(span.start, span.end) for span in self.spans])
        return fingerprint_of(self, version=1, spans=hashlib.sha256(times.encode()).hexdigest())

    def start(self) -> GivenStream:
        return GivenStream(self.spans, Tiling(*bounds(self.min_seconds, self.max_seconds)))


class GivenStream:
    """One video being cut where the user says."""

    def __init__(self, spans: Sequence[Span], tiling: Tiling) -> None:
        self.problems: list[str] = []
        self._spans = spans
        self._tiling = tiling
        boundaries = {time for span in spans for time in (span.start, span.end)}
        self._tiling.advance(0, sorted(boundaries))

    def push(self, time: int, image: npt.NDArray[np.uint8] | None) -> list[Span]:
        return self._tiling.advance(time)

    def finish(self, end: int) -> list[Span]:
        for span in self._spans:
            if span.start >= end:
                self.problems.append(f"given scene {span} lies past the end of the video: left out")
            elif span.end > end:
                self.problems.append(f"given scene {span} runs past the end of the video: clipped")
        return self._tiling.finish(end)
