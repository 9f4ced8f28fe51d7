"""Speaker turns, against pyannote's own pipeline on a small checkpoint with random weights."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pyannote.audio")

from checkpoints import pyannote as small

from egorag.encode.base import Available
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.pyannote import Pyannote
from egorag.encode.vad import RATE
from egorag.errors import ConfigError
from egorag.media.reader import sound
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.types import TimedText

Samples = npt.NDArray[np.float32]
FULL = Path(__file__).parents[2] / "benchmarks" / "full_size" / "pyannote"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("pyannote") / "pipeline")


@pytest.fixture(scope="module")
def spoken(shared_data: Path) -> Samples:
    """11 s of a real voice."""
    read = sound(shared_data / "media" / "jfk.flac", SoundSampling(RATE))
    return np.concatenate([chunk.samples for chunk in read])


def chunks(samples: Samples, size: int = 4096, start: int = 0) -> Iterator[SoundChunk]:
    for at in range(0, len(samples), size):
        yield SoundChunk(start + at, RATE, samples[at : at + size])


def ready(folder: Path, **settings: Any) -> Pyannote:
    encoder = Pyannote(checkpoint=str(folder), **settings)
    encoder.setup("cpu")
    return encoder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[Pyannote]:
    made = ready(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def turns(encoder: Pyannote, spoken: Samples) -> list[TimedText]:
    return list(encoder.encode(chunks(spoken)))


def test_turns_are_those_of_the_package(
    folder: Path, spoken: Samples, turns: list[TimedText]
) -> None:
    """Oracle: the model card's ``Pipeline.from_pretrained(...)(...)``, on files of our making."""
    from pyannote.audio import Pipeline

    pipeline = Pipeline.from_pretrained(folder)
    found = pipeline({"waveform": torch.from_numpy(spoken)[None], "sample_rate": RATE})
    expected = [
        (turn.start, turn.end, label)
        for turn, _, label in found.exclusive_speaker_diarization.itertracks(yield_label=True)
    ]
    assert expected
    assert [t.text for t in turns] == [label for *_, label in expected]
    ends = [min(end, len(spoken) / RATE) for _, end, _ in expected]
    assert [t.span.start / 1e6 for t in turns] == pytest.approx(
        [max(0.0, start) for start, *_ in expected], abs=1e-5
    )
    assert [t.span.end / 1e6 for t in turns] == pytest.approx(ends, abs=1e-5)
    assert {t.track for t in turns} == {"speaker"}


def test_neither_chunks_nor_batches_nor_a_second_run_change_anything(
    folder: Path, encoder: Pyannote, spoken: Samples, turns: list[TimedText]
) -> None:
    assert list(ready(folder, batch=1).encode(chunks(spoken, 70_001))) == turns
    encoder.close()
    encoder.setup("cpu")
    assert list(encoder.encode(chunks(spoken))) == turns


def test_times_count_from_the_videos_start(encoder: Pyannote, spoken: Samples) -> None:
    now, later = (
        list(encoder.encode(chunks(spoken[: 3 * RATE], start=start))) for start in (0, 2 * RATE)
    )
    assert now
    assert [t.span.start - 2_000_000 for t in later] == [t.span.start for t in now]


@pytest.mark.parametrize("seconds", [0, 0.01, 0.2, 1.0])
def test_short_sound(encoder: Pyannote, spoken: Samples, seconds: float) -> None:
    length = round(seconds * RATE)
    found = list(encoder.encode(chunks(spoken[RATE : RATE + length])))
    assert all(0 <= t.span.start < t.span.end <= seconds * 1e6 for t in found)


def test_silence_and_damage_do_not_fail(encoder: Pyannote) -> None:
    damaged = np.full(3 * RATE, np.nan, np.float32)
    list(encoder.encode(chunks(damaged)))


def test_nothing_is_reported_to_anybody(encoder: Pyannote) -> None:
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "false"
    assert not is_metrics_enabled()


def copied(folder: Path, into: Path) -> tuple[Path, Path]:
    shutil.copytree(folder, into)
    return into, into / "segmentation" / "pytorch_model.bin"


def test_missing_and_other_tensors_are_refused(folder: Path, tmp_path: Path) -> None:
    other, file = copied(folder, tmp_path / "other")
    held = torch.load(file, weights_only=False)
    tensor = held["state_dict"].pop("classifier.weight")
    torch.save(held, file)
    with pytest.raises(MismatchError, match=r"missing.*classifier\.weight"):
        ready(other)
    held["state_dict"].update({"classifier.weight": tensor, "more.weight": tensor})
    torch.save(held, file)
    with pytest.raises(MismatchError, match=r"unexpected.*more\.weight"):
        ready(other)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


def test_a_checkpoint_that_holds_code_is_refused_and_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other, file = copied(folder, tmp_path / "other")
    held = torch.load(file, weights_only=False)
    torch.save({**held, "extra": Evil()}, file)
    with pytest.raises(ConfigError, match=r"weights alone \(it holds posix\.mkdir\)"):
        ready(other)
    file.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ConfigError, match="weights alone"):
        ready(other)
    held["pyannote.audio"]["architecture"] = {"module": "subprocess", "class": "Popen"}
    torch.save(held, file)
    with pytest.raises(ConfigError, match=r"subprocess\.Popen, which is not run"):
        ready(other)
    assert not (tmp_path / "pwned").exists()


def test_other_pipelines_are_refused(folder: Path, tmp_path: Path) -> None:
    other, _ = copied(folder, tmp_path / "other")
    config = other / "config.yaml"
    config.write_text(small.CONFIG.replace("audio.pipelines.SpeakerDiarization", "x.Y"))
    with pytest.raises(ConfigError, match=r"pyannote\.x\.Y"):
        ready(other)
    config.write_text(small.CONFIG.replace("$model/plda", "somebody/else"))
    with pytest.raises(ConfigError, match="plda is 'somebody/else'"):
        ready(other)
    config.unlink()
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        ready(other)


def test_its_hash_counts_every_part(folder: Path, tmp_path: Path) -> None:
    other, _ = copied(folder, tmp_path / "other")
    before = Pyannote(checkpoint=str(folder)).fingerprint()
    assert Pyannote(checkpoint=str(other)).fingerprint() == before
    np.savez(other / "plda" / "plda.npz", mu=np.ones(128), tr=np.eye(128), psi=np.ones(128))
    assert Pyannote(checkpoint=str(other)).fingerprint() != before


def test_weights_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingWeightsError) as told:
        Pyannote().setup("cpu")
    assert told.value.mend == "hf download pyannote/speaker-diarization-community-1"
    assert Pyannote.published[Pyannote().checkpoint].gated


def test_warnings_nobody_can_act_on_stay_away(
    encoder: Pyannote, recwarn: pytest.WarningsRecorder
) -> None:
    encoder.close()
    encoder.setup("cpu")  # sets its filters
    hum = 0.3 * np.sin(np.arange(RATE // 10, dtype=np.float32) * 0.2)
    list(encoder.encode(chunks(hum.astype(np.float32))))
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_it_says_which_number_format_it_runs_in(folder: Path) -> None:
    encoder = Pyannote(checkpoint=str(folder))
    assert encoder.on("cuda").dtype == "float32"
    assert encoder.on("cuda").fingerprint() == encoder.fingerprint()


def test_settings(folder: Path) -> None:
    for wrong in (
        {"num_speakers": 0},
        {"min_speakers": 3, "max_speakers": 2},
        {"dtype": "float16"},
    ):
        with pytest.raises(ValueError):
            Pyannote(**wrong)
    assert Pyannote().skip_reason(Available(True, False, True, True)) == "no sound"
    assert Pyannote().skip_reason(Available(False, True, True, True)) is None
    assert "230 MB an hour" in Pyannote().describe()


def test_the_published_architecture() -> None:
    """PyanNet as pyannote/segmentation-3.0's config has it and WeSpeaker's ResNet34."""
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    data = json.loads((FULL / "config.json").read_text())
    segmentation = PyanNet(**data["segmentation"])
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["1", "2", "3"],
        powerset_max_classes=2,
    )
    segmentation.setup()
    parts = [*segmentation.parameters(), *WeSpeakerResNet34(**data["embedding"]).parameters()]
    known = Pyannote.published[Pyannote().checkpoint]
    assert sum(p.numel() for p in parts) == pytest.approx(known.parameters, rel=0.03)
    assert Pyannote().space is None
