"""The rough transcript: right words, right times, the same in any order, no process left behind."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import egorag
from egorag.encode.base import Available, Encoder
from egorag.encode.sphinx import PocketSphinx
from egorag.encode.sphinx_pool import Pool, Worker
from egorag.encode.sphinx_worker import Recogniser, Words
from egorag.encode.vad import RATE, Hysteresis, silero, speech_segments
from egorag.errors import EgoragError
from egorag.media.sampling import SoundChunk
from egorag.spans import Span
from egorag.types import TimedText

Samples = npt.NDArray[np.float32]
SETTINGS: dict[str, float | int | bool] = {"maxhmmpf": 2000}  # speed over words
FAST = {"max_hmms": 2000}


def cut(samples: Samples, sizes: list[int]) -> Iterator[SoundChunk]:
    at, size = 0, itertools.cycle(sizes)
    while at < len(samples):
        end = at + next(size)
        yield SoundChunk(at, RATE, samples[at:end])
        at = end


@pytest.fixture(scope="module")
def jfk(shared_data: Path) -> Samples:
    with av.open(str(shared_data / "media" / "jfk.flac")) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        frames = [*container.decode(container.streams.audio[0]), None]
        parts = [out.to_ndarray().ravel() for f in frames for out in resampler.resample(f)]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def utterances(jfk: Samples) -> list[bytes]:
    speech = speech_segments(cut(jfk, [RATE]), silero(), Hysteresis())
    return [(s.samples * 32767).astype("<i2").tobytes() for s in speech]


def test_a_real_speech_is_roughly_heard(jfk: Samples) -> None:
    encoder = PocketSphinx()
    encoder.setup()
    try:
        heard = list(encoder.encode(cut(jfk, [1024])))
    finally:
        encoder.close()
    text = " ".join(t.text for t in heard)
    said = "and so my fellow americans ask not what your country can do for you"
    said += " ask what you can do for your country"
    found = set(text.split()) & set(said.split())
    assert {"fellow", "americans", "country"} <= found, text
    assert not re.search(r"[<>\[\]()+]", text)
    for line in heard:
        assert line.track == "transcript"
        assert "rough transcript" in line.source
        assert line.text == " ".join(w.text for w in line.words)
        assert len(line.words) <= 12
        assert 0 <= line.span.start < line.span.end <= 11_000_000
    words = [w for line in heard for w in line.words]
    assert all(a.span.end <= b.span.start for a, b in itertools.pairwise(words))
    [americans] = [w for w in words if w.text == "americans"]
    assert abs(americans.span.middle - 1_900_000) < 400_000  # by ear and waveform


def test_an_utterance_is_heard_as_if_it_were_the_first(utterances: list[bytes]) -> None:
    first = [Recogniser(SETTINGS).words(utterances[0]), Recogniser(SETTINGS).words(utterances[1])]
    used = Recogniser(SETTINGS)
    for i in (1, 0, 1):
        assert used.words(utterances[i]) == first[i]


def test_workers_chunks_and_earlier_videos_do_not_matter(jfk: Samples) -> None:
    sound = jfk[: 5 * RATE]
    one = PocketSphinx(workers=1, **FAST)
    two = PocketSphinx(workers=2, **FAST)
    assert one.fingerprint() == two.fingerprint()
    one.setup()
    two.setup()
    try:
        expected = list(one.encode(cut(sound, [RATE])))
        list(two.encode(cut(jfk[5 * RATE : 8 * RATE], [RATE])))
        assert list(two.encode(cut(sound, [1, 777, 30_000]))) == expected
    finally:
        one.close()
        two.close()
    assert len(expected) >= 2


@pytest.mark.parametrize("samples", [0, 1, 400])
def test_too_short_an_utterance_has_no_words(samples: int) -> None:
    worker = Worker(SETTINGS)
    try:
        assert worker.recognise(bytes(2 * samples)) == []
    finally:
        worker.close()


class Scripted:
    """Stands for the pool: says the same words to every utterance."""

    def __init__(self, words: Words) -> None:
        self.words = words

    def recognise(self, utterances: Iterator[tuple[Span, bytes]]) -> Iterator[tuple[Span, Words]]:
        return ((span, self.words) for span, _ in utterances)

    def close(self) -> None:
        pass


def transcribe(words: Words, sound: Samples) -> list[TimedText]:
    encoder = PocketSphinx()
    object.__setattr__(encoder, "_runtime", Scripted(words))
    return list(encoder.encode(cut(sound, [RATE])))


def test_fillers_and_alternates_are_removed(jfk: Samples) -> None:
    words: Words = [("<s>", 0, 4, 1.0), ("and(2)", 5, 9, 0.5), ("<sil>", 10, 19, 1.0)]
    words += [("[NOISE]", 20, 24, 0.9), ("++BREATH++", 25, 29, 0.9), ("so", 30, 44, 0.9)]
    [line] = transcribe([*words, ("</s>", 45, 50, 1.0)], jfk[: 2 * RATE])
    assert line.text == "and so"
    assert line.confidence == pytest.approx((0.5 * 5 + 0.9 * 15) / 20)
    assert line.words[0].span.duration == 50_000
    assert transcribe([("<s>", 0, 4, 1.0), ("<sil>", 5, 50, 1.0)], jfk[: 2 * RATE]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 80), st.integers(0, 60)), max_size=60))
def test_phrases_keep_every_word_and_stay_short(lengths: list[tuple[int, int]]) -> None:
    words: Words = []
    at = 0
    for n, (length, pause) in enumerate(lengths):
        words.append((f"w{n}", at, at + length - 1, 0.5))
        at += length + pause
    loud = np.random.default_rng(0).normal(0, 0.1, 60 * RATE).astype(np.float32)
    encoder = PocketSphinx(longest=100.0)
    object.__setattr__(encoder, "_runtime", Scripted(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("egorag.encode.sphinx.silero", AlwaysSpeech)
        lines = list(encoder.encode(cut(loud, [RATE])))
    kept = [w.text for line in lines for w in line.words]
    assert kept == [w[0] for w in words if w[1] * 10_000 < 60_000_000]
    for line in lines:
        assert len(line.words) <= 12
        assert len(line.words) == 1 or line.span.duration <= 6_000_000


class AlwaysSpeech:
    def process_samples(self, samples: list[float]) -> float:
        return 1.0


def test_answers_come_in_order_and_little_is_held() -> None:
    class Slow(Worker):
        def recognise(self, samples: bytes) -> Words:
            time.sleep(0.02 if samples[0] % 3 == 0 else 0.001)
            return [(str(samples[0]), 0, 1, 1.0)]

    pool = Pool(2, {})
    pool.workers = [Slow({}), Slow({})]
    taken = 0

    def feed() -> Iterator[tuple[int, bytes]]:
        nonlocal taken
        for n in range(30):
            taken += 1
            yield n, bytes([n])

    for n, (tag, words) in enumerate(pool.recognise(feed())):
        assert tag == n
        assert words[0][0] == str(n)
        assert taken - n <= 4


def test_a_dead_worker_is_an_error_and_the_next_one_works(utterances: list[bytes]) -> None:
    worker = Worker(SETTINGS)
    worker.recognise(utterances[1])
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EgoragError, match="code -9"):
        worker.recognise(utterances[1])
    assert worker.recognise(utterances[1])
    pid = worker.pid
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_wrong_setting_is_reported() -> None:
    worker = Worker({"no_such_setting": 1})
    with pytest.raises(EgoragError, match="PocketSphinx process ended"):
        worker.recognise(bytes(3200))


def test_workers_do_not_outlive_a_killed_parent(utterances: list[bytes], tmp_path: Path) -> None:
    sound = tmp_path / "utterance"
    sound.write_bytes(utterances[0])
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from egorag.encode.sphinx_pool import Worker\n"
        f"worker = Worker({SETTINGS!r})\n"
        "samples = Path(sys.argv[1]).read_bytes()\n"
        "worker.recognise(samples)\nprint(worker.pid, flush=True)\n"
        "worker.recognise(samples * 5)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(sound)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(egorag.__file__).parents[1])},
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Running, and not a zombie that nobody reaps."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")


def test_when_it_is_skipped() -> None:
    encoder = PocketSphinx()
    assert isinstance(encoder, Encoder)
    assert encoder.skip_reason(Available(True, False, True, True)) == "no sound"
    assert encoder.skip_reason(Available(True, True, True, True)) == "has subtitles"
    assert encoder.skip_reason(Available(True, True, False, False)) is None
    better = Available(True, True, False, False, transcribed=True)
    assert encoder.skip_reason(better) == "has a better transcript"
    assert PocketSphinx(always=True).skip_reason(Available(True, True, True, True)) is None
    assert PocketSphinx(always=True).skip_reason(better) is None
    assert PocketSphinx(always=True).fingerprint() != encoder.fingerprint()


def test_setup_comes_first() -> None:
    with pytest.raises(EgoragError, match="setup"):
        next(PocketSphinx().encode(iter(())))


@pytest.mark.parametrize("wrong", [{"max_hmms": 1}, {"longest": 0.0}, {"workers": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        PocketSphinx(**wrong)
