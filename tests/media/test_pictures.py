"""Pictures: PySceneDetect's very pixels where exact, near enough where fast, upright, opaque."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from egorag.media.orientation import Orientation
from egorag.media.pictures import SampledPictures, shot_pictures
from egorag.media.probe import probe
from egorag.media.reader import Pass, frames
from egorag.media.sampling import Frame, FrameSampling, ShotSampling

Write = Callable[..., Path]


def decoded(path: Path, count: int = 10**9) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        found = []
        for frame in container.decode(video=0):
            found.append(frame)
            if len(found) == count:
                break
        return found


def corners(index: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Four colours that tell every turn and mirror apart."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    h, w = size[1] // 2, size[0] // 2
    image[:h, :w], image[:h, w:] = (220, 30, 30), (30, 220, 30)
    image[h:, :w], image[h:, w:] = (30, 30, 220), (220, 220, 220)
    return image


def as_scenedetect_sees(path: Path, count: int) -> list[np.ndarray]:
    """What its own loop hands a detector."""
    from scenedetect import SceneManager, VideoStreamAv
    from scenedetect.detector import SceneDetector

    class Spy(SceneDetector):
        def __init__(self) -> None:
            self.images: list[np.ndarray] = []

        def process_frame(self, timecode: Any, frame_img: np.ndarray) -> list[Any]:
            self.images.append(frame_img.copy())
            return []

    spy, manager = Spy(), SceneManager()
    manager.add_detector(spy)
    manager.detect_scenes(VideoStreamAv(str(path), suppress_output=True), duration=count)
    return spy.images


@pytest.mark.parametrize("name", ["bikes.mp4", "scenedetect/testvideo.mp4"])
def test_exact_shot_pictures_are_pyscenedetects_own(shared_data: Path, name: str) -> None:
    path = shared_data / "media" / name
    theirs = as_scenedetect_sees(path, 20)
    assert len(theirs) >= 20
    picture = shot_pictures(ShotSampling(exact=True))
    for image, frame in zip(theirs, decoded(path, len(theirs)), strict=True):
        np.testing.assert_array_equal(picture(frame), image)


def test_exact_shot_pictures_of_a_small_video_keep_its_size(write: Write, tmp_path: Path) -> None:
    path = write(tmp_path / "small.mp4", [0, 0.1, 0.2], paint=corners)
    picture = shot_pictures(ShotSampling(exact=True))
    for frame, theirs in zip(decoded(path), as_scenedetect_sees(path, 3), strict=True):
        np.testing.assert_array_equal(picture(frame), theirs)


@pytest.mark.parametrize("name", ["bikes.mp4", "big_buck_bunny_0_30.webm"])
def test_fast_shot_pictures_are_every_nth_pixel(shared_data: Path, name: str) -> None:
    picture = shot_pictures(ShotSampling())
    for frame in decoded(shared_data / "media" / name, 100)[::10]:
        small = picture(frame)
        assert 96 <= max(small.shape[:2]) <= 192
        step = round(max(frame.width, frame.height) / 128)
        whole = frame.to_ndarray(format="bgr24")[::step, ::step][: small.shape[0], : small.shape[1]]
        assert np.abs(small.astype(int) - whole).mean() < 6  # another matrix, other chroma siting


@pytest.mark.parametrize(
    ("pix_fmt", "codec"),
    [
        ("yuv420p", "libx264"),
        ("yuvj420p", "mjpeg"),
        ("yuv422p", "libx264"),
        ("yuv444p", "libx264"),
        ("yuv420p10le", "libx264"),
        ("gray", "ffv1"),
        ("bgr0", "ffv1"),
    ],
)
@pytest.mark.parametrize("size", [(640, 360), (66, 34), (322, 242)])
def test_pictures_of_any_pixel_format(
    write: Write, tmp_path: Path, pix_fmt: str, codec: str, size: tuple[int, int]
) -> None:
    def paint(index: int) -> np.ndarray:
        return corners(index, size)

    path = write(
        tmp_path / "x.mkv", [0, 0.04], size=size, pix_fmt=pix_fmt, codec=codec, paint=paint
    )
    samplings = [ShotSampling(), ShotSampling(exact=True), FrameSampling(None)]
    with Pass(path, samplings) as run:
        got: dict[int, list[Frame]] = {0: [], 1: [], 2: []}
        for reader, frame in run:
            assert isinstance(frame, Frame)
            got[reader].append(frame)
    truth = corners(0, size)
    if pix_fmt == "gray":
        truth = np.repeat(cv2.cvtColor(truth, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    for reader, order in ((0, -1), (1, -1), (2, 1)):
        assert len(got[reader]) == 2
        image = got[reader][0].image
        h, w = image.shape[:2]
        for y, x in ((h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, w // 4)):
            expected = truth[y * size[1] // h, x * size[0] // w][::order].astype(int)
            assert np.abs(image[y, x] - expected).max() < 40, (reader, y, x)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (161, 121)])
def test_odd_sizes(write: Write, tmp_path: Path, size: tuple[int, int]) -> None:
    path = write(tmp_path / "odd.mkv", [0, 1], size=size, codec="ffv1", pix_fmt="yuv444p")
    with Pass(path, [ShotSampling(), ShotSampling(exact=True), FrameSampling(1.0)]) as run:
        shapes = [f.image.shape for _, f in run if isinstance(f, Frame)]
    assert len(shapes) == 6
    assert all(min(shape) > 0 for shape in shapes)


def test_white_is_white_and_black_is_black(write: Write, tmp_path: Path) -> None:
    def paint(index: int) -> np.ndarray:
        return np.full((48, 64, 3), 255 * index, np.uint8)

    for pix_fmt, codec in (("yuv420p", "libx264"), ("yuvj420p", "mjpeg")):
        path = write(tmp_path / f"{codec}.mkv", [0, 1], paint=paint, pix_fmt=pix_fmt, codec=codec)
        for colour in ("rgb", "gray"):
            dark, bright = frames(path, FrameSampling(None, colour=colour))  # type: ignore[arg-type]
            assert dark.image.max() <= 3
            assert bright.image.min() >= 252


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_sampled_frames_are_upright(write: Write, tmp_path: Path, turn: int, hflip: bool) -> None:
    path = write(tmp_path / "r.mp4", [0, 1], paint=corners, rotation=turn, hflip=hflip)
    stored = decoded(path, 1)[0]
    image = next(frames(path, FrameSampling(1.0, longest=40))).image
    if hflip:  # libavutil has no function for it; the test of every matrix below is the oracle
        upright = Orientation.of(stored).upright(corners(0))
    else:  # libavutil's own reading of the matrix: degrees counter-clockwise
        upright = np.rot90(corners(0), stored.rotation // 90)
    facts = probe(path).video
    assert facts is not None
    assert (facts.height, facts.width) == upright.shape[:2]
    assert facts.mirrored == hflip
    assert max(image.shape) == 40
    h, w = image.shape[:2]
    for y in (0.25, 0.75):
        for x in (0.25, 0.75):
            got = image[int(y * h), int(x * w)].astype(int)
            want = upright[int(y * upright.shape[0]), int(x * upright.shape[1])]
            assert np.abs(got - want).max() < 40


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), [[0, 1, 2], [3, 4, 5]]),
        ((-1, 0, 0, 1), [[2, 1, 0], [5, 4, 3]]),
        ((1, 0, 0, -1), [[3, 4, 5], [0, 1, 2]]),
        ((-1, 0, 0, -1), [[5, 4, 3], [2, 1, 0]]),
        ((0, 1, -1, 0), [[3, 0], [4, 1], [5, 2]]),
        ((0, -1, 1, 0), [[2, 5], [1, 4], [0, 3]]),
        ((0, 1, 1, 0), [[0, 3], [1, 4], [2, 5]]),
        ((0, -1, -1, 0), [[5, 2], [4, 1], [3, 0]]),
    ],
)
def test_every_matrix_puts_every_pixel_in_its_place(
    matrix: tuple[int, int, int, int], expected: list[list[int]]
) -> None:
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    upright = Orientation.from_matrix(*(65_536 * m for m in matrix)).upright(stored)
    np.testing.assert_array_equal(upright, expected)
    a, b, c, d = matrix  # and by the definition: (x, y) goes to (a x + c y, b x + d y) + a shift
    placed = {(a * x + c * y, b * x + d * y): stored[y, x] for y in range(2) for x in range(3)}
    left, top = min(x for x, _ in placed), min(y for _, y in placed)
    for (x, y), value in placed.items():
        assert upright[y - top, x - left] == value


def test_real_rotated_and_mirrored_file(shared_data: Path) -> None:
    video = probe(shared_data / "odd" / "sample_rotate_and_reflect.mp4").video
    assert video is not None
    assert (video.width, video.height, video.mirrored) == (720, 1080, True)


def test_sizes_asked_for(write: Write, tmp_path: Path) -> None:
    path = write(tmp_path / "s.mp4", [0, 1], size=(320, 180))

    def shape(sampling: FrameSampling) -> tuple[int, ...]:
        return next(frames(path, sampling)).image.shape

    assert shape(FrameSampling()) == (180, 320, 3)
    assert shape(FrameSampling(longest=160)) == (90, 160, 3)
    assert shape(FrameSampling(longest=1000)) == (180, 320, 3), "never scaled up"
    assert shape(FrameSampling(size=(50, 70))) == (70, 50, 3)
    assert shape(FrameSampling(longest=32, colour="gray")) == (18, 32)


def test_pixels_that_are_not_square_are_made_so(shared_data: Path) -> None:
    path = shared_data / "odd" / "bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4"
    video = probe(path).video
    assert video is not None
    assert (video.width, video.height) == (1137, 640), "pixels are 1137/800 wide"
    assert next(frames(path, FrameSampling(longest=320))).image.shape == (180, 320, 3)


def test_a_change_of_size_within_the_stream_keeps_the_pictures_alike() -> None:
    def flat(width: int, height: int) -> av.VideoFrame:
        image = np.full((height, width, 3), 90, np.uint8)
        return av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")

    for picture in (
        shot_pictures(ShotSampling()),
        shot_pictures(ShotSampling(exact=True)),
        SampledPictures(FrameSampling(longest=100), None),
    ):
        shapes = {picture(flat(*size)).shape for size in ((640, 360), (320, 180), (480, 480))}
        assert len(shapes) == 1


def test_receivers_own_their_pictures(write: Write, tmp_path: Path) -> None:
    path = write(tmp_path / "hold.mp4", [0, 1.0])
    held = list(frames(path, FrameSampling(rate=10.0)))
    assert held[0].index == held[1].index == 0
    before = held[1].image.copy()
    held[0].image[:] = 0
    np.testing.assert_array_equal(held[1].image, before)
    assert all(frame.image.flags.writeable and frame.image.flags.c_contiguous for frame in held)
