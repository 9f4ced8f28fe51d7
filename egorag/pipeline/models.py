"""Encoders whose weights are in memory: loaded when first needed, once, closed at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from egorag.encode.base import Encoder
from egorag.errors import ConfigError, EgoragError


class SetupError(ConfigError):
    """An encoder's weights or packages are missing: no video could do better, so the run ends."""


class Models:
    """Keeps track of which encoders are loaded."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._loaded: list[Encoder] = []

    def load(self, encoders: Iterable[Encoder]) -> None:
        """Load those that are not loaded yet.

        Raises:
            SetupError: what the encoder says is missing.
        """
        for encoder in encoders:
            if any(encoder is other for other in self._loaded):
                continue
            try:
                encoder.setup(self._device)
            except (EgoragError, ImportError, OSError) as error:
                raise SetupError(
                    f"encoder {type(encoder).__name__} cannot be set up: {error}; "
                    "python -m egorag.doctor tells what each encoder needs"
                ) from error
            self._loaded.append(encoder)

    def close(self) -> None:
        """Give all memory back."""
        while self._loaded:
            self._loaded.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
