"""A few frames that stand for a scene: spread over its time, and different from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from egorag.media.sampling import Frame

SIDE = 16  # pixels: frames are compared as squares of this size
ALIKE = 6.0  # mean difference, of 255, below which two frames show the same


def keyframes(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most ``most`` of a scene's frames (at least one is given), in time order.

    The frames are parted into ``most`` equal stretches of time order. The first stretch gives its
    middle frame; each next gives the frame that is least like all taken so far (the earliest of
    equals), and none if even that one shows the same.
    """
    stretches = [s for s in np.array_split(np.arange(len(frames)), most) if len(s)]
    first = int(stretches[0][(len(stretches[0]) - 1) // 2])
    taken, seen = [first], [_thumbnail(frames[first])]
    for stretch in stretches[1:]:
        looks = [_thumbnail(frames[i]) for i in stretch]
        news = [min(float(np.abs(look - other).mean()) for other in seen) for look in looks]
        best = int(np.argmax(news))
        if news[best] >= ALIKE:
            taken.append(int(stretch[best]))
            seen.append(looks[best])
    return [frames[i] for i in taken]


def _thumbnail(frame: Frame) -> npt.NDArray[np.float32]:
    import cv2

    small = cv2.resize(frame.image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
