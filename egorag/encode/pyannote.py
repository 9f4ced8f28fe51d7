"""Who speaks when: speaker diarization by pyannote.audio 4 (Bredin 2023, "community-1").

The package's own loader unpickles whatever a checkpoint holds and imports the classes its config
names. Here the same parts are loaded as weights alone, from the package's own architectures, and
put together to the package's own pipeline. Its telemetry is switched off before it is imported.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from egorag.encode.base import Medium, Over
from egorag.encode.pretrained.base import Pretrained, Published, by_name
from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.loading import check_keys, place
from egorag.encode.pretrained.placement import Placement
from egorag.encode.vad import RATE
from egorag.errors import ConfigError
from egorag.media.sampling import SoundChunk, SoundSampling
from egorag.spans import MICROSECONDS, Span
from egorag.types import TimedText

PIPELINE = "pyannote.audio.pipelines.SpeakerDiarization"
_PARTS = ("segmentation", "embedding")
_WEIGHTS = "pytorch_model.bin"


@dataclass(frozen=True, kw_only=True)
class Pyannote(Pretrained):
    """Speaker turns: track ``speaker``, one timed text a turn, its text the label
    (``SPEAKER_00``). Where there is a transcript, its lines are given these speakers.

    Labels name nobody, hold within one file, and come from the whole of it: what is said late may
    change how early turns are told apart. The file's sound lies in a temporary file, 230 MB an
    hour, mapped into memory. One model in float32; batches change scores by rounding only.

    Attributes:
        exclusive: never two speakers at once, as suits a transcript; off: overlapping turns too.
        num_speakers: how many there are, where known.
        min_speakers, max_speakers: bounds, where known.
    """

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.STREAM
    family: ClassVar[str] = "pyannote"
    packages: ClassVar[Mapping[str, str]] = {"torch": "torch", "pyannote.audio": "pyannote.audio"}
    extra: ClassVar[str] = "speakers"
    working_bytes: ClassVar[float] = 1.5e9
    published: ClassVar[Mapping[str, Published]] = {
        "pyannote/speaker-diarization-community-1": Published(
            8.11e6, None, "CC-BY-4.0", gated=True, download=33e6
        ),
    }

    checkpoint: str = by_name("pyannote/speaker-diarization-community-1")
    exclusive: bool = True
    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    batch: int | None = field(default=None, metadata={"affects_output": False})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype not in ("auto", "float32") or self.attention != "auto":
            raise ValueError("pyannote runs in float32 and has no attention; leave both at auto")
        counts = (self.num_speakers, self.min_speakers, self.max_speakers)
        if any(count is not None and count < 1 for count in counts):
            raise ValueError(f"numbers of speakers must be at least 1, got {counts}")
        if (self.min_speakers or 1) > (self.max_speakers or 10**9):
            raise ValueError(
                f"min_speakers {self.min_speakers} is more than max_speakers {self.max_speakers}"
            )

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(rate=RATE)

    @property
    def space(self) -> None:
        return None

    def on(self, device: str) -> Pyannote:
        """With ``dtype`` as it is on every device."""
        return replace(self, dtype="float32")

    def _load(self, placement: Placement) -> Any:
        os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
        # Statistics over a window in which somebody hardly speaks: expected, and handled there.
        warnings.filterwarnings("ignore", module=r"pyannote\.audio\.")
        # Means over no speakers, told from inside numpy: a sound in which nobody speaks.
        for said in ("Mean of empty slice", "invalid value encountered in divide"):
            warnings.filterwarnings("ignore", said, RuntimeWarning, r"numpy\._core\.")
        import torch
        from pyannote.audio.core.plda import PLDA
        from pyannote.audio.pipelines import SpeakerDiarization

        source = self.source()
        config = _config(source)
        params = dict(config["pipeline"].get("params", {}))
        models = {
            part: place(_model(source, f"{_inside(params, part)}/{_WEIGHTS}"), placement)
            for part in _PARTS
        }
        size = self.batch or (32 if placement.device.startswith("cuda") else 4)
        folder = source.folder / _inside(params, "plda")
        try:
            plda = PLDA(folder / "xvec_transform.npz", folder / "plda.npz")  # numpy, no pickles
            pipeline = SpeakerDiarization(
                segmentation=models["segmentation"],
                embedding=models["embedding"],
                plda=plda,
                clustering=params.get("clustering", "VBxClustering"),
                embedding_exclude_overlap=bool(params.get("embedding_exclude_overlap", False)),
                segmentation_step=float(params.get("segmentation_step", 0.1)),
                segmentation_batch_size=size,
                embedding_batch_size=size,
            )
            pipeline.instantiate(config.get("params", {}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{source} is not a whole diarization pipeline: {error}; fetch it again"
            ) from error
        return pipeline.to(torch.device(placement.device))

    def encode(self, data: Iterable[SoundChunk]) -> Iterator[TimedText]:
        """Yield turns in time order, once the whole stream has been heard."""
        import torch

        with tempfile.TemporaryFile() as file:
            start, length = _store(data, file)
            if length < RATE // 10:  # too short to hold a voice
                return
            sound = np.memmap(file, np.float32, mode="c", shape=(1, length))
            asked = {"num_speakers": self.num_speakers}
            if self.num_speakers is None:
                asked = {"min_speakers": self.min_speakers, "max_speakers": self.max_speakers}
            with torch.inference_mode():
                found = self.loaded(
                    {"waveform": torch.from_numpy(sound), "sample_rate": RATE, "uri": "sound"},
                    **asked,
                )
            told = found.exclusive_speaker_diarization
            turns = told if self.exclusive else found.speaker_diarization
            end = start + length * MICROSECONDS // RATE
            for turn, _, label in turns.itertracks(yield_label=True):
                span = Span(
                    min(end, start + round(max(0.0, turn.start) * MICROSECONDS)),
                    min(end, start + round(turn.end * MICROSECONDS)),
                )
                if span.duration:
                    yield TimedText(span, str(label), "speaker", "pyannote")

    def describe(self) -> str:
        count = (
            f"{self.num_speakers}"
            if self.num_speakers
            else (f"between {self.min_speakers or 1} and {self.max_speakers or 'any number of'}")
        )
        kind = "never two at once" if self.exclusive else "overlapping ones too"
        return (
            "16 kHz sound of the whole file, kept in a temporary file of 230 MB an hour; windows "
            f"of 10 s at steps of 1 s, clustered over the file; {count} speakers; turns, {kind}"
        )


def _store(data: Iterable[SoundChunk], file: IO[bytes]) -> tuple[int, int]:
    """The stream as raw float32 in ``file``: its start in microseconds and number of samples."""
    start, length = 0, 0
    for chunk in data:
        if not length:
            start = chunk.start * MICROSECONDS // chunk.rate
        # One NaN of a damaged stream would spread through a whole window.
        file.write(np.nan_to_num(chunk.samples).astype(np.float32).tobytes())
        length += len(chunk.samples)
    file.flush()
    return start, length


def _config(source: Checkpoint) -> dict[str, Any]:
    """The pipeline's config.yaml.

    Raises:
        ConfigError: not there, or another pipeline's.
    """
    import yaml

    try:
        config = yaml.safe_load((source.folder / "config.yaml").read_text(encoding="utf-8"))
        name = config["pipeline"]["name"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{source} has no readable config.yaml of a pipeline ({error}); give "
            "pyannote/speaker-diarization-community-1 or a folder laid out like it"
        ) from error
    if name != PIPELINE:
        raise ConfigError(f"{source} holds a pipeline {name!r}; this encoder runs {PIPELINE}")
    found: dict[str, Any] = config
    return found


def _inside(params: Mapping[str, Any], part: str) -> str:
    """The subfolder of a part, given as ``$model/NAME``.

    Raises:
        ConfigError: it lies elsewhere.
    """
    given = params.get(part)
    folder = given.removeprefix("$model/") if isinstance(given, str) else ""
    if not folder or folder == given or ".." in Path(folder).parts:
        raise ConfigError(
            f"the pipeline's {part} is {given!r}; it must lie in the checkpoint, as $model/NAME"
        )
    return folder


def _model(source: Checkpoint, name: str) -> Any:
    """One of the pipeline's networks, every weight from the checkpoint and nothing unpickled.

    Raises:
        ConfigError: the file is missing, damaged, or holds more than weights and settings.
        MismatchError: tensors are missing, left over or of another shape.
    """
    import pickle

    import torch
    from pyannote.audio.core.model import Model
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from torch.torch_version import TorchVersion

    plain = [Specifications, Problem, Resolution, TorchVersion]  # data only
    try:
        with torch.serialization.safe_globals(plain):
            held = torch.load(source.folder / name, map_location="cpu", weights_only=True)
        about = held["pyannote.audio"]
        module, kind = about["architecture"]["module"], about["architecture"]["class"]
        weights = held["state_dict"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        # torch's own message recommends to run what is in it.
        named = re.search(r"GLOBAL (\S+)", str(error))
        why = f"it holds {named[1]}" if named else type(error).__name__
        raise ConfigError(
            f"{name} of {source} cannot be loaded as weights alone ({why}); it is damaged, or "
            "holds code, which is not run: fetch it again from its owners"
        ) from None
    if not str(module).startswith("pyannote.audio.models."):
        raise ConfigError(f"{name} of {source} names the class {module}.{kind}, which is not run")
    architecture: Any = getattr(importlib.import_module(module), kind, None)
    if not (inspect.isclass(architecture) and issubclass(architecture, Model)):
        raise ConfigError(f"this pyannote.audio has no model {module}.{kind}; upgrade it")
    known = inspect.signature(architecture.__init__).parameters
    settings = {k: v for k, v in held.get("hyper_parameters", {}).items() if k in known}
    model: Any = architecture(**settings)
    model.specifications = about["specifications"]
    model.setup()  # adds the last layer
    try:
        report = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        check_keys(source, kind, {"error_msgs": [str(error).replace("\n", " ")]})
        raise
    check_keys(source, kind, report, ignore=(r"^loss_func\.",))
    return model
