"""Messages as an OpenAI-compatible server takes them: pictures as JPEG in data addresses."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

QUALITY = 90
"""Of a JPEG, 0..100."""


def has_pictures(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a part of them is a picture."""
    contents = [message["content"] for message in messages]
    return any(part["type"] == "image" for c in contents if isinstance(c, list) for part in c)


def sent(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``messages`` with each ``image`` part as an ``image_url`` part."""
    return [
        {**message, "content": [_part(part) for part in message["content"]]}
        if isinstance(message["content"], list)
        else dict(message)
        for message in messages
    ]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] != "image":
        return dict(part)
    return {"type": "image_url", "image_url": {"url": data_url(part["image"])}}


def data_url(picture: npt.NDArray[np.uint8]) -> str:
    """RGB uint8 [H, W, 3] as the address of a JPEG that holds it."""
    import cv2

    bgr = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR)
    _, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(packed.tobytes()).decode()
