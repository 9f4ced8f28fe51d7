"""Tiny real checkpoints: real config classes, processors and tokenizers, random weights, on disk.

One module a model family. Each has ``PRESETS``: by preset (a file of ``configs/encoder``) a
function that writes a checkpoint into a folder and returns the overrides that put it in place of
the published one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

Maker = Callable[[Path], list[str]]


def makers() -> dict[str, Maker]:
    """Every preset's maker; imports torch."""
    found: dict[str, Maker] = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for preset, maker in getattr(loaded, "PRESETS", {}).items():
            assert preset not in found, f"two makers of {preset}"
            found[preset] = maker
    return found
