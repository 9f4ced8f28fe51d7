"""How a stored picture is turned and mirrored to be shown upright."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Orientation:
    """First transpose, then flip. Made from a display matrix (ISO/IEC 14496-12, 8.3.2), of which
    only the quarter turns and mirrors are kept; other angles do not occur outside of demos."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """As the frame's display matrix says; upright if it has none."""
        for data in cast(Iterable[SideData], frame.side_data):
            if data.type is Type.DISPLAYMATRIX:
                a, b, _, c, d = np.frombuffer(memoryview(data), np.int32)[:5].tolist()
                return cls.from_matrix(a, b, c, d)
        return cls()

    @classmethod
    def from_matrix(cls, a: int, b: int, c: int, d: int) -> Orientation:
        """A stored point (x, y) is shown at (a x + c y, b x + d y), but for a shift."""
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transposed=True, flip_x=c < 0, flip_y=b < 0)
        return cls(flip_x=a < 0, flip_y=d < 0)

    @property
    def degrees(self) -> int:
        """Clockwise turn that makes the picture upright, mirroring aside: 0, 90, 180 or 270."""
        if self.transposed:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether left and right change places beyond what the turn does."""
        return self.transposed ^ self.flip_x ^ self.flip_y

    def upright(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """``image`` ([H, W] or [H, W, 3]) as it is meant to be seen; contiguous."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)
