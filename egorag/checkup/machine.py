"""Versions and abilities of this machine that results may depend on."""

from __future__ import annotations

import importlib.util
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version

from egorag import __version__
from egorag.encode.pretrained.placement import device_of, free_memory

PACKAGES = (
    "av", "faiss-cpu", "faiss-gpu", "hydra-core", "onnxruntime", "rapidocr", "torch",
    "torchvision", "torchaudio", "transformers", "sentence-transformers", "faster-whisper",
    "open-clip-torch", "pyannote.audio", "huggingface-hub",
)  # fmt: skip


def check_machine(device: str) -> dict[str, str]:
    """What is here, by name. Imports torch only for a device other than ``cpu``.

    Raises:
        ConfigError: the device is not there.
    """
    found = {
        "egorag": __version__,
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
        "sqlite": f"{sqlite3.sqlite_version}, FTS5 {'yes' if _has_fts5() else 'MISSING'}",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    if importlib.util.find_spec("faiss") is not None:
        import faiss

        count = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
        found["faiss runs on"] = f"{count} GPU(s)" if count else "CPU"
    found["free memory"] = _free(device)
    return found


def _free(device: str) -> str:
    try:
        place = device_of(device)
    except ImportError:  # no torch: then only the CPU
        place = "cpu"
    return f"{free_memory(place) / 1e9:.1f} GB on {place}"


def _has_fts5() -> bool:
    try:
        with sqlite3.connect(":memory:") as db:
            db.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    except sqlite3.OperationalError:
        return False
    return True
