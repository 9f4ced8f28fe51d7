"""AST against the plain loop of its model card, and events against windows joined by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import audio_events as tiny
from checkpoints import sounds as made
from checkpoints.scenes import without
from transformers.models.audio_spectrogram_transformer import (
    feature_extraction_audio_spectrogram_transformer as extraction,
)

from egorag.encode.audio_events import AST, TRACK
from egorag.encode.base import Available, Encoder, Over, QueryEncoder
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.errors import ConfigError, EgoragError
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.spans import Span
from egorag.types import TimedText

Told = dict[tuple[str, int, int], float]

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size" / "ast"
RATE = tiny.RATE
SIZE = round(tiny.SECONDS * RATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("ast"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[AST]:
    ready = AST(checkpoint=str(folder))
    ready.setup()
    yield ready
    ready.close()


@pytest.fixture(scope="module")
def day() -> made.Sound:
    """Two sounds with 1.4 s of nothing between: 6.3 s, not whole windows."""
    pause = np.zeros(round(1.4 * RATE), np.float32)
    return np.concatenate([made.sound(1, 3, RATE), pause, made.sound(2, 1.9, RATE)])


def chunks(samples: made.Sound, *cuts: int, start: int = 0) -> Iterator[SoundChunk]:
    """The sound cut at these samples."""
    for a, b in zip((0, *cuts), (*cuts, len(samples)), strict=True):
        yield SoundChunk(start + a, RATE, samples[a:b])


def events(encoder: AST, samples: made.Sound, *cuts: int) -> list[TimedText]:
    return list(encoder.encode(chunks(samples, *cuts)))


def card(folder: Path, samples: made.Sound, hop: int = SIZE) -> list[tuple[int, int, object]]:
    """What a user would write, window by window: start, end and label scores by name."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    told, start = [], 0
    while True:
        window = samples[start : start + SIZE]
        inputs = extractor(window, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            scores = torch.sigmoid(model(**inputs).logits[0])
        names = model.config.id2label
        told.append(
            (start, start + len(window), {names[i]: float(s) for i, s in enumerate(scores)})
        )
        if start + SIZE >= len(samples):
            return told
        start += hop


def by_hand(
    windows: Sequence[tuple[int, int, dict[str, float]]], threshold: float, top: int
) -> Told:
    """Label, start and end in microseconds, highest score: label by label."""
    told: Told = {}
    for label in tiny.LABELS:
        run: list[tuple[int, int, float]] = []
        for start, end, scores in [*windows, (0, 0, {})]:
            best = sorted(scores, key=lambda name: -scores[name])[:top]
            if label in best and scores[label] >= threshold:
                run.append((start, end, scores[label]))
            elif run:
                edges = (run[0][0] * 10**6 // RATE, run[-1][1] * 10**6 // RATE)
                told[label, *edges] = max(s for *_, s in run)
                run = []
    return told


def check(texts: Sequence[TimedText], expected: Told) -> None:
    seen = {(t.text, t.span.start, t.span.end): t.confidence for t in texts}
    assert seen == pytest.approx(expected, abs=1.1e-4)  # confidence has four decimals


@pytest.mark.parametrize(("threshold", "top"), [(0.2, 5), (0.5, 2), (0.05, 8), (1.0, 5)])
def test_events_are_the_model_cards_windows_joined(
    folder: Path, encoder: AST, threshold: float, top: int
) -> None:
    sound = np.concatenate([made.sound(i, 0.85, RATE) for i in range(5)])
    other = dataclasses.replace(encoder, threshold=threshold, top=top)
    other.setup()
    texts = events(other, sound)
    check(texts, by_hand(card(folder, sound), threshold, top))
    assert len(texts) >= 3 or threshold == 1.0
    assert {(t.track, t.source) for t in texts} <= {(TRACK, "AST")}


def test_windows_may_overlap(folder: Path, encoder: AST) -> None:
    sound = made.sound(3, 2.1, RATE)
    half = dataclasses.replace(encoder, hop=tiny.SECONDS / 2)
    half.setup()
    check(events(half, sound), by_hand(card(folder, sound, SIZE // 2), 0.2, 5))


@pytest.mark.parametrize("seconds", [0.025, 0.3, tiny.SECONDS, tiny.SECONDS + 0.025])
def test_a_short_window_is_padded_as_the_extractor_pads(
    folder: Path, encoder: AST, seconds: float
) -> None:
    sound = made.sound(4, seconds, RATE)
    texts = events(encoder, sound)
    check(texts, by_hand(card(folder, sound), 0.2, 5))
    assert max(t.span.end for t in texts) == round(seconds * 10**6)


def test_less_than_a_frame_of_sound_tells_nothing(encoder: AST) -> None:
    """The extractor itself would fail."""
    assert events(encoder, made.sound(4, 0.0249, RATE)) == []
    assert events(encoder, np.empty(0, np.float32)) == []
    assert list(encoder.encode(iter([]))) == []
    whole = made.sound(4, tiny.SECONDS, RATE)
    longer = np.concatenate([whole, whole[:399]])
    assert events(encoder, longer) == events(encoder, whole)


def test_silence_tells_nothing_and_parts_what_is_around_it(encoder: AST, day: made.Sound) -> None:
    assert events(encoder, np.zeros(5 * RATE, np.float32)) == []
    assert events(encoder, np.full(SIZE, np.nan, np.float32)) == []
    quiet = Span(round(3.2e6), round(3.84e6))  # the one window that lies in the pause
    texts = events(encoder, day)
    assert {t.span.start for t in texts} >= {0, quiet.end}
    assert all(t.span.overlap(quiet) == 0 for t in texts)


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(0, 100_799), max_size=6).map(sorted))
def test_the_result_does_not_depend_on_the_chunks(
    encoder: AST, day: made.Sound, cuts: list[int]
) -> None:
    assert events(encoder, day, *cuts) == events(encoder, day)


def test_one_sample_at_a_time(encoder: AST, day: made.Sound) -> None:
    short = day[: SIZE + 900]
    assert events(encoder, short, *range(1, len(short))) == events(encoder, short)


def test_times_count_from_the_streams_own_start(encoder: AST, day: made.Sound) -> None:
    later = list(encoder.encode(chunks(day, start=7 * RATE)))
    assert later == [
        dataclasses.replace(t, span=Span(t.span.start + 7 * 10**6, t.span.end + 7 * 10**6))
        for t in events(encoder, day)
    ]


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_scores_do_not_depend_on_the_batch(
    folder: Path, encoder: AST, day: made.Sound, batch: int
) -> None:
    other = AST(checkpoint=str(folder), batch=batch)
    other.setup()
    for ours, theirs in zip(events(other, day), events(encoder, day), strict=True):
        assert (ours.text, ours.span) == (theirs.text, theirs.span)
        assert ours.confidence == pytest.approx(theirs.confidence, abs=1.1e-4)  # rounded


def test_the_same_twice_also_after_closing(folder: Path, day: made.Sound) -> None:
    encoder = AST(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="setup"):
        events(encoder, day)
    encoder.setup()
    first = events(encoder, day)
    assert events(encoder, day) == first
    encoder.close()
    encoder.setup()
    assert events(encoder, day) == first


def test_a_sound_that_goes_on_is_told_in_pieces(encoder: AST) -> None:
    """A scene's text is known when it ends; of a piece that lasts hours, that is hours later."""
    sound = made.sound(1, 6.4, RATE)
    pieces = dataclasses.replace(encoder, longest=2.0)
    pieces.setup()
    [whole] = [t for t in events(encoder, sound) if t.text == "Speech"]
    told = [t for t in events(pieces, sound) if t.text == "Speech"]
    assert whole.span == Span.seconds(0, 6.4)
    assert [t.span for t in told] == [
        Span.seconds(0, 1.92),
        Span.seconds(1.92, 3.84),
        Span.seconds(3.84, 5.76),
        Span.seconds(5.76, 6.4),
    ]
    assert max(t.confidence or 0 for t in told) == whole.confidence


def test_memory_is_bounded_and_events_come_as_they_end(encoder: AST) -> None:
    """Of an endless stream, the first events come before much of it was taken."""
    taken = 0

    def endless() -> Iterator[SoundChunk]:
        nonlocal taken
        while True:
            silent = taken // 8 % 2
            samples = made.sound(1, 0.16, RATE) * (1 - silent)
            yield SoundChunk(taken * len(samples), RATE, samples.astype(np.float32))
            taken += 1

    stream = encoder.encode(endless())
    first = [next(stream) for _ in range(20)]
    assert all(t.span.duration <= 2 * 10**6 for t in first)
    assert taken * 0.16 < first[-1].span.end / 10**6 + 6 * tiny.SECONDS


def test_both_ways_to_a_spectrogram_give_the_same(
    folder: Path, encoder: AST, day: made.Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchaudio where it is installed, numpy where not: to 1e-4 of a normalised level."""
    pytest.importorskip("torchaudio")

    def extract() -> object:
        extractor = transformers.ASTFeatureExtractor.from_pretrained(folder)
        return extractor(day[:SIZE], sampling_rate=RATE, return_tensors="np")["input_values"]

    with_torchaudio, heard = extract(), events(encoder, day)
    monkeypatch.setattr(extraction, "is_speech_available", lambda: False)
    np.testing.assert_allclose(extract(), with_torchaudio, atol=1e-4)
    plain = AST(checkpoint=str(folder))
    plain.setup()
    for ours, theirs in zip(events(plain, day), heard, strict=True):
        assert (ours.text, ours.span) == (theirs.text, theirs.span)
        assert ours.confidence == pytest.approx(theirs.confidence, abs=3e-4)


def test_is_an_encoder_of_a_stream_that_says_what_it_does(folder: Path, encoder: AST) -> None:
    assert isinstance(encoder, Encoder)
    assert not isinstance(encoder, QueryEncoder)
    assert encoder.over is Over.STREAM
    assert encoder.space is None
    assert encoder.sampling == SoundSampling(RATE)
    assert "windows of 0.64 s, one every 0.64 s" in encoder.describe()
    assert encoder.fingerprint() == AST(checkpoint=str(folder), batch=3).fingerprint()
    for change in ({"hop": 0.5}, {"threshold": 0.3}, {"top": 1}, {"longest": 9}):
        assert encoder.fingerprint() != dataclasses.replace(encoder, **change).fingerprint()
    silent = Available(frames=True, sound=False, subtitles=True, text=True)
    assert encoder.skip_reason(silent) == "no sound"


@pytest.mark.parametrize(
    "setting", [{"hop": 0}, {"threshold": 0}, {"threshold": 1.2}, {"top": 0}, {"longest": 0}]
)
def test_wrong_settings_are_refused(folder: Path, setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        AST(checkpoint=str(folder), **setting)


def test_wrong_use_is_refused(folder: Path, encoder: AST) -> None:
    with pytest.raises(ConfigError, match="hop=1 leaves out sound"):
        AST(checkpoint=str(folder), hop=1).setup()
    with pytest.raises(ValueError, match="16000 Hz, got sound at 48000 Hz"):
        list(encoder.encode([SoundChunk(0, 48_000, np.zeros(9, np.float32))]))


def test_a_missing_tensor_is_refused_by_name(tmp_path: Path) -> None:
    name = without(tiny.make(tmp_path), "classifier.dense.weight")
    with pytest.raises(MismatchError, match=name):
        AST(checkpoint=str(tmp_path)).setup()


def test_an_extractor_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tiny.make(tmp_path) / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_mel_bins": 64}))
    with pytest.raises(ConfigError, match=r"\(64, 64\) .* takes \(64, 32\)"):
        AST(checkpoint=str(tmp_path)).setup()


def test_weights_that_are_not_here_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as told:
        AST(checkpoint="MIT/none-of-this-name").setup()
    assert told.value.mend == "hf download MIT/none-of-this-name"


def test_full_size_is_as_published(tmp_path: Path) -> None:
    published = AST.published[AST().checkpoint]
    config = transformers.ASTConfig.from_pretrained(FULL_SIZE, num_labels=527)
    with torch.device("meta"):
        model = transformers.ASTForAudioClassification(config)
        logits = model(torch.zeros(1, config.max_length, config.num_mel_bins)).logits
    assert logits.shape == (1, 527)
    count = sum(weights.numel() for weights in model.parameters())
    assert count == pytest.approx(published.parameters, rel=0.03)

    (tmp_path / "model.safetensors").write_bytes(b"never read")
    for file in ("config.json", "preprocessor_config.json"):
        (tmp_path / file).write_text((FULL_SIZE / file).read_text())
    told = AST(checkpoint=str(tmp_path))
    assert told.sampling == SoundSampling(16_000)
    assert "windows of 10.24 s, one every 10.24 s" in told.describe()
