"""Whisper as faster-whisper runs it (CTranslate2, no torch): several times faster on a CPU.

Checkpoints are CTranslate2's: ``model.bin`` is its own format of named arrays, not a pickle, and it
refuses a file in which a variable is missing. Source: faster-whisper's README and
``BatchedInferencePipeline``, which this runs with stretches of its own instead of whole files.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.checkpoint import is_path
from egorag.encode.pretrained.placement import Placement
from egorag.encode.transcriber import Heard, HeardWord, Line, Transcriber
from egorag.encode.vad import RATE, Samples
from egorag.errors import ConfigError, MissingPackageError, did_you_mean

SLOT = 40  # seconds: where each stretch begins in the sound handed over, so that none meet
_WIDTH = {"int8": 1, "int8_float16": 1, "int8_bfloat16": 1, "int8_float32": 1}
_WIDTH |= {"float16": 2, "bfloat16": 2, "float32": 4}


@dataclass(frozen=True, kw_only=True)
class FasterWhisper(Transcriber):
    """Speech to words: track ``transcript``, one timed text a line, with word times.

    Each stretch is decoded once at temperature 0 without the text before it. Confidence is the
    mean probability of the words. Batches change the probabilities by rounding only (below 1e-3);
    words are the same unless two hypotheses are that close.

    Attributes:
        checkpoint: hub name, folder, or one of faster-whisper's short names (``tiny``, ``turbo``,
            ``distil-large-v3.5``, ...).
        compute_type: CTranslate2's; ``auto`` is float16 on a GPU and int8 on a CPU.
    """

    family: ClassVar[str] = "faster-whisper"
    packages: ClassVar[Mapping[str, str]] = {"faster_whisper": "faster-whisper"}
    working_bytes: ClassVar[float] = 1.5e9
    published: ClassVar[Mapping[str, Published]] = {
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo": Published(
            808.9e6, None, "MIT", download=1.62e9
        ),
        "distil-whisper/distil-large-v3.5-ct2": Published(756.4e6, None, "MIT", download=1.52e9),
        "Systran/faster-whisper-large-v3": Published(1543.5e6, None, "MIT", download=3.09e9),
        "Systran/faster-whisper-small": Published(241.7e6, None, "MIT", download=0.49e9),
        "Systran/faster-whisper-tiny": Published(37.8e6, None, "MIT", download=0.08e9),
    }

    checkpoint: str = by_name("mobiuslabsgmbh/faster-whisper-large-v3-turbo")
    compute_type: str = "auto"
    beam: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compute_type not in ("auto", *_WIDTH):
            raise ValueError(
                f"unknown compute_type {self.compute_type!r}"
                f"{did_you_mean(self.compute_type, ['auto', *_WIDTH])}"
            )
        if self.dtype != "auto" or self.attention != "auto":
            raise ValueError("CTranslate2 knows no dtype and attention; set compute_type instead")
        if "/" not in self.checkpoint and not is_path(self.checkpoint):
            object.__setattr__(self, "checkpoint", _hub_name(self.checkpoint))

    # -- device and identity, without torch --

    def on(self, device: str) -> Self:
        """With ``compute_type`` as it will be on ``device``."""
        if self.compute_type != "auto":
            return self
        self.check_packages()
        kind, _ = _device(device)
        return replace(self, compute_type="float16" if kind == "cuda" else "int8")

    def _settled(self) -> FasterWhisper:
        return replace(self, compute_type="int8") if self.compute_type == "auto" else self

    def share_key(self) -> Hashable:
        return (self.family, self.checkpoint, self.revision, self.compute_type)

    def weights_memory(self) -> float:
        width = _WIDTH.get(self.compute_type, 2)
        known = self.published.get(self.checkpoint)
        if known is not None:
            return known.parameters * width
        return self.source().weight_bytes * width / 2  # published in float16

    def setup(self, device: str = "cpu") -> None:
        """Load the weights.

        Raises:
            ConfigError: package or weights missing, not CTranslate2's, or a ``compute_type`` that
                the device does not have.
        """
        if self._loaded is not None:
            return
        self.check_packages()
        # Without torch: CTranslate2 has devices and number formats of its own.
        object.__setattr__(self, "_loaded", self._load(Placement(device, "float32")))

    def _load(self, placement: Placement) -> Any:
        import ctranslate2
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        kind, index = _device(placement.device)
        compute = self.on(placement.device).compute_type
        possible = ctranslate2.get_supported_compute_types(kind)
        if compute not in possible:
            raise ConfigError(
                f"{kind} here has no compute_type {compute!r}; it has {', '.join(sorted(possible))}"
            )
        source = self.source()
        for name in ("model.bin", "tokenizer.json"):
            # Without a tokenizer the package would fetch one of another model from the hub.
            if name not in source.files:
                raise ConfigError(
                    f"{source} has no {name}; give a Whisper in CTranslate2's format, as "
                    "ct2-transformers-converter writes it with --copy_files tokenizer.json "
                    "preprocessor_config.json"
                )
        try:
            model = WhisperModel(
                str(source.folder), kind, index, compute_type=compute, local_files_only=True
            )
        except (RuntimeError, ValueError, IndexError) as error:
            raise ConfigError(
                f"{source} cannot be loaded as a CTranslate2 Whisper: {error}; fetch it again, or "
                "give the checkpoint this encoder is for"
            ) from error
        return BatchedInferencePipeline(model)

    # -- hearing --

    def languages(self) -> list[str]:
        model = self.loaded.model
        vocabulary = model.hf_tokenizer
        return [c for c in model.supported_languages if vocabulary.token_to_id(f"<|{c}|>")] or [
            "en"
        ]

    def _detect(self, sound: Samples) -> str:
        language: str = self.loaded.model.detect_language(audio=sound)[0]
        return language

    def _hear(self, sounds: Sequence[Samples], language: str, no_repeat: int) -> list[Heard]:
        laid_out = np.zeros(SLOT * RATE * len(sounds), np.float32)
        clips = []
        for slot, sound in enumerate(sounds):
            at = slot * SLOT * RATE
            laid_out[at : at + len(sound)] = sound
            clips.append({"start": slot * SLOT, "end": slot * SLOT + len(sound) / RATE})
        pipeline = self.loaded
        segments, _ = pipeline.transcribe(
            laid_out,
            language=language,
            beam_size=self.beam,
            temperature=0.0,
            no_repeat_ngram_size=no_repeat,
            word_timestamps=True,
            without_timestamps=False,
            clip_timestamps=clips,
            batch_size=self.batch or (2 if pipeline.model.model.device == "cpu" else len(sounds)),
        )
        found: list[list[Any]] = [[] for _ in sounds]
        for segment in segments:
            found[segment.seek // (SLOT * pipeline.model.frames_per_second)].append(segment)
        return [_heard(said, slot * SLOT) for slot, said in enumerate(found)]

    def describe(self) -> str:
        return f"{self.manner()}; word times; computed in {self.compute_type}"


def _heard(segments: Sequence[Any], offset: float) -> Heard:
    lines = []
    for said in segments:
        words = tuple(
            HeardWord(w.word, float(w.start - offset), float(w.end - offset), float(w.probability))
            for w in said.words
        )
        lines.append(Line(said.text, float(said.start - offset), float(said.end - offset), words))
    if not segments:
        return Heard((), 1.0, 0.0)
    first = segments[0]  # both hold for the stretch as a whole
    return Heard(tuple(lines), float(first.no_speech_prob), float(first.avg_logprob))


def _hub_name(short: str) -> str:
    """What the package's own table calls a short name.

    Raises:
        ValueError: not in the table.
        MissingPackageError: the package is not installed.
    """
    try:
        from faster_whisper.utils import _MODELS
    except ImportError as error:
        raise MissingPackageError(
            f"the short name {short!r} is one of the package faster-whisper, which is missing: "
            f"{FasterWhisper.install_command()}"
        ) from error
    if short not in _MODELS:
        raise ValueError(
            f"faster-whisper has no model {short!r}{did_you_mean(short, list(_MODELS))}; "
            f"it has {', '.join(_MODELS)}, or give a hub name or folder"
        )
    name: str = _MODELS[short]
    return name


def _device(device: str) -> tuple[str, int]:
    """CTranslate2's name and number of a device.

    Raises:
        ConfigError: it is not there.
    """
    import ctranslate2

    kind, colon, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (colon and not index.isdecimal()):
        raise ConfigError(
            f"unknown device {device!r}{did_you_mean(kind, ('auto', 'cpu', 'cuda', 'mps'))}"
        )
    gpus = ctranslate2.get_cuda_device_count()
    if kind == "auto":
        return ("cuda", 0) if gpus else ("cpu", 0)
    if kind == "cuda" and int(index or 0) >= gpus:
        raise ConfigError(
            f"device {device!r} was asked for, but CTranslate2 sees {gpus} GPUs; use device=cpu"
        )
    return ("cuda", int(index or 0)) if kind == "cuda" else ("cpu", 0)  # none for Apple's GPUs
