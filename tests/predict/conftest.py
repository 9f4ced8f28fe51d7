"""A tiny V-JEPA 2 with room for a future, and videos whose later part can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from egorag.encode.vjepa2 import VJEPA2
from egorag.predict import Predictor

RATE, POSITIONS, FRAMES = 4, 16, 8
"""Frames a second; steps the checkpoint has positions for; most frames of context."""

Pictures = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from checkpoints import vjepa2

    return vjepa2.write(tmp_path_factory.mktemp("vjepa2"), frames_per_clip=2 * POSITIONS)


@pytest.fixture(scope="session")
def predictor(folder: Path) -> Iterator[Predictor]:
    with Predictor(VJEPA2(checkpoint=str(folder), frames=FRAMES), device="cpu") as made:
        yield made


def blocks(count: int, seed: int = 0, size: tuple[int, int] = (36, 64)) -> Pictures:
    """uint8 [count, H, W, 3]: each frame of another pattern of blocks."""
    dice = np.random.default_rng(seed)
    small = dice.integers(0, 256, (count, 4, 4, 3), np.uint8)
    return small.repeat(size[0] // 4, 1).repeat(size[1] // 4, 2)


def write(path: Path, frames: Pictures, codec: str = "ffv1", **options: str) -> Path:
    """A video at ``RATE`` frames a second; without loss unless another codec is named."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, RATE)
        for k, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = k, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(params=["ffv1", "libx264"])
def twins(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], tuple[Path, Path]]:
    """Two files of 40 frames that are the same before frame ``cut``; from there on one of them is
    noise. H.264 without B-frames or look-ahead: what comes later cannot reach back in the file
    itself."""

    def make(cut: int) -> tuple[Path, Path]:
        real, other = blocks(40), blocks(40)
        other[cut:] = np.random.default_rng(7).integers(0, 256, other[cut:].shape, np.uint8)
        options = {"qp": "10", "bf": "0", "preset": "ultrafast", "tune": "zerolatency"}
        chosen = options if request.param == "libx264" else {}
        paths = (tmp_path / "real.mkv", tmp_path / "noise.mkv")
        for path, frames in zip(paths, (real, other), strict=True):
            write(path, frames, request.param, **chosen)
        return paths

    return make
