"""What the second fuser of a sweep costs, beside the first.

    python benchmarks/sweep.py [--videos 4] [--seconds 60] [--limit N] [--encoders LIST]

Runs ``fuser=rrf`` and then ``fuser=weighted`` on the sample world with the default encoders, on an
empty cache, as a sweep does. Both in processor seconds, so that what else runs here matters little:
all there is to a run, from reading the benchmark to writing the record. Videos are made before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from measure import report

from egorag import bench, config, registry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--limit", type=int, help="how many queries; all unless given")
    parser.add_argument("--encoders", help="other than the default ones, as [subtitles,minilm]")
    parser.add_argument("--world", type=Path, help="a folder for the videos, to keep them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        overrides = [
            "benchmark=sample_world",
            f"benchmark.folder={given.world or Path(folder) / 'world'}",
            f"benchmark.videos={given.videos}",
            f"benchmark.seconds={given.seconds}",
            f"benchmark.limit={given.limit or 'null'}",
            f"cache={cache}",
            "output=json",
            *([f"encoder={given.encoders}"] if given.encoders else []),
        ]
        settings = config.compose("bench", overrides)
        registry.build("benchmarks", "benchmark", settings["benchmark"]).read()
        figures = {}
        for fuser in ("rrf", "weighted"):
            before = _artifacts(cache)
            began, clock = time.process_time(), time.monotonic()
            done = bench.run(config.compose("bench", [*overrides, f"fuser={fuser}"]))
            figures[fuser] = {
                "cpu_seconds": round(time.process_time() - began, 3),
                "seconds": round(time.monotonic() - clock, 3),
                "encoded": len(_artifacts(cache) - before),
                "queries": done.data["items"]["run"],
            }
        first, second = (figures[fuser]["cpu_seconds"] for fuser in ("rrf", "weighted"))
        report(
            video_seconds=given.videos * given.seconds,
            first=figures["rrf"],
            second=figures["weighted"],
            second_of_first=round(second / first, 4),
        )


def _artifacts(cache: Path) -> set[tuple[Path, int]]:
    """What has been computed from the videos: written anew, a file has another number."""
    return {(p, p.stat().st_ino) for p in (cache / "artifacts").rglob("*.*") if p.is_file()}


if __name__ == "__main__":
    main()
