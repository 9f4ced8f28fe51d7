"""Classical picture descriptor: the same shot is found again, in whatever form it comes back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.encode.base import Available, Encoder, FrameClip, QueryEncoder
from egorag.encode.picture import APPEARANCE_DIM, DIM, Picture, read_picture
from egorag.errors import MediaError, SpaceError
from egorag.media.sampling import Frame, FrameSampling
from egorag.spans import Span
from egorag.types import Query

Image = npt.NDArray[np.uint8]

EXIF_TURN_90 = bytes.fromhex(
    "ffe1002245786966000049492a0008000000010012010300010000000600000000000000"
)


def clip(*images: Image) -> FrameClip:
    frames = tuple(Frame(i * 10**6, i * 10**6, i, image) for i, image in enumerate(images))
    return FrameClip(Span(0, 10**6), frames)


def embed(*images: Image) -> npt.NDArray[np.float32]:
    """Each picture as a scene of one frame."""
    return Picture().encode([clip(image) for image in images])


def query(path: Path) -> npt.NDArray[np.float32]:
    return Picture().embed_query(Query(image=path), "image")


def painted(seed: int, height: int = 120, width: int = 160) -> Image:
    """Random blocks of colour, upright and not symmetric."""
    dice = np.random.default_rng(seed)
    image = np.full((height, width, 3), dice.integers(256, size=3), np.uint8)
    for _ in range(12):
        y, x = dice.integers(height), dice.integers(width)
        image[y : y + dice.integers(8, 60), x : x + dice.integers(8, 60)] = dice.integers(
            256, size=3
        )
    return image


def jpeg(image: Image, quality: int) -> bytes:
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return encoded.tobytes()


def reencoded(image: Image) -> Image:
    decoded = cv2.imdecode(np.frombuffer(jpeg(image, 30), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(decoded[..., ::-1], np.uint8)


def halved(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def brightened(image: Image) -> Image:
    return np.clip(image * 1.1, 0, 255).astype(np.uint8)


def cropped(image: Image) -> Image:
    height, width = image.shape[:2]
    return image[height // 20 : -height // 20, width // 20 : -width // 20]


@pytest.fixture(scope="module")
def real_frames(shared_data: Path) -> list[Image]:
    """One frame a second of four videos, without those nearly equal to an earlier one."""
    from egorag.media import frames

    kept: list[Image] = []
    names = (
        "big_buck_bunny_0_30.webm",
        "bikes.mp4",
        "nasa_13013.mp4",
        "scenedetect/testvideo.mp4",
    )
    thumbnails: list[npt.NDArray[np.float32]] = []
    for name in names:
        for frame in frames(shared_data / "media" / name, FrameSampling(1.0, longest=640)):
            thumbnail = cv2.resize(frame.image, (48, 48), interpolation=cv2.INTER_AREA) + 0.0
            if all(np.abs(thumbnail - other).mean() > 8 for other in thumbnails):
                kept.append(frame.image)
                thumbnails.append(thumbnail)
    assert len(kept) > 30
    return kept


@pytest.mark.parametrize(
    ("change", "missed"), [(reencoded, 0), (halved, 0), (brightened, 1), (cropped, 2)]
)
def test_a_changed_frame_finds_its_original_first(
    real_frames: list[Image], change: Callable[[Image], Image], missed: int
) -> None:
    """Where it does not, it finds the frame before or after."""
    originals = embed(*real_frames)
    changed = embed(*(change(image) for image in real_frames))
    off = np.abs((changed @ originals.T).argmax(axis=1) - np.arange(len(real_frames)))
    assert np.count_nonzero(off) <= missed
    assert off.max() <= 1


def test_a_frame_between_the_sampled_ones_finds_its_shot(shared_data: Path, tmp_path: Path) -> None:
    from egorag.media import frames

    path = shared_data / "media" / "bikes.mp4"
    cuts = [0.0, 1.2, 5.48, 7.48, 9.68, 99.0]  # from the data's own description
    sampled = list(frames(path, Picture().sampling))
    shots = [
        [f.image for f in sampled if start <= f.time / 1e6 < end - 0.1]
        for start, end in pairwise(cuts)
    ]
    scenes = Picture().encode([clip(*shot) for shot in shots if shot])
    full = [f for f in frames(path, FrameSampling(2.0)) if f.time % 10**6]
    right = 0
    for frame in full:
        (tmp_path / "still.jpg").write_bytes(jpeg(frame.image, 60))
        shot = sum(cut <= frame.time / 1e6 for cut in cuts) - 1
        right += int((scenes @ query(tmp_path / "still.jpg")).argmax()) == shot
    assert right >= len(full) - 1


def test_mirrored_is_another_picture() -> None:
    """As the module says: a limit worth noticing if it ever changes."""
    image = painted(1)
    same, mirrored = embed(image, image[:, ::-1])
    assert same @ mirrored < 0.95


def test_motion_never_changes_how_scenes_rank_for_a_picture(tmp_path: Path) -> None:
    image, other = painted(1), painted(2)
    (tmp_path / "p.png").write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    asked = query(tmp_path / "p.png")
    assert not asked[APPEARANCE_DIM:].any()
    one, still, moving = Picture().encode(
        [clip(image), clip(image, image, image), clip(image, other, image)]
    )
    np.testing.assert_allclose(one, still, atol=1e-6)
    assert asked @ one > asked @ moving
    for row in (one, still, moving):
        np.testing.assert_allclose(np.linalg.norm(row[APPEARANCE_DIM:]) ** 2, 0.1, atol=1e-6)


def test_motion_tells_scenes_of_equal_appearance_apart() -> None:
    left, right = painted(1), painted(2)
    slow = clip(left, left, left, right, right, right)
    fast = clip(left, right, left, right, left, right)
    slow_row, fast_row, again = Picture().encode([slow, fast, fast])
    np.testing.assert_allclose(slow_row[:APPEARANCE_DIM], fast_row[:APPEARANCE_DIM], atol=1e-6)
    assert fast_row @ slow_row < fast_row @ again


def test_a_phones_exif_orientation_is_respected(tmp_path: Path) -> None:
    upright = painted(3)
    stored = np.ascontiguousarray(np.rot90(upright))  # orientation 6: turn clockwise to see it
    data = jpeg(stored, 95)
    (tmp_path / "phone.jpg").write_bytes(data[:2] + EXIF_TURN_90 + data[2:])
    assert read_picture(tmp_path / "phone.jpg").shape == upright.shape
    seen, turned = embed(upright, stored)
    asked = query(tmp_path / "phone.jpg")
    assert asked @ seen > 0.94 > asked @ turned


@pytest.mark.parametrize("content", [None, b"", b"not a picture", jpeg(painted(0), 50)[:40]])
def test_a_file_that_is_no_picture_is_refused_by_name(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "odd.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=r"odd\.jpg"):
        query(path)


def test_grey_transparent_and_deep_pictures_are_read(tmp_path: Path) -> None:
    image = painted(4)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    for name, pixels, expected in (
        ("grey.png", grey, np.stack([grey] * 3, axis=-1)),
        ("alpha.png", cv2.cvtColor(image, cv2.COLOR_RGB2BGRA), image),
        ("deep.png", image[..., ::-1].astype(np.uint16) * 257, image),
    ):
        (tmp_path / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        assert query(tmp_path / name) @ embed(expected)[0] > 0.948  # sqrt(0.9) is the most


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0, 1, 128, 255, None])),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=40, deadline=None)
def test_any_frames_give_a_finite_unit_row(
    sizes: list[tuple[int, int, int | None]],
) -> None:
    dice = np.random.default_rng(0)
    images = [
        dice.integers(256, size=(h, w, 3), dtype=np.uint8)
        if value is None
        else np.full((h, w, 3), value, np.uint8)
        for h, w, value in sizes
    ]
    rows = Picture().encode([clip(*images)])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_noise_on_a_plain_picture_matters_little() -> None:
    dice = np.random.default_rng(0)
    plain = np.full((120, 160, 3), 90, np.uint8)
    noisy = np.clip(plain + dice.normal(0, 8, plain.shape), 0, 255).astype(np.uint8)
    a, b = embed(plain, noisy)
    assert a @ b > 0.95


def test_is_an_encoder_with_a_queryable_space() -> None:
    encoder = Picture()
    encoder.setup()
    encoder.close()
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.encode([]).shape == (0, DIM)
    assert encoder.space.dim == DIM
    assert encoder.fingerprint() != Picture(rate=2).fingerprint()
    sound_only = Available(frames=False, sound=True, subtitles=True, text=True)
    assert encoder.skip_reason(sound_only) == "no picture"


def test_wrong_use_is_refused() -> None:
    with pytest.raises(SpaceError, match="text"):
        Picture().embed_query(Query(text="a bell"), "text")
    with pytest.raises(ValueError, match="rate"):
        Picture(rate=0)
