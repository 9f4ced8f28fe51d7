"""Peak memory of indexing does not grow with the length of the video.

    python benchmarks/memory.py [--short 10] [--long 120]

The long file is the short one repeated (packets copied, times shifted). Targets: the long run's
peak at most 1.15 times the short one's, and under 1200 MB.
"""

from __future__ import annotations

import argparse
import shutil
import sys

from measure import CACHE, Measured, measure, report, sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", type=float, default=10, help="minutes")
    parser.add_argument("--long", type=float, default=120, help="minutes, a multiple of 10")
    given = parser.parse_args()

    found: dict[str, Measured] = {}
    for name, minutes in (("short", given.short), ("long", given.long)):
        video = sample(minutes)
        index = CACHE / f"memory_{name}"
        shutil.rmtree(index, ignore_errors=True)
        found[name] = measure(
            [sys.executable, "-m", "egorag.index", f"input={video}", f"index={index}"]
        )
    report(
        minutes={"short": given.short, "long": given.long},
        peak_long_over_short=round(found["long"].peak_mb / found["short"].peak_mb, 3),
        **found,
    )


if __name__ == "__main__":
    main()
