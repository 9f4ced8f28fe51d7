"""Fixed windows: scenes of one length, cut without looking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import ShotSampling
from egorag.segment.tiling import Tiling, bounds
from egorag.spans import Span


@dataclass(frozen=True)
class Fixed:
    """Windows of ``seconds``; where the last would be under half that, the last two are evened.

    Raises:
        ConfigError: ``seconds`` is not a positive number.
    """

    seconds: float = 10.0

    def __post_init__(self) -> None:
        self._bounds()

    def _bounds(self) -> tuple[int, int | None]:
        _, window = bounds(0, self.seconds)
        assert window is not None
        return window // 2, window

    @property
    def sampling(self) -> ShotSampling | None:
        return None

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def start(self) -> FixedStream:
        return FixedStream(Tiling(*self._bounds()))


class FixedStream:
    """One video being cut into windows."""

    def __init__(self, tiling: Tiling) -> None:
        self.problems: list[str] = []
        self._tiling = tiling

    def push(self, time: int, image: npt.NDArray[np.uint8] | None) -> list[Span]:
        return self._tiling.advance(time)

    def finish(self, end: int) -> list[Span]:
        return self._tiling.finish(end)
