"""What an index is made with: a segmenter and named encoders, built from a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from egorag import registry
from egorag.encode.base import Encoder, Over
from egorag.errors import ConfigError, EgoragError, did_you_mean
from egorag.pipeline.planner import memory_of
from egorag.segment.base import Segmenter, TreeSegmenter
from egorag.spaces import EmbeddingSpace


@dataclass(frozen=True)
class Recipe:
    """How every video of a run is treated.

    Attributes:
        encoders: by the name the config gives them; the order is the config's.
        settings: each encoder's plain settings, ``_target_`` included, as the catalog keeps them.
        event_seconds: adjacent scenes are grouped into events of about this length.
        memory: bytes that encoders may take together; None finds it out.

    Raises:
        ConfigError: the segmenter cuts by moments of an encoder that is not chosen or has none.
    """

    segmenter: Segmenter
    encoders: Mapping[str, Encoder]
    settings: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    event_seconds: float = 60.0
    device: str = "cpu"
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.cut_by is not None and not _yields_moments(self.encoders.get(self.cut_by)):
            raise ConfigError(_no_moments(self.cut_by, self.encoders))

    @property
    def cut_by(self) -> str | None:
        """The encoder whose moments scenes are cut by; None if they are cut while decoding."""
        return self.segmenter.encoder if isinstance(self.segmenter, TreeSegmenter) else None

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """By encoder name, computed once: a checkpoint of many GB is hashed for it."""
        return {name: encoder.fingerprint() for name, encoder in self.encoders.items()}

    @cached_property
    def spaces(self) -> Mapping[str, EmbeddingSpace | None]:
        """By encoder name, likewise."""
        return {name: encoder.space for name, encoder in self.encoders.items()}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Recipe:
        """From the composed config of ``index``; ``prepare`` makes it ready to run.

        Raises:
            ConfigError: an unknown plugin, a mistyped key, a value out of range.
        """
        chosen: Mapping[str, Any] = settings.get("encoders") or {}
        encoders = {name: registry.build("encoders", name, node) for name, node in chosen.items()}
        seconds = settings["events"]["seconds"]
        if not isinstance(seconds, (int, float)) or seconds <= 0:
            raise ConfigError(f"events.seconds must be positive, got {seconds!r}")
        return cls(
            segmenter=registry.build("segmenters", "segmenter", settings["segmenter"]),
            encoders=encoders,
            settings={name: dict(node) for name, node in chosen.items()},
            event_seconds=float(seconds),
            device=str(settings["device"]),
            memory=memory_of(settings["memory"]),
        )


def _yields_moments(encoder: Encoder | None) -> bool:
    if encoder is None or encoder.over is not Over.STREAM:
        return False
    try:
        return encoder.space is not None
    except (EgoragError, ImportError, OSError):
        return True  # only a space asks for weights; what yields text knows without them


def _no_moments(name: str, encoders: Mapping[str, Encoder]) -> str:
    able = [other for other, encoder in encoders.items() if _yields_moments(encoder)]
    state = "yields none" if name in encoders else f"is not chosen{did_you_mean(name, encoders)}"
    mend = (
        f"set segmenter.encoder={able[0]} (those that do: {', '.join(able)})"
        if able
        else "add one that does: +encoder=picture_frames segmenter.encoder=picture_frames"
    )
    return f"the segmenter cuts by moments of encoder {name!r}, which {state}; {mend}"
