"""On what a number was made: code, packages, machine, memory."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import egorag


def environment() -> dict[str, Any]:
    """Version of egorag, Python, every installed package, the machine."""
    return {
        "egorag": egorag.__version__,
        "python": platform.python_version(),
        "packages": packages(),
        "machine": machine(),
    }


@functools.cache
def code() -> str:
    """Hash of every source file of egorag: of a checkout that was changed as of a release."""
    root = Path(egorag.__file__).parent
    hasher = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        hasher.update(f"{path.relative_to(root).as_posix()}\0".encode())
        hasher.update(hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()[:32]


@functools.cache
def revision() -> dict[str, Any] | None:
    """The commit of the checkout that egorag runs from, and whether files of it were changed since;
    None where it is no checkout, or git is not there."""
    root = Path(egorag.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", "egorag", "configs")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "changed": bool(changed)}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


@functools.cache
def packages() -> dict[str, str]:
    """Version of every installed package by name."""
    found = {
        str(one.metadata["Name"]).lower(): one.version
        for one in distributions()
        if one.metadata["Name"]
    }
    return dict(sorted(found.items()))


def machine() -> dict[str, Any]:
    """System, processor, cores that may be used."""
    info = Path("/proc/cpuinfo")
    named = platform.processor() or platform.machine()
    if info.is_file():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        named = lines[0].partition(":")[2].strip() if lines else named
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.platform(), "processor": named, "cores": cores}


def peak_memory() -> int | None:
    """Most bytes that this process ever had in memory; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) * (1 if sys.platform == "darwin" else 1024)
