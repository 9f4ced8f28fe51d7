"""Sound on the timeline: contiguous, silent where there is nothing, at the right level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.media.reader import Pass, sound
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.media.soundtrack import TOLERANCE, Soundtrack
from egorag.media.timeline import StreamClock, Timeline

Write = Callable[..., Path]
RATE = 48_000
Stamped = tuple[float, np.ndarray]


def play(frames: Sequence[Stamped], rates: Sequence[int], rate: int = RATE) -> list[np.ndarray]:
    """Push frames of (seconds, mono samples) and join what each reader gets."""
    track = Soundtrack(StreamClock(Timeline(Fraction(0)), Fraction(1, rate)), rates)
    got: list[list[np.ndarray]] = [[] for _ in rates]

    def take(number: int, chunk: SoundChunk) -> None:
        assert chunk.start == sum(map(len, got[number])), "contiguous from sample 0"
        assert chunk.rate == rates[number]
        assert 0 < len(chunk.samples) <= chunk.rate
        got[number].append(chunk.samples)

    for seconds, samples in frames:
        frame = av.AudioFrame.from_ndarray(
            samples.astype(np.float32)[None], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(seconds * rate)
        for number, chunk in track.push(frame):
            take(number, chunk)
    for number, chunk in track.finish():
        take(number, chunk)
    return [np.concatenate(part) if part else np.zeros(0, np.float32) for part in got]


def stretch(start: float, seconds: float, value: float = 0.5) -> list[Stamped]:
    """Frames of 1024 samples that follow each other."""
    count = round(seconds * RATE) // 1024
    return [(start + k * 1024 / RATE, np.full(1024, value)) for k in range(count)]


def test_a_gap_is_silence_and_what_follows_is_in_its_place() -> None:
    (got,) = play([*stretch(0, 1), *stretch(3, 1, 0.25)], [16_000])
    assert abs(len(got) - 16_000 * (3 + 46 * 1024 / RATE)) <= 2
    assert np.allclose(got[1_000:15_000], 0.5, atol=1e-3)
    assert np.allclose(got[16_200:47_900], 0, atol=1e-3)
    assert np.allclose(got[48_100:63_000], 0.25, atol=1e-3)


def test_a_late_start_is_padded() -> None:
    (got,) = play(stretch(0.75, 1), [16_000])
    assert np.allclose(got[:11_990], 0, atol=1e-3)
    assert np.allclose(got[12_010:27_000], 0.5, atol=1e-2)


def test_overlapping_sound_is_trimmed() -> None:
    (got,) = play([*stretch(0, 1), *stretch(0.7, 1, 0.25)], [16_000])
    assert abs(len(got) - 16_000 * (0.7 + 46 * 1024 / RATE)) <= 400
    assert np.allclose(got[1_000:15_600], 0.5, atol=1e-3)
    assert np.allclose(got[16_500:26_000], 0.25, atol=1e-3)


def test_sound_before_the_start_is_dropped() -> None:
    (got,) = play([*stretch(-0.3, 0.3, 0.9), *stretch(0, 1)], [RATE])
    assert abs(len(got) - 46 * 1024) < 1100
    assert np.allclose(got[2_000:40_000], 0.5, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.9, 0.9), min_size=60, max_size=60))
def test_jitter_within_the_tolerance_changes_nothing(noise: list[float]) -> None:
    jitter = TOLERANCE / 1e6 / 2
    steady = stretch(0, 60 * 1024 / RATE)
    pairs = zip(steady, noise, strict=False)
    shaky = [(t + jitter * n * (k > 0), s) for k, ((t, s), n) in enumerate(pairs)]
    (plain,), (jittered,) = play(steady, [8_000]), play(shaky, [8_000])
    np.testing.assert_array_equal(plain, jittered)


def test_a_clock_that_drifts_is_followed() -> None:
    """Samples 2 % fast: sound stays within the tolerance of its stamps for ever."""
    fast = [(k * 1024 / RATE * 1.02, np.full(1024, 0.5)) for k in range(1000)]
    (got,) = play(fast, [8_000])
    assert abs(len(got) / 8_000 - 1000 * 1024 / RATE * 1.02) < 0.08
    slow = [(k * 1024 / RATE * 0.98, np.full(1024, 0.5)) for k in range(1000)]
    (got,) = play(slow, [8_000])
    assert abs(len(got) / 8_000 - 1000 * 1024 / RATE * 0.98) < 0.08


def test_stamps_that_crawl_are_not_believed() -> None:
    """AVI with a wrong header: a fraction of a millisecond from each frame to the next."""
    (got,) = play([(k * 0.00026, np.full(1152, 0.5)) for k in range(100)], [16_000])
    assert abs(len(got) - 100 * 1152 / 3) < 3


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1, 3), st.integers(1, 3000)), min_size=1, max_size=30),
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
)
def test_any_stamps_give_contiguous_sound(steps: list[tuple[float, int]], rate: int) -> None:
    frames, time = [], 0.0
    for step, count in steps:
        frames.append((time, np.full(count, 0.5)))
        time += step
    one, other = play(frames, [rate, 11_025])
    assert abs(len(one) / rate - len(other) / 11_025) < 0.002
    assert np.abs(one).max(initial=0) <= 1


def test_a_tone_keeps_its_pitch_phase_and_level() -> None:
    t = np.arange(RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    frames = [(k * 1024 / RATE, tone[k * 1024 : (k + 1) * 1024]) for k in range(46)]
    (got,) = play(frames, [16_000])
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / 16_000)
    assert np.abs(got - expected)[200:-200].max() < 2e-3


def test_damaged_floats_stay_in_range() -> None:
    hostile = np.full(1024, 0.5)
    hostile[100], hostile[200], hostile[300], hostile[400] = np.nan, np.inf, -np.inf, 1e30
    (got,) = play([(0, hostile)], [RATE])
    assert np.isfinite(got).all()
    assert np.abs(got).max() <= 1


def test_mixing_to_mono_is_the_mean_and_never_clips(write: Write, tmp_path: Path) -> None:
    loud = np.ones((2, RATE), np.float32)
    left = loud * np.array([[1.0], [0.0]], np.float32)
    for stereo, level, name in ((loud, 1.0, "both"), (left, 0.5, "left")):
        for codec in ("pcm_s16le", "pcm_f32le"):
            path = write(tmp_path / f"{name}{codec}.mkv", sound=[(0, stereo)], sound_codec=codec)
            got = np.concatenate([c.samples for c in sound(path)])
            assert abs(got[8_000] - level) < 1e-3, (name, codec)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 8])
def test_channels_without_a_named_layout(tmp_path: Path, channels: int) -> None:
    import wave

    with wave.open(str(tmp_path / "c.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.full(channels * RATE, 16_384, np.int16).tobytes())
    got = np.concatenate([c.samples for c in sound(tmp_path / "c.wav")])
    assert len(got) == 16_000
    assert abs(got[8_000] - 0.5) < 1e-3


def test_gaps_in_a_real_container(write: Write, tmp_path: Path) -> None:
    burst = np.full((2, RATE), 0.5, np.float32)
    path = write(tmp_path / "g.mkv", [0, 1, 2, 3], [(0.5, burst), (2.0, burst)])
    with Pass(path, [SoundSampling(16_000), SoundSampling(8_000)]) as run:
        got: dict[int, list[np.ndarray]] = {0: [], 1: []}
        for reader, chunk in run:
            assert isinstance(chunk, SoundChunk)
            assert chunk.start == sum(map(len, got[reader]))
            got[reader].append(chunk.samples)
    assert run.report.sound_end == 3_000_000
    for reader, rate in ((0, 16_000), (1, 8_000)):
        joined = np.concatenate(got[reader])
        assert abs(len(joined) - 3 * rate) <= 1
        for seconds, value in ((0.3, 0), (1.0, 0.5), (1.8, 0), (2.5, 0.5)):
            assert abs(joined[int(seconds * rate)] - value) < 1e-2


def test_against_pyavs_own_decode(shared_data: Path) -> None:
    path = shared_data / "media" / "jfk.flac"
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        assert container.streams.audio[0].format.name == "s32"
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    mono = np.concatenate(frames, axis=1).reshape(-1, 2).mean(axis=1) / 2**31
    got = np.concatenate([c.samples for c in sound(path, SoundSampling(rate))])
    assert len(got) == len(mono)
    assert np.abs(got - mono).max() < 1e-4
