"""What the benchmarks share: one command measured as a whole process, and the machine's name."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("EGORAG_BENCH_CACHE", "benchmarks/results"))
"""Generated media and indexes; kept between runs, ignored by git."""


@dataclass(frozen=True)
class Measured:
    """One finished process: seconds of wall and CPU time, peak memory in MB, exit code."""

    wall: float
    cpu: float
    peak_mb: float
    exit_code: int


def measure(command: Sequence[str], env: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end; its output goes to our stderr."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=sys.stderr, stderr=sys.stderr, env={**inherited, **(env or {})}
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Measured(
        wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, process.returncode
    )


def machine() -> dict[str, Any]:
    """Where a number was measured."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "python": platform.python_version()}


def report(**found: Any) -> None:
    """Print one JSON object."""
    plain = {k: asdict(v) if isinstance(v, Measured) else v for k, v in found.items()}
    print(json.dumps({**plain, "machine": machine()}, indent=2, default=str))


def sample(minutes: float, size: tuple[int, int] = (1280, 720)) -> Path:
    """The generated 30 fps H.264 file of this length, with sound and subtitles; made once."""
    from egorag.sample import make, repeat

    unit = 10.0
    path = CACHE / f"sample_{size[1]}p_{minutes:g}min.mp4"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    if minutes > unit and minutes % unit == 0:
        repeat(sample(unit, size), path, int(minutes // unit))
    else:
        make(path, seconds=minutes * 60, seed=1, size=size)
    return path
