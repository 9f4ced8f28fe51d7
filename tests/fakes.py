"""Pretrained encoders in small: real checkpoints of one tiny tensor, no torch, faults on demand.

``EVENTS`` holds what they did, in order, as (what, checkpoint). ``install`` makes them plugins of
a package, as another distribution would.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from safetensors.numpy import load_file, save_file

from egorag.encode.base import Available, Medium, Over
from egorag.encode.pretrained.base import Pretrained, Published, by_name
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError
from egorag.media.sampling import FrameSampling, SoundSampling
from egorag.spaces import EmbeddingSpace
from egorag.types import TimedText

EVENTS: list[tuple[str, str]] = []

GB = 10**9


def checkpoint(folder: Path, seed: int = 0) -> str:
    """A checkpoint folder; its weights decide the vectors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"dim": 3}))
    weights = np.random.default_rng(seed).normal(size=(3, 3)).astype(np.float32)
    save_file({"weights": weights}, folder / "model.safetensors")
    return str(folder)


def _unsaid(default: Any) -> Any:
    return field(default=default, metadata={"affects_output": False})


@dataclass(frozen=True, kw_only=True)
class Fake(Pretrained):
    """What all have.

    Attributes:
        size, work: bytes of its weights and its batch, for the planner.
        fault: ``fetch``, ``setup``, ``memory`` and ``gpu memory`` (as full ones fail), or
            ``encode N``: fails on the Nth video.
    """

    family: ClassVar[str] = "fake"
    packages: ClassVar[dict[str, str]] = {"numpy": "numpy"}
    published: ClassVar[dict[str, Published]] = {
        "nobody/fake": Published(1e9, 3, "MIT", download=2e9),
        "nobody/gated": Published(1e9, 3, "secret", gated=True),
    }

    checkpoint: str = by_name("nobody/fake")
    size: int = _unsaid(GB)
    work: int = _unsaid(0)
    fault: str = _unsaid("")
    _count: list[str] = field(
        default_factory=list, init=False, repr=False, compare=False,
        metadata={"affects_output": False},
    )  # fmt: skip

    @property
    def name(self) -> str:
        return Path(self.checkpoint).name

    @property
    def space(self) -> EmbeddingSpace | None:
        return self.space_of(int(self.source().read_json()["dim"]), "text")

    def fetch(self) -> None:
        EVENTS.append(("fetch", self.name))
        if self.fault == "fetch":
            raise ConfigError(f"{self.checkpoint} cannot be fetched; run: hf download it")
        super().fetch()

    def fingerprint(self) -> str:
        EVENTS.append(("fingerprint", self.name))
        return super().fingerprint()

    def memory(self) -> int:
        return self.size + self.work

    def weights_memory(self) -> float:
        return self.size

    def share_key(self) -> Hashable:
        return self.checkpoint

    def describe(self) -> str:
        return f"the weights of {self.name} times the mean colour"

    def _load(self, placement: Placement) -> Any:
        EVENTS.append(("setup", self.name))
        if self.fault == "setup":
            raise ConfigError("its weights are of another model")
        if self.fault == "memory":
            raise MemoryError
        if self.fault == "gpu memory":
            import torch

            raise torch.OutOfMemoryError("CUDA out of memory")
        return load_file(self.source().folder / "model.safetensors")["weights"]

    def close(self) -> None:
        if self._loaded is not None:
            EVENTS.append(("close", self.name))
        super().close()

    def _encode(self) -> None:
        """Once a video; whether this is the one to fail on."""
        EVENTS.append(("encode", self.name))
        self._count.append("")
        if self.fault == f"encode {len(self._count)}":
            raise RuntimeError("out of luck")


@dataclass(frozen=True, kw_only=True)
class FakeFrames(Fake):
    """The mean colour of a scene, through its weights."""

    medium: ClassVar[Medium] = Medium.FRAMES
    batch_size: ClassVar[int] = 10**6

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(rate=2, longest=16)

    def encode(self, batch: Sequence[Any]) -> Any:
        self._encode()
        rows = np.stack([np.mean([f.image.mean((0, 1)) for f in c.frames], 0) for c in batch])
        return (rows @ self.loaded).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class FakeSpeech(Fake):
    """Timed text from sound; stands back for subtitles."""

    medium: ClassVar[Medium] = Medium.SOUND
    over: ClassVar[Over] = Over.STREAM
    space: ClassVar[None] = None

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(8000)

    def skip_reason(self, available: Available) -> str | None:
        return "has subtitles" if available.subtitles else super().skip_reason(available)

    def encode(self, stream: Iterable[Any]) -> Iterator[TimedText]:
        self._encode()
        for number, chunk in enumerate(stream):
            if number % 8 == 0:
                said = f"{self.name} heard number {number}"
                yield TimedText(chunk.span, said, "transcript", self.name)


@dataclass(frozen=True, kw_only=True)
class FakeText(Fake):
    """Letters counted, through its weights."""

    medium: ClassVar[Medium] = Medium.TEXT
    sampling: ClassVar[None] = None

    def encode(self, batch: Sequence[Any]) -> Any:
        self._encode()
        rows = [[len(d.text), d.text.count("e"), d.text.count(" ")] for d in batch]
        return (np.array(rows, np.float32) @ self.loaded).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Unpacked(FakeFrames):
    """Needs a package that nobody has."""

    packages: ClassVar[dict[str, str]] = {"no_such_module": "no-such-package"}
    checkpoint: str = by_name("nobody/gated")


@dataclass(frozen=True, kw_only=True)
class Gated(FakeFrames):
    """Weights that must be asked for."""

    checkpoint: str = by_name("nobody/gated")


PLUGINS = {
    "fake_frames": "fakes:FakeFrames",
    "fake_speech": "fakes:FakeSpeech",
    "fake_text": "fakes:FakeText",
    "fake_unpacked": "fakes:Unpacked",
    "fake_gated": "fakes:Gated",
    "fake_absent": "no_such_module:Absent",
}


def install(folder: Path) -> str:
    """A distribution in ``folder`` that registers ``PLUGINS``; what PYTHONPATH must hold."""
    info = folder / "fakes_egorag-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fakes-egorag\nVersion: 1.0\n")
    points = "".join(f"{name} = {value}\n" for name, value in PLUGINS.items())
    (info / "entry_points.txt").write_text(f"[egorag.encoders]\n{points}")
    return f"{folder}:{Path(__file__).parent}"
