"""Still pictures from files: what a query by picture is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from egorag.errors import MediaError

Image = npt.NDArray[np.uint8]


def read_picture(path: Path) -> Image:
    """A picture file as RGB uint8 [H, W, 3], turned as its EXIF orientation says.

    Raises:
        MediaError: no such file, or not a picture that OpenCV reads.
    """
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        raise MediaError(f"cannot read the picture {path}: {error}") from error
    if picture is None:
        raise MediaError(f"{path} is not a picture that can be read; give a JPEG, PNG or WebP file")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
