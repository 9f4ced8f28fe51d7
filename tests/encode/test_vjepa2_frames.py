"""V-JEPA 2 over windows against the plain loop over all frames in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import vjepa2 as tiny

from egorag import config, registry
from egorag.encode.base import Encoder, FrameClip, Moments
from egorag.encode.vjepa2 import VJEPA2
from egorag.encode.vjepa2_frames import VJEPA2Frames
from egorag.errors import EgoragError
from egorag.media.sampling import Frame
from egorag.spans import Span

Rows = npt.NDArray[np.float32]
STEP = 250_000  # microseconds from frame to frame, at 4 a second
SIZE = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("vjepa2"))


def frames(count: int, size: tuple[int, int] = (36, 64)) -> list[Frame]:
    """Each another field of coloured blocks."""
    dice = np.random.default_rng(3)
    blocks = dice.integers(0, 256, (count, 4, 4, 3), np.uint8)
    images = [np.kron(b, np.ones((size[0] // 4, size[1] // 4, 1), np.uint8)) for b in blocks]
    return [Frame(i * STEP, i * STEP, i, image) for i, image in enumerate(images)]


def made(folder: Path, size: int, stride: int, batch: int | None = None) -> VJEPA2Frames:
    encoder = VJEPA2Frames(checkpoint=str(folder), frames=size, stride=stride, batch=batch)
    encoder.setup()
    return encoder


def run(encoder: VJEPA2Frames, given: Sequence[Frame]) -> tuple[list[Span], Rows]:
    blocks = list(encoder.encode(iter(given)))
    assert all(len(b.spans) == len(b.vectors) > 0 for b in blocks)
    return [s for b in blocks for s in b.spans], np.concatenate([b.vectors for b in blocks])


class Naive:
    """The plain loop: a window at a time through processor and whole model, all frames at hand."""

    def __init__(self, folder: Path, given: Sequence[Frame]) -> None:
        self._processor = transformers.AutoVideoProcessor.from_pretrained(folder)
        self._model = transformers.AutoModel.from_pretrained(folder).eval()
        self._images = [frame.image for frame in given]
        self._known: dict[tuple[int, ...], Rows] = {}

    def rows(self, count: int, size: int, stride: int) -> Rows:
        """Of the first ``count`` frames: float32 [count, dim]."""
        windows = self.windows(count, size, stride)
        said: list[list[Rows]] = [[] for _ in range(count)]
        for window in windows:
            for place, frame in enumerate(window):
                said[frame].append(self._steps(window)[place // 2])
        means = np.stack([np.mean(rows, axis=0) for rows in said])
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)

    @staticmethod
    def windows(count: int, size: int, stride: int) -> list[tuple[int, ...]]:
        if count < min(16, size):
            places = min(16, size)
            return [tuple(int(k * count / places) for k in range(places))]
        if count < size:
            return [(*range(count), *([count - 1] if count % 2 else []))]
        starts = [s for s in range(0, count, stride) if s + size <= count]
        if starts[-1] + size < count:
            starts.append(count - size)
        return [tuple(range(s, s + size)) for s in starts]

    def _steps(self, window: tuple[int, ...]) -> Rows:
        if window not in self._known:
            inputs = self._processor(
                np.stack([self._images[i] for i in window]), return_tensors="pt"
            )
            with torch.no_grad():
                tokens = self._model(**inputs).last_hidden_state[0]
            self._known[window] = tokens.reshape(len(window) // 2, -1, tiny.WIDTH).mean(1).numpy()
        return self._known[window]


# -- what it computes --


def test_every_length_and_stride_is_the_plain_loop(folder: Path) -> None:
    given = frames(3 * SIZE)
    naive = Naive(folder, given)
    for stride in range(1, SIZE + 1):
        encoder = made(folder, SIZE, stride)
        for count in range(1, 3 * SIZE + 1):
            spans, rows = run(encoder, given[:count])
            told = f"{count} frames at stride {stride}"
            np.testing.assert_allclose(
                rows, naive.rows(count, SIZE, stride), atol=1e-5, err_msg=told
            )
            assert spans == [Span(i * STEP, (i + 1) * STEP) for i in range(count)], told
        encoder.close()


@pytest.mark.parametrize("count", [1, 7, 15, 16, 17, 19, 20, 21, 37])
def test_windows_longer_than_the_shortest_clips_of_training(folder: Path, count: int) -> None:
    given = frames(count)
    encoder = made(folder, 20, 8)
    np.testing.assert_allclose(
        run(encoder, given)[1], Naive(folder, given).rows(count, 20, 8), atol=1e-5
    )
    encoder.close()


@pytest.mark.parametrize("stride", [1, 3, 6])
def test_how_many_windows_run_at_once_does_not_matter(folder: Path, stride: int) -> None:
    given = frames(32)
    encoders = {batch: made(folder, SIZE, stride, batch) for batch in (1, 2, 3, 64)}
    for count in (1, 5, 6, 7, 13, 14, 32):
        alone = run(encoders[1], given[:count])
        for encoder in encoders.values():
            spans, rows = run(encoder, given[:count])
            assert spans == alone[0]
            np.testing.assert_allclose(rows, alone[1], atol=1e-5)


def test_a_batch_that_shrinks_on_the_way_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = frames(40)
    expected = run(made(folder, SIZE, 2), given)
    encoder = made(folder, SIZE, 2, batch=8)
    steps, failed = VJEPA2Frames._steps, []

    def full(self: VJEPA2Frames, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > 3:
            failed.append(len(pixels))
            raise torch.OutOfMemoryError
        result: torch.Tensor = steps(self, pixels)
        return result

    monkeypatch.setattr(VJEPA2Frames, "_steps", full)
    spans, rows = run(encoder, given)
    assert failed and spans == expected[0]
    np.testing.assert_allclose(rows, expected[1], atol=1e-5)


def test_bfloat16_is_near_float32_and_near_itself_in_another_batch(folder: Path) -> None:
    given = frames(21)
    rows = []
    for batch in (1, 8):
        half = VJEPA2Frames(
            checkpoint=str(folder), frames=SIZE, stride=2, batch=batch, dtype="bfloat16"
        )
        half.setup()
        rows.append(run(half, given)[1])
        half.close()
    assert (rows[0] * rows[1]).sum(1).min() > 0.999
    assert (rows[0] * run(made(folder, SIZE, 2), given)[1]).sum(1).min() > 0.99


def test_same_input_same_rows_also_after_loading_again(folder: Path) -> None:
    given = frames(15)
    encoder = made(folder, SIZE, 4)
    first = run(encoder, given)[1]
    assert np.array_equal(first, run(encoder, given)[1])
    encoder.close()
    encoder.setup()
    assert np.array_equal(first, run(encoder, given)[1])
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)


def test_every_frame_counts_the_last_ones_too(folder: Path) -> None:
    encoder = made(folder, SIZE, 4)
    for count in (3, 9, 13):
        given = frames(count)
        rows = run(encoder, given)[1]
        for changed in range(count):
            other = list(given)
            frame = other[changed]
            other[changed] = Frame(frame.time, frame.time, changed, 255 - frame.image)
            moved = np.abs(run(encoder, other)[1] - rows).max(axis=1)
            assert moved[changed] > 1e-4, f"frame {changed} of {count}"


def test_no_later_frame_changes_a_moment_that_no_window_joins_to_it(folder: Path) -> None:
    """At stride = frames, windows tile the video: one does not look into the next."""
    encoder = made(folder, SIZE, SIZE)
    given = frames(3 * SIZE)
    rows = run(encoder, given)[1]
    other = [*given[:SIZE], *(Frame(f.time, f.time, f.index, 255 - f.image) for f in given[SIZE:])]
    assert np.array_equal(run(encoder, other)[1][:SIZE], rows[:SIZE])


def test_frames_that_change_their_size_are_each_prepared(folder: Path) -> None:
    wide, tall = frames(12), frames(12, size=(64, 36))
    encoder = made(folder, SIZE, SIZE)
    rows = run(encoder, [*wide[:6], *tall[6:]])[1]
    expected = [
        run(encoder, given)[1][half] for given, half in ((wide, slice(6)), (tall, slice(6, 12)))
    ]
    np.testing.assert_allclose(rows, np.concatenate(expected), atol=1e-5)
    assert run(encoder, [*wide[:3], *tall[3:9]])[1].shape == (9, tiny.WIDTH)


# -- how it streams --


@pytest.mark.parametrize(("stride", "batch"), [(1, 1), (4, 1), (4, 3), (6, 2)])
def test_it_holds_one_window_and_one_batch_and_prepares_a_frame_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stride: int, batch: int
) -> None:
    """Blocks come while frames come, and nothing is kept behind them."""
    encoder = made(folder, SIZE, stride, batch)
    pixels, prepared = VJEPA2Frames._pixels, []

    def counted(self: VJEPA2Frames, clips: Sequence[Sequence[object]]) -> torch.Tensor:
        prepared.append(len(clips[0]))
        result: torch.Tensor = pixels(self, clips)
        return result

    monkeypatch.setattr(VJEPA2Frames, "_pixels", counted)
    count, pictures = 200, []

    def stream() -> Iterator[Frame]:
        for number in range(count):
            image = np.full((36, 64, 3), number, np.uint8)
            pictures.append(weakref.ref(image))
            yield Frame(number * STEP, number * STEP, number, image)

    done = most = held = 0
    for block in encoder.encode(stream()):
        most = max(most, len(pictures) - done)
        held = max(held, sum(picture() is not None for picture in pictures))
        done += len(block.spans)
    assert done == sum(prepared) == count
    assert most <= SIZE + batch * stride
    assert held <= 2, "pictures are let go once they are prepared"


def test_spans_reach_to_the_next_frame_and_the_last_has_a_frames_length(folder: Path) -> None:
    uneven = [0, 250_000, 750_000, 1_000_000, 4_000_000, 4_250_000, 5_000_000]
    given = [Frame(t, t, f.index, f.image) for t, f in zip(uneven, frames(7), strict=True)]
    spans, _ = run(made(folder, SIZE, 1), given)
    assert spans == [Span(a, b) for a, b in pairwise([*uneven, 5_250_000])]


def test_an_empty_stream_has_no_moments(folder: Path) -> None:
    assert list(made(folder, SIZE, 2).encode(iter([]))) == []


# -- what it is --


def test_is_an_encoder_of_moments_and_tells_what_it_does(folder: Path) -> None:
    encoder = made(folder, SIZE, 2)
    assert isinstance(encoder, Encoder)
    assert (encoder.space.dim, encoder.space.queries) == (tiny.WIDTH, frozenset())
    assert isinstance(next(iter(encoder.encode(iter(frames(9))))), Moments)
    told = encoder.describe()
    assert "windows of 6 frames at a stride of 2" in told
    assert "centre crop 32 x 32" in told
    other = VJEPA2Frames(checkpoint=str(folder), frames=SIZE, stride=3)
    assert other.fingerprint() != encoder.fingerprint()


def test_scenes_and_moments_of_one_checkpoint_share_its_model(folder: Path) -> None:
    moments, scenes = made(folder, SIZE, 2), VJEPA2(checkpoint=str(folder), frames=8)
    scenes.setup()
    assert moments.share_key() == scenes.share_key()
    assert moments.loaded.held.model is scenes.loaded.held.model
    moments.close()
    assert scenes.encode([FrameClip(Span(0, STEP), tuple(frames(1)))]).shape == (1, tiny.WIDTH)
    scenes.close()


@pytest.mark.parametrize(
    ("preset", "size", "stride", "scenes"),
    [
        ("vjepa2_frames_fast", 16, 4, "vjepa2_fast"),
        ("vjepa2_frames_balanced", 32, 8, "vjepa2_balanced"),
        ("vjepa2_frames_quality", 64, 8, "vjepa2_quality"),
    ],
)
def test_presets_are_of_the_same_checkpoint_as_their_scenes(
    preset: str, size: int, stride: int, scenes: str
) -> None:
    both = f"encoder=[{preset},{scenes}]"
    nodes = config.compose("index", ["input=x", "index=y", both])["encoders"]
    encoder = registry.build("encoders", preset, nodes[preset])
    beside = registry.build("encoders", scenes, nodes[scenes])
    assert (encoder.frames, encoder.stride, encoder.rate) == (size, stride, 4)
    assert encoder.share_key() == beside.share_key()
    assert encoder.checkpoint in VJEPA2Frames.published


# -- what it refuses --


@pytest.mark.parametrize("stride", [0, -1, 9, 2.5, "4"])
def test_a_stride_that_leaves_gaps_or_does_not_move_is_refused(stride: Any) -> None:
    with pytest.raises(ValueError, match=rf"stride must be.* 1 to 8 frames.*{stride}"):
        VJEPA2Frames(frames=8, stride=stride)


def test_an_odd_window_is_refused() -> None:
    with pytest.raises(ValueError, match="even number"):
        VJEPA2Frames(frames=7, stride=2)


def test_it_is_set_up_before_use(folder: Path) -> None:
    with pytest.raises(EgoragError, match="setup"):
        list(VJEPA2Frames(checkpoint=str(folder)).encode(iter(frames(2))))
