"""Small media files made on the spot, with content that tells which frame or sample is which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

TICK = Fraction(1, 90_000)


def level(index: int) -> int:
    """The luma of frame ``index``: far enough from its neighbours' to survive lossy coding."""
    return 30 + (index * 37) % 190


def write_media(
    path: Path,
    times: Sequence[float] = (),
    sound: Sequence[tuple[float, np.ndarray]] = (),
    *,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rate: int = 48_000,
    sound_codec: str = "pcm_s16le",
    rotation: float | None = None,
    hflip: bool = False,
    paint: Callable[[int], np.ndarray] | None = None,
    metadata: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write frames shown at ``times`` seconds and stretches of sound ([channels, n] in -1..1).

    A frame is evenly gray, of ``level(index)``, or what ``paint(index)`` gives (rgb24).
    """
    out = av.open(str(path), "w", options=container_options or {})
    out.metadata.update(metadata or {})
    video: Any = None
    if times:
        video = out.add_stream(codec, rate=30, options=options or {})
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.time_base = video.codec_context.time_base = TICK
        if rotation is not None:
            video.set_display_rotation(rotation, hflip=hflip)
    track: Any = None
    if sound:
        track = out.add_stream(sound_codec, rate=rate)
        track.layout = "stereo" if sound[0][1].shape[0] == 2 else "mono"
    for index, time in enumerate(times):
        if paint is None:
            image = np.full((size[1], size[0], 3), level(index), np.uint8)
        else:
            image = paint(index)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
        frame.pts, frame.time_base = round(Fraction(time) / TICK), TICK
        out.mux(video.encode(frame))
    if video is not None:
        out.mux(video.encode())
    for start, samples in sound:
        whole = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        for at in range(0, whole.shape[1], 1024):
            part = np.ascontiguousarray(whole[:, at : at + 1024].T.reshape(1, -1))
            layout = "stereo" if whole.shape[0] == 2 else "mono"
            chunk = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
            chunk.sample_rate, chunk.time_base = rate, Fraction(1, rate)
            chunk.pts = round(start * rate) + at
            for packet in track.encode(chunk):
                out.mux(packet)
    if track is not None:
        out.mux(track.encode())
    out.close()
    return path


@pytest.fixture
def write() -> Callable[..., Path]:
    return write_media


@pytest.fixture
def luma_of() -> Callable[[int], int]:
    return level
