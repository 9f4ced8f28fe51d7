"""Speech activity: what is speech, when, and that chunks do not matter."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.encode.base import Available, Encoder
from egorag.encode.speech import SpeechActivity
from egorag.encode.vad import RATE, WINDOW, Hysteresis, silero, speech_segments
from egorag.errors import EgoragError
from egorag.media.sampling import SoundChunk
from egorag.spans import Span

Samples = npt.NDArray[np.float32]


def read_sound(path: Path) -> Samples:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        frames = [*container.decode(container.streams.audio[0]), None]
        parts = [out.to_ndarray().ravel() for f in frames for out in resampler.resample(f)]
    return np.concatenate(parts)


def chunks(samples: Samples, sizes: Iterator[int], start: int = 0) -> Iterator[SoundChunk]:
    at = 0
    while at < len(samples):
        size = next(sizes)
        yield SoundChunk(start + at, RATE, samples[at : at + size])
        at += size


def whole(samples: Samples) -> Iterator[SoundChunk]:
    return chunks(samples, itertools.repeat(1024))


@pytest.fixture(scope="module")
def speech() -> Iterator[SpeechActivity]:
    encoder = SpeechActivity()
    encoder.setup()
    yield encoder
    encoder.close()


@pytest.fixture(scope="module")
def jfk(shared_data: Path) -> Samples:
    return read_sound(shared_data / "media" / "jfk.flac")


class Scripted:
    """A detector that says what it is told, window by window."""

    def __init__(self, probabilities: list[float]) -> None:
        self.left = iter(probabilities)

    def process_samples(self, samples: Sequence[float]) -> float:
        assert len(samples) == WINDOW
        return next(self.left)


def test_speech_is_found_where_it_is(speech: SpeechActivity, jfk: Samples) -> None:
    found = list(speech.encode(whole(jfk)))
    assert {(t.track, t.text, t.source) for t in found} == {("speech", "[speech]", "silero-vad")}
    assert all(t.confidence is not None and t.confidence > 0.7 for t in found)
    # Energy says where the words are: the loud 50 ms frames of this clean recording.
    frames = jfk[: len(jfk) // 800 * 800].reshape(-1, 800)
    loud = np.sqrt((frames**2).mean(1)) > 0.1
    covered = [any(i * 50_000 in t.span for t in found) for i in range(len(loud))]
    assert np.mean(np.array(covered)[loud]) > 0.95
    assert found[-1].span.end <= 11_000_000
    assert sum(t.span.duration for t in found) < 10_000_000  # the pauses are left out


def test_film_with_music_and_birds_is_mostly_not_speech(
    speech: SpeechActivity, shared_data: Path
) -> None:
    sound = read_sound(shared_data / "media" / "big_buck_bunny_0_30.webm")
    assert sum(t.span.duration for t in speech.encode(whole(sound))) < 3_000_000


@pytest.mark.parametrize("kind", ["silence", "noise", "tone", "clicks", "nan"])
def test_what_is_not_speech(speech: SpeechActivity, kind: str) -> None:
    seconds = np.arange(8 * RATE) / RATE
    rng = np.random.default_rng(0)
    sound = {
        "silence": np.zeros_like(seconds),
        "noise": rng.normal(0, 0.1, len(seconds)),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * seconds),
        "clicks": (np.arange(len(seconds)) % 4000 == 0) * 0.9,
        "nan": np.full_like(seconds, np.nan),
    }[kind]
    assert list(speech.encode(whole(sound.astype(np.float32)))) == []


def test_speech_after_damage_is_still_found(speech: SpeechActivity, jfk: Samples) -> None:
    damaged = np.concatenate([np.full(RATE, np.nan, np.float32), jfk])
    assert len(list(speech.encode(whole(damaged)))) >= 3


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=20), st.integers(0, 10**9))
def test_chunks_and_offset_do_not_matter(
    speech: SpeechActivity, jfk: Samples, sizes: list[int], start: int
) -> None:
    sound = jfk[: 5 * RATE]
    expected = list(speech.encode(whole(sound)))
    found = list(speech.encode(chunks(sound, itertools.cycle(sizes))))
    assert found == expected
    moved = list(speech.encode(chunks(sound, itertools.repeat(RATE), start)))
    for a, b in zip(expected, moved, strict=True):
        assert abs(b.span.start - a.span.start - start * 1_000_000 // RATE) <= 1
        assert b.confidence == a.confidence


def test_nothing_is_remembered_from_the_video_before(speech: SpeechActivity, jfk: Samples) -> None:
    first = list(speech.encode(whole(jfk)))
    list(speech.encode(whole(jfk[: 7 * RATE + 100])))
    half = speech.encode(whole(jfk))
    next(half)  # a video given up in the middle
    assert list(speech.encode(whole(jfk))) == first


def test_no_sound_no_marker(speech: SpeechActivity) -> None:
    assert list(speech.encode(iter(()))) == []
    assert speech.skip_reason(Available(True, False, True, True)) == "no sound"
    assert speech.skip_reason(Available(False, True, True, True)) is None


def test_memory_does_not_grow_with_speech_that_never_stops() -> None:
    def endless(seconds: int) -> Iterator[SoundChunk]:
        for at in range(0, seconds * RATE, RATE):
            yield SoundChunk(at, RATE, np.zeros(RATE, np.float32))

    encoder = SpeechActivity()
    talks = Scripted([0.9] * 10**6)
    object.__setattr__(encoder, "_runtime", lambda: talks)
    peaks = []
    for seconds in (40, 120):
        tracemalloc.start()
        [only] = encoder.encode(endless(seconds))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert only.span == Span(0, seconds * 1_000_000)
        assert only.confidence == pytest.approx(0.9)
    assert peaks[1] < 1.2 * peaks[0]


PROBABILITIES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.99]), st.integers(1, 40)), max_size=30
).map(lambda runs: [p for p, n in runs for _ in range(n)])


@settings(max_examples=200, deadline=None)
@given(PROBABILITIES, st.sampled_from([0.0, 0.05, 0.15]), st.sampled_from([1.0, 3.0, 30.0]))
def test_segments_obey_their_rules(
    probabilities: list[float], padding: float, longest: float
) -> None:
    when = Hysteresis(padding=padding, longest=longest)
    sound = np.arange(len(probabilities) * WINDOW, dtype=np.float32)
    found = list(speech_segments(whole(sound), Scripted(probabilities), when))
    for segment in found:
        assert np.array_equal(
            segment.samples, sound[segment.start : segment.start + len(segment.samples)]
        )
        assert len(segment.samples) <= (longest + 2 * padding) * RATE + 2 * WINDOW
    for left, right in itertools.pairwise(found):
        gap = right.start - (left.start + len(left.samples))
        assert gap >= 0
        assert not right.continues or gap == 0
    covered = np.zeros(len(probabilities), bool)
    for segment in found:
        first = segment.start // WINDOW
        covered[first : first + len(segment.samples) // WINDOW] = True
    certain = np.array(probabilities) >= when.threshold
    runs = [list(g) for _, g in itertools.groupby(range(len(certain)), lambda i: certain[i])]
    for run in runs:  # speech of at least min_speech without doubt is always covered
        if certain[run[0]] and len(run) * WINDOW >= when.min_speech * RATE:
            assert covered[run].all()


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 0.2}, {"threshold": 1.5}, {"padding": 0.2}, {"min_speech": -1.0}],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|need"):
        SpeechActivity(**wrong)


def test_setup_comes_first() -> None:
    encoder = SpeechActivity()
    assert isinstance(encoder, Encoder)
    with pytest.raises(EgoragError, match="setup"):
        next(encoder.encode(iter(())))


def test_fingerprint_follows_settings_and_not_use() -> None:
    encoder = SpeechActivity()
    before = encoder.fingerprint()
    encoder.setup()
    assert encoder.fingerprint() == before == SpeechActivity().fingerprint()
    assert encoder == SpeechActivity()
    assert SpeechActivity(threshold=0.6).fingerprint() != before


def test_wrong_rate_is_refused() -> None:
    chunk = SoundChunk(0, 8000, np.zeros(8000, np.float32))
    with pytest.raises(ValueError, match="16000 Hz, got 8000"):
        list(speech_segments([chunk], silero(), Hysteresis()))
