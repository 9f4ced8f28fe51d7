"""faster-whisper, against its own ``transcribe`` on a tiny converted checkpoint."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("faster_whisper")

from checkpoints import whisper as tiny

from egorag.encode.faster_whisper import FasterWhisper
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.transcriber import CUT
from egorag.encode.vad import RATE, silero, speech_segments
from egorag.errors import ConfigError
from egorag.media.reader import sound
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.types import TimedText

Samples = npt.NDArray[np.float32]
FULL = Path(__file__).parents[2] / "benchmarks" / "full_size"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("faster")
    return tiny.convert(tiny.make(made / "transformers"), made / "ctranslate2")


@pytest.fixture(scope="module")
def spoken(shared_data: Path) -> Samples:
    """11 s of a real voice."""
    read = sound(shared_data / "media" / "jfk.flac", SoundSampling(RATE))
    return np.concatenate([chunk.samples for chunk in read])


def chunks(samples: Samples, size: int = 4096) -> Iterator[SoundChunk]:
    for at in range(0, len(samples), size):
        yield SoundChunk(at, RATE, samples[at : at + size])


def ready(folder: Path, **settings: Any) -> FasterWhisper:
    given = {"compression": 1000.0, "compute_type": "float32", "beam": 1, **settings}
    encoder = FasterWhisper(checkpoint=str(folder), **given)
    encoder.setup("cpu")
    return encoder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[FasterWhisper]:
    made = ready(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def heard(encoder: FasterWhisper, spoken: Samples) -> list[TimedText]:
    return list(encoder.encode(chunks(spoken)))


def test_words_are_those_of_the_package(
    folder: Path, spoken: Samples, heard: list[TimedText]
) -> None:
    """Oracle: the package's pipeline on each stretch alone. It places the first word after a
    pause by how long the pause was, so that word may begin elsewhere."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    pipeline = BatchedInferencePipeline(WhisperModel(str(folder), "cpu", compute_type="float32"))
    expected = []
    for segment in speech_segments(chunks(spoken), silero(), CUT):
        segments, _ = pipeline.transcribe(
            segment.samples,
            language="en",
            beam_size=1,
            temperature=0,
            without_timestamps=False,
            word_timestamps=True,
            clip_timestamps=[{"start": 0, "end": len(segment.samples) / RATE}],
        )
        for said in segments:
            expected += [(segment.start / RATE + w.end, w.word.strip()) for w in said.words]
    words = [w for text in heard for w in text.words]
    assert len(words) > 2
    assert [w.text for w in words] == [text for _, text in expected]
    assert [w.span.end / 1e6 for w in words] == pytest.approx([e for e, _ in expected], abs=0.011)
    assert all(t.track == "transcript" and t.source == "faster-whisper (en)" for t in heard)


def test_neither_chunks_nor_batches_nor_a_second_run_change_anything(
    folder: Path, encoder: FasterWhisper, spoken: Samples, heard: list[TimedText]
) -> None:
    assert list(encoder.encode(chunks(spoken, 70_001))) == heard
    encoder.close()
    encoder.setup("cpu")
    assert list(encoder.encode(chunks(spoken))) == heard
    sounds = [spoken[: 9 * RATE], spoken[RATE : 3 * RATE], spoken[5 * RATE :]]
    alone = ready(folder, batch=1)._hear(sounds, "en", 0)
    together = ready(folder, batch=3)._hear(sounds, "en", 0)
    for a, b in zip(alone, together, strict=True):
        assert [(w.text, w.start, w.end) for x in a.lines for w in x.words] == [
            (w.text, w.start, w.end) for x in b.lines for w in x.words
        ]
        assert a.logprob == pytest.approx(b.logprob, abs=1e-3)
        assert a.no_speech == pytest.approx(b.no_speech, abs=1e-3)


def test_very_short_sound_and_silence(encoder: FasterWhisper) -> None:
    for samples in (np.zeros(1600, np.float32), np.zeros(1, np.float32)):
        assert list(encoder.encode(chunks(samples))) == []
    (heard,) = encoder._hear([np.zeros(1600, np.float32)], "en", 0)
    assert 0 <= heard.no_speech <= 1


def test_short_names_are_those_of_the_package() -> None:
    named = {
        "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
        "tiny": "Systran/faster-whisper-tiny",
    }
    for short, name in named.items():
        assert FasterWhisper(checkpoint=short).checkpoint == name
        assert name in FasterWhisper.published
    assert FasterWhisper().checkpoint == named["turbo"]
    with pytest.raises(ValueError, match="no model 'turob'; did you mean 'turbo'"):
        FasterWhisper(checkpoint="turob")


def test_compute_types(folder: Path) -> None:
    encoder = FasterWhisper(checkpoint=str(folder))
    assert encoder.on("cpu").compute_type == "int8"
    assert encoder.fingerprint() == encoder.on("cpu").fingerprint()
    assert encoder.fingerprint() != ready(folder).fingerprint()
    assert (
        FasterWhisper(compute_type="int8").memory() < FasterWhisper(compute_type="float16").memory()
    )
    with pytest.raises(ValueError, match="compute_type 'int9'; did you mean 'int8'"):
        FasterWhisper(compute_type="int9")
    with pytest.raises(ValueError, match="set compute_type"):
        FasterWhisper(dtype="float32")
    with pytest.raises(ConfigError, match="no compute_type 'float16'"):
        ready(folder, compute_type="float16")


def test_a_variable_that_is_missing_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    lost = "decoder/layer_1/ffn/linear_0/weight"
    (tmp_path / "model.bin").write_bytes(without((folder / "model.bin").read_bytes(), lost))
    with pytest.raises(ConfigError, match=lost):
        ready(tmp_path)


def without(data: bytes, lost: str) -> bytes:
    """CTranslate2's ``model.bin`` with one array left out: name, shape, type and bytes of each."""
    at = 4

    def text(at: int) -> tuple[str, int]:
        (length,) = struct.unpack_from("<H", data, at)
        return data[at + 2 : at + 2 + length - 1].decode(), at + 2 + length

    _, at = text(at)
    count_at = at + 4
    (count,) = struct.unpack_from("<I", data, count_at)
    at = count_at + 4
    kept = []
    for _ in range(count):
        begin = at
        name, at = text(at)
        at += 1 + 4 * data[at] + 1
        (size,) = struct.unpack_from("<I", data, at)
        at += 4 + size
        if name != lost:
            kept.append(data[begin:at])
    assert len(kept) == count - 1
    return data[:count_at] + struct.pack("<I", len(kept)) + b"".join(kept) + data[at:]


def test_files_that_are_not_its_own_are_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.bin").write_bytes(b"\x80\x04not a model")
    with pytest.raises(ConfigError, match="cannot be loaded as a CTranslate2 Whisper"):
        ready(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"has no tokenizer\.json"):
        ready(tmp_path)
    with pytest.raises(ConfigError, match=r"has no model\.bin"):
        ready(folder.parent / "transformers")


def test_weights_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    encoder = FasterWhisper(checkpoint="tiny")
    with pytest.raises(MissingWeightsError) as told:
        encoder.setup("cpu")
    assert told.value.mend == "hf download Systran/faster-whisper-tiny"


def test_constructing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from egorag.encode.faster_whisper import FasterWhisper; FasterWhisper();"
        "from egorag.encode.whisper import Whisper; Whisper();"
        "assert not {'torch', 'ctranslate2', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("preset", ["faster_whisper", "faster_whisper_distil"])
def test_the_published_architecture(preset: str) -> None:
    """The same networks as transformers' checkpoints; built without weights."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    data = json.loads((FULL / preset / "config.json").read_text())
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(WhisperConfig.from_dict(data))
    name = {"faster_whisper": "turbo", "faster_whisper_distil": "distil-large-v3.5"}[preset]
    known = FasterWhisper.published[FasterWhisper(checkpoint=name).checkpoint]
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(known.parameters, rel=0.03)
    assert known.dim is None
