"""The Ward tree against scikit-learn's clustering of the same frames, each in a process of its own.

    python benchmarks/ward.py [--frames 100000] [--dim 1024] [--repeat 3]

Frames are unit vectors, float32: scenes of 5 to 60 s at 4 frames a second that drift and flicker.
scikit-learn (``AgglomerativeClustering`` with chain connectivity and the whole tree) and
``ward_tree`` read them from one file. Told are the seconds of the clustering alone, of the clock
and of the processor (which others on the machine disturb less), the peak memory of the process,
and that peak less what a process holds that has only read the file. ``same`` says whether both
made the same merges. Rounds take turns, ratios are of the medians. With the extra ``fast`` the
compiled code is measured, and how long it takes to load (once for each machine, to compile);
without it NumPy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import report


def frames(count: int, dim: int) -> np.ndarray:
    """float32 [count, dim], unit rows."""
    rng = np.random.default_rng(0)
    rows = np.empty((count, dim), np.float32)
    at = 0
    while at < count:
        length = int(rng.integers(20, 240))
        scene = rng.normal(size=dim) + np.cumsum(0.02 * rng.normal(size=(length, dim)), axis=0)
        scene += 0.3 * rng.normal(size=(length, dim))
        part = scene[: count - at]
        rows[at : at + length] = part / np.linalg.norm(part, axis=1, keepdims=True)
        at += length
    return rows


def cluster(who: str, path: str) -> dict[str, Any]:
    """What the child process does: read, cluster, tell."""
    rows = np.load(path)
    if who == "reading":
        return {"peak_mb": peak_mb()}
    began = time.perf_counter()
    if who == "egorag":
        from egorag.segment.ward import ward_tree
        from egorag.segment.ward_merges import compiled

        if (fast := compiled()) is not None:
            fast(rows[:9])
        loading = time.perf_counter() - began
        began, worked = time.perf_counter(), time.process_time()
        children = ward_tree(rows).children
    else:
        from scipy.sparse import diags
        from sklearn.cluster import AgglomerativeClustering

        loading = time.perf_counter() - began
        ones = np.ones(len(rows) - 1)
        chain = diags([ones, ones], [-1, 1], format="csr")
        began, worked = time.perf_counter(), time.process_time()
        model = AgglomerativeClustering(
            n_clusters=None, distance_threshold=0.0, linkage="ward", connectivity=chain
        )
        children = model.fit(rows).children_
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    merges = hashlib.sha256(np.ascontiguousarray(children, np.int64)).hexdigest()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "loading": loading,
        "merges": merges,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    import resource

    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def apart(who: str, path: Path) -> dict[str, Any]:
    """``cluster`` in a process of its own."""
    command = [sys.executable, __file__, "--who", who, "--file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--who", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.who:
        print(json.dumps(cluster(given.who, given.file)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npy"
        np.save(path, frames(given.frames, given.dim))
        held = apart("reading", path)["peak_mb"]
        rounds = [
            {who: apart(who, path) for who in ("egorag", "scikit-learn")}
            for _ in range(given.repeat)
        ]
    ours, theirs = "egorag", "scikit-learn"
    told = {
        who: {
            "seconds": [round(each[who]["seconds"], 2) for each in rounds],
            "cpu": [round(each[who]["cpu"], 2) for each in rounds],
            "loading": [round(each[who]["loading"], 2) for each in rounds],
            "peak_mb": round(max(each[who]["peak_mb"] for each in rounds)),
        }
        for who in rounds[0]
    }

    def faster(clock: str) -> float:
        by = [statistics.median(each[who][clock] for each in rounds) for who in (theirs, ours)]
        return round(by[0] / by[1], 1)

    peak = {who: told[who]["peak_mb"] for who in told}
    report(
        frames=given.frames,
        dim=given.dim,
        reading_mb=round(held),
        **told,
        same=all(each[ours]["merges"] == each[theirs]["merges"] for each in rounds),
        times_faster=faster("seconds"),
        times_faster_cpu=faster("cpu"),
        memory_ratio=round(peak[ours] / peak[theirs], 2),
        memory_ratio_beyond_reading=round((peak[ours] - held) / (peak[theirs] - held), 2),
        load=list(os.getloadavg()),
    )


if __name__ == "__main__":
    main()
