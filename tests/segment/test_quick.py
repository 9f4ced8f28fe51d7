"""The quick content score is PySceneDetect's own, to the last bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scenedetect import ContentDetector, FrameTimecode

from egorag.segment.quick import quicken

Components = ContentDetector.Components


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"luma_only": True},
        {"weights": Components(0.3, 0.5, 1.7, 0.0)},
        {"weights": Components(1.0, -0.5, 1.0, 0.0)},
        {"weights": Components(1.0, 1.0, 1.0, 0.7)},
    ],
    ids=["default", "luma", "weights", "negative", "edges"],
)
def test_equal_to_the_last_bit(settings: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    theirs, ours = ContentDetector(**settings), quicken(ContentDetector(**settings))
    for number in range(60):
        image = rng.integers(0, rng.integers(2, 257), (101, 183, 3)).astype(np.uint8)
        position = FrameTimecode(number, fps=Fraction(30))
        assert theirs.process_frame(position, image) == ours.process_frame(position, image)
        assert theirs._frame_score == ours._frame_score
