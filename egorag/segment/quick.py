"""PySceneDetect's content score at about half its price.

Its ``ContentDetector`` (0.7) widens six planes to 32 bits to take absolute differences; OpenCV's L1
norm sums the same integers in one step. Scores, and so cuts, are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def quicken(detector: Any) -> Any:
    """Give a ``ContentDetector`` (or a subclass) the faster score; returns it.

    One whose weights ask for edges keeps its own.
    """
    import cv2

    weights = detector._weights
    if weights.delta_edges > 0:
        return detector
    total = sum(abs(weight) for weight in weights)
    before: Sequence[Any] | None = None

    def score(timecode: Any, image: npt.NDArray[np.uint8]) -> float:
        nonlocal before
        planes = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
        last, before = before, planes
        if last is None:
            return 0.0
        pixels = float(planes[0].size)
        # hue, saturation, value; a plane without weight need not be compared
        weighted = sum(
            weight * (cv2.norm(plane, old, cv2.NORM_L1) / pixels)
            for plane, old, weight in zip(planes, last, weights[:3], strict=True)
            if weight
        )
        return float(weighted / total)

    detector._calculate_frame_score = score
    return detector
