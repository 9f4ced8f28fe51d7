"""The checks behind ``doctor``: they load what they judge, nothing is guessed."""

from __future__ import annotations

import importlib.util
import platform
import sqlite3
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from egorag import __version__, config, registry
from egorag.errors import EgoragError

PACKAGES = ("av", "faiss-cpu", "faiss-gpu", "hydra-core", "onnxruntime", "rapidocr", "torch")


def check_machine() -> dict[str, str]:
    """Versions and abilities that results may depend on."""
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
    return found


def _has_fts5() -> bool:
    try:
        with sqlite3.connect(":memory:") as db:
            db.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    except sqlite3.OperationalError:
        return False
    return True


def check_encoders(device: str) -> dict[str, dict[str, Any]]:
    """Each registered encoder, really set up with its default settings and closed again."""
    return {name: _check(name, device) for name in sorted(registry.plugins("encoders"))}


def _check(name: str, device: str) -> dict[str, Any]:
    point = registry.plugins("encoders")[name]
    found: dict[str, Any] = {
        "ok": False,
        "plugin": point.value,
        "medium": None,
        "yields": None,
        "queries": [],
        "seconds": None,
        "lacks": None,
        "mend": None,
    }
    began = time.perf_counter()
    try:
        encoder = registry.build("encoders", name, {"_target_": point.value.replace(":", ".")})
        found["medium"] = encoder.medium.value
        space = encoder.space
        found["yields"] = "timed text" if space is None else f"vectors ({space.dim}-d)"
        found["queries"] = sorted(space.queries) if space is not None else []
        encoder.setup(device)
        encoder.close()
        found["ok"] = True
        found["seconds"] = round(time.perf_counter() - began, 3)
    except ImportError as error:
        found["lacks"] = f"{type(error).__name__}: {error}"
        missing = error.name or "PACKAGE"
        found["mend"] = f"{sys.executable} -m pip install {missing}"
    except (EgoragError, OSError) as error:
        found["lacks"] = str(error)
        found["mend"] = f"{sys.executable} -m pip install --force-reinstall egorag=={__version__}"
    if name not in config.options()["encoder"]:
        found["preset"] = "from outside"
    return found
