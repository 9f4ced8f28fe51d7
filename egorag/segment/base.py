"""What a segmenter is: it cuts a video into level-0 scenes while the file is being decoded.

One that cuts by a tree over the whole video (``by_tree.py``) waits for an encoder's moments; what
its ``start`` gives is for videos that have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from egorag.media.sampling import ShotSampling
from egorag.segment.by_tree import Break, Cut, SceneTree
from egorag.spans import Span


class SceneStream(Protocol):
    """One video being cut. Scenes come out closed, in order, and tile ``[0, end)`` exactly.

    A scene is emitted as soon as no later frame can change it, so that whoever holds its frames
    can let go: the lag is bounded by the longest scene allowed, never by the video's length.

    Attributes:
        problems: what went wrong without ending the video.
    """

    problems: list[str]

    def push(self, time: int, image: npt.NDArray[np.uint8] | None) -> list[Span]:
        """Tell of the frame shown at ``time`` (us); ``image`` is a small BGR picture (uint8
        [H, W, 3]), or None when the segmenter wants no pictures. Returns scenes now closed."""

    def finish(self, end: int) -> list[Span]:
        """The video ends at ``end`` (us); returns the remaining scenes."""


class Segmenter(Protocol):
    """Settings of a way to cut; a frozen dataclass."""

    @property
    def sampling(self) -> ShotSampling | None:
        """The pictures it needs; None if it cuts without looking."""

    def fingerprint(self) -> str:
        """Hash of everything that changes the scenes."""

    def start(self) -> SceneStream:
        """Begin a new video."""


@runtime_checkable
class TreeSegmenter(Segmenter, Protocol):
    """A segmenter that cuts by a tree over all moments of one encoder; see ``by_tree.Ward``."""

    encoder: str

    def threshold_for(self, encoder: object) -> float:
        """Its threshold for moments of this encoder."""

    def cut(self, found: SceneTree, end: int, threshold: float) -> Cut:
        """The scenes of a video that ends at ``end`` (us)."""

    def events(self, breaks: Sequence[Break], duration: int, seconds: float) -> list[range]:
        """Ranges of scenes, one an event, in a video of ``duration`` us."""
