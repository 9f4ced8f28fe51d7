"""Encoders whose weights are in memory: loaded when first needed, once, closed when told."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Self

from egorag.encode.base import Encoder
from egorag.errors import ConfigError, EgoragError
from egorag.pipeline.planner import gigabytes


class SetupError(ConfigError):
    """An encoder's weights or packages are missing: no video could do better, so the run ends."""


class Models:
    """Keeps track of which encoders are loaded."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._loaded: dict[str, Encoder] = {}

    def load(self, encoders: Mapping[str, Encoder]) -> None:
        """Load those that are not loaded yet.

        Args:
            encoders: by the name the config gives them.

        Raises:
            SetupError: what the encoder says is missing, or that it does not fit. Then nothing is
                loaded any more.
        """
        for name, encoder in encoders.items():
            if name in self._loaded:
                continue
            try:
                encoder.setup(self._device)
            except BaseException as error:
                reason = self._reason(name, encoder, error)
                with contextlib.suppress(Exception):  # it may hold half of its model
                    encoder.close()
                self.close()
                if reason is None:
                    raise
                raise SetupError(reason) from error
            self._loaded[name] = encoder

    def close(self) -> None:
        """Give all memory back."""
        while self._loaded:
            self._loaded.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reason(self, name: str, encoder: Encoder, error: BaseException) -> str | None:
        """Why it could not be set up, for a user; None if that is a bug and keeps its traceback."""
        if _out_of_memory(error):
            needs = getattr(encoder, "memory", None)
            about = f" (it needs about {gigabytes(needs())})" if needs is not None else ""
            others = ", ".join(n for n, e in self._loaded.items() if hasattr(e, "memory"))
            beside = f" beside {others}" if others else ""
            return (
                f"encoder {name} does not fit into the memory of {self._device}{beside}{about}. "
                "Set memory=...GB lower for more passes with fewer models at once, choose a "
                f"smaller preset or encoders.{name}.dtype=bfloat16, end what else uses the "
                "device, or run on device=cpu"
            )
        if isinstance(error, (EgoragError, ImportError, OSError)):
            return (
                f"encoder {name} cannot be set up: {error}; "
                "python -m egorag.doctor tells what each encoder needs"
            )
        return None


def _out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    return isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.OutOfMemoryError)
    )
