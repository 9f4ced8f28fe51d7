"""Whisper by transformers, against the library's own recognition pipeline on a tiny checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file, save_file

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checkpoints import whisper as tiny

from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.transcriber import CUT
from egorag.encode.vad import RATE, silero, speech_segments
from egorag.encode.whisper import Whisper
from egorag.errors import ConfigError
from egorag.media.reader import sound
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.types import TimedText

Samples = npt.NDArray[np.float32]
FULL = Path(__file__).parents[2] / "benchmarks" / "full_size"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def spoken(shared_data: Path) -> Samples:
    """11 s of a real voice."""
    read = sound(shared_data / "media" / "jfk.flac", SoundSampling(RATE))
    return np.concatenate([chunk.samples for chunk in read])


def chunks(samples: Samples, size: int = 4096) -> Iterator[SoundChunk]:
    for at in range(0, len(samples), size):
        yield SoundChunk(at, RATE, samples[at : at + size])


def ready(folder: Path, **settings: Any) -> Whisper:
    settings.setdefault("compression", 1000.0)
    encoder = Whisper(checkpoint=str(folder), **settings)
    encoder.setup("cpu")
    return encoder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[Whisper]:
    made = ready(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def heard(encoder: Whisper, spoken: Samples) -> list[TimedText]:
    return list(encoder.encode(chunks(spoken)))


def test_words_and_times_are_those_of_the_library(
    encoder: Whisper, folder: Path, spoken: Samples, heard: list[TimedText]
) -> None:
    """Oracle: the model on one stretch at a time, and the decoder of the library's pipeline."""
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    processor = WhisperProcessor.from_pretrained(folder)
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    expected = []
    for segment in speech_segments(chunks(spoken), silero(), CUT):
        inputs = processor(
            segment.samples, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True
        )
        found = model.generate(
            **inputs,
            language=heard[0].source[-3:-1],
            task="transcribe",
            return_timestamps=True,
            return_token_timestamps=True,
            force_unique_generate_call=True,
        )
        output = {
            "tokens": found["sequences"][:, 3:].numpy(),
            "token_timestamps": found["token_timestamps"][:, 3:].numpy(),
        }
        _, told = processor.tokenizer._decode_asr(
            [output], return_timestamps="word", return_language=None, time_precision=0.02
        )
        for word in told["chunks"]:
            start, end = (segment.start / RATE + at for at in word["timestamp"])
            expected.append((start, end, word["text"].strip()))
    words = [w for text in heard for w in text.words]
    assert len(words) > 5
    assert [w.text for w in words] == [text for _, _, text in expected]
    for at, time in ((0, "start"), (1, "end")):
        told = [getattr(w.span, time) / 1e6 for w in words]
        assert told == pytest.approx([e[at] for e in expected], abs=1e-3)


def test_texts_are_what_the_model_card_decodes(
    encoder: Whisper, folder: Path, spoken: Samples, heard: list[TimedText]
) -> None:
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    processor = WhisperProcessor.from_pretrained(folder)
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    said = ""
    for segment in speech_segments(chunks(spoken), silero(), CUT):
        inputs = processor(segment.samples, sampling_rate=RATE, return_tensors="pt")
        ids = model.generate(
            inputs.input_features,
            language=heard[0].source[-3:-1],
            task="transcribe",
            return_timestamps=True,
            force_unique_generate_call=True,
        )
        said += processor.batch_decode(ids, skip_special_tokens=True)[0] + " "
    assert " ".join(t.text for t in heard).split() == said.split()
    assert all(t.track == "transcript" and 0 <= (t.confidence or 0) <= 1 for t in heard)


def test_lines_lie_in_time_order_within_the_sound(heard: list[TimedText]) -> None:
    assert all(0 <= t.span.start < t.span.end <= 11_000_000 for t in heard)
    for text in heard:
        starts = [w.span.start for w in text.words]
        assert starts == sorted(starts)


def test_neither_chunks_nor_batches_nor_a_second_run_change_anything(
    folder: Path, encoder: Whisper, spoken: Samples, heard: list[TimedText]
) -> None:
    def same(other: list[TimedText]) -> None:
        assert [(t.span, t.text, t.words) for t in other] == [
            (t.span, t.text, t.words) for t in heard
        ]
        sure = [t.confidence for t in heard]
        assert [t.confidence for t in other] == pytest.approx(sure, abs=1e-3)

    same(list(encoder.encode(chunks(spoken, 70_001))))
    encoder.close()
    encoder.setup("cpu")
    assert list(encoder.encode(chunks(spoken))) == heard
    other = ready(folder, batch=1)
    sounds = [s.samples for s in speech_segments(chunks(spoken), silero(), CUT)]
    sounds += [sounds[0][: 3 * RATE], sounds[0][RATE : 2 * RATE]]
    alone = other._hear(sounds, "en", 0)
    together = encoder._hear(sounds, "en", 0)
    for a, b in zip(alone, together, strict=True):
        assert [(w.text, w.start) for x in a.lines for w in x.words] == [
            (w.text, w.start) for x in b.lines for w in x.words
        ]
        assert a.logprob == pytest.approx(b.logprob, abs=1e-4)
        assert a.no_speech == pytest.approx(b.no_speech, abs=1e-4)
    same(list(other.encode(chunks(spoken))))


def test_beams_and_no_repeats(folder: Path, spoken: Samples) -> None:
    encoder = ready(folder, beam=3)
    (heard,) = encoder._hear([spoken[: 5 * RATE]], "en", 0)
    assert heard.lines
    (calm,) = encoder._hear([spoken[: 5 * RATE]], "en", 2)
    for line in calm.lines:
        pairs = list(pairwise(line.text.replace(",", " ,").split()))
        assert len(set(pairs)) == len(pairs)


def test_a_tenth_of_a_second_and_silence(encoder: Whisper) -> None:
    for samples in (np.zeros(1600, np.float32), np.zeros(1, np.float32)):
        assert list(encoder.encode(chunks(samples))) == []
        (heard,) = encoder._hear([samples], "en", 0)
        assert 0 <= heard.no_speech <= 1


def test_english_only_and_without_word_times(tmp_path: Path, spoken: Samples) -> None:
    folder = tiny.make(tmp_path / "en", multilingual=False, word_times=False)
    encoder = ready(folder)
    texts = list(encoder.encode(chunks(spoken)))
    assert texts
    assert {t.source for t in texts} == {"whisper (en)"}
    assert all(not t.words and t.confidence for t in texts)
    assert "no word times" in encoder.describe()
    with pytest.raises(ConfigError, match=r"no language 'de'.*knows en"):
        list(ready(folder, language="de").encode(chunks(spoken)))


def test_describe_says_what_is_done(folder: Path) -> None:
    told = Whisper(checkpoint=str(folder), beam=5, language="de").describe()
    for part in ("30 s", "5 beams", "language de", "alignment heads", "never sampling"):
        assert part in told
    assert "found once a file" in Whisper(checkpoint=str(folder)).describe()


def damaged(folder: Path, into: Path) -> Path:
    into.mkdir()
    for file in folder.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    return into


def test_missing_and_other_tensors_are_refused(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path / "missing")
    tensors = load_file(other / "model.safetensors")
    name = next(n for n in tensors if n.endswith("layers.1.fc1.weight"))
    save_file({n: t for n, t in tensors.items() if n != name}, other / "model.safetensors")
    with pytest.raises(MismatchError, match=r"missing.*layers\.1\.fc1\.weight"):
        ready(other)
    save_file({**tensors, "extra.weight": tensors[name]}, other / "model.safetensors")
    with pytest.raises(MismatchError, match=r"unexpected.*extra\.weight"):
        ready(other)


def test_a_checkpoint_without_time_stamps_is_refused(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path / "plain")
    (other / "generation_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no_timestamps_token_id"):
        ready(other)


def test_weights_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    encoder = Whisper(checkpoint="openai/whisper-none-such")
    with pytest.raises(MissingWeightsError) as told:
        encoder.setup("cpu")
    assert told.value.mend == "hf download openai/whisper-none-such"


def test_the_published_architecture() -> None:
    """Values of openai/whisper-large-v3-turbo's config.json; built without weights."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    data = json.loads((FULL / "whisper" / "config.json").read_text())
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(WhisperConfig.from_dict(data))
    known = Whisper.published[Whisper.checkpoint]
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(known.parameters, rel=0.03)
    assert known.dim is None
    assert Whisper().space is None
