"""A stretch of a file against the whole file read from its start."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from egorag.errors import MediaError
from egorag.media import stretch as module
from egorag.media.reader import frames
from egorag.media.sampling import Frame, FrameSampling
from egorag.media.stretch import stretch
from egorag.spans import Span, to_us

SAMPLING = FrameSampling(4.0, shortest=24)
SOUGHT = ("white.mp4", "chaplin.mp4", "big_buck_bunny_0_30.webm")


def noisy(index: int) -> np.ndarray:
    """Every frame another picture."""
    return np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)


def same(got: list[Frame], expected: list[Frame]) -> bool:
    return len(got) == len(expected) and all(
        (a.time, a.shown_at) == (b.time, b.shown_at) and np.array_equal(a.image, b.image)
        for a, b in zip(got, expected, strict=True)
    )


def check(path: Path, seed: int = 0, tries: int = 6) -> None:
    every = list(frames(path, SAMPLING))
    dice = random.Random(seed)
    for _ in range(tries):
        start = dice.randrange(0, every[-1].time + 500_000)
        span = Span(start, start + dice.randrange(0, 3_000_000))
        expected = [frame for frame in every if frame.time in span]
        assert same(list(stretch(path, span, SAMPLING)), expected), span


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
@pytest.mark.parametrize("first", [0.0, 7.0])
def test_any_stretch_is_as_if_read_from_the_start(
    write: Callable[..., Path], tmp_path: Path, suffix: str, first: float
) -> None:
    """B-frames, few key frames, a first stamp that is not 0, frames of uneven length."""
    times = [first + k / 25 + (0.013 if k % 3 else 0) for k in range(300)]
    options = {"bf": "3", "g": "40"}
    check(write(tmp_path / f"a{suffix}", times, paint=noisy, options=options))


@pytest.mark.parametrize("name", SOUGHT)
def test_real_files(shared_data: Path, name: str) -> None:
    for folder in ("odd", "media"):
        path = shared_data / folder / name
        if path.exists():
            return check(path)
    pytest.skip(f"{name} is not there")


def test_a_late_stretch_is_not_read_from_the_start(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mp4", [k / 10 for k in range(600)], options={"g": "20"})
    pictures = module._pictures
    decoded: list[float] = []

    def counted(*given):  # type: ignore[no-untyped-def]
        for picture in pictures(*given):
            decoded.append(picture.time)
            yield picture

    monkeypatch.setattr(module, "_pictures", counted)
    found = list(stretch(path, Span.seconds(50, 51), SAMPLING))
    assert [frame.time for frame in found] == [to_us(50 + k / 4) for k in range(4)]
    assert decoded[0] >= 45
    assert decoded[-1] <= 51.1


def test_a_reading_that_breaks_off_goes_on_from_the_start(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mp4", [k / 10 for k in range(300)], paint=noisy)
    span = Span.seconds(10, 20)
    expected = list(stretch(path, span, SAMPLING))
    pictures = module._pictures

    def broken(*given):  # type: ignore[no-untyped-def]
        for picture in pictures(*given):
            if picture.time > 15:
                raise av.InvalidDataError(1, "made up")
            yield picture

    monkeypatch.setattr(module, "_pictures", broken)
    assert same(list(stretch(path, span, SAMPLING)), expected)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for start in (0, 5_000_000):
        with pytest.raises(MediaError, match="no such file"):
            list(stretch(tmp_path / "none.mp4", Span(start, start + 1), SAMPLING))
