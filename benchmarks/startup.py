"""How long a command takes before it does anything: help, a mistyped key, a cold search.

    python benchmarks/startup.py [--repeats 7]

Medians of whole processes, beside an empty Python and `import hydra` in the same run. Targets:
help and errors 0.6 s or less, a cold search on an existing index 2 s or less.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from measure import CACHE, measure, report, sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()

    index = CACHE / "startup.index"
    python = [sys.executable]
    if not (index / "catalog.sqlite").exists():
        video = sample(1, (640, 360))
        measure([*python, "-m", "egorag.index", f"input={video}", f"index={index}"])
    commands = {
        "empty_python": [*python, "-c", "pass"],
        "import_hydra": [*python, "-c", "import hydra"],
        "help": [*python, "-m", "egorag.search", "--help"],
        "mistyped_key": [*python, "-m", "egorag.search", "qury=x"],
        "mistyped_setting": [*python, "-m", "egorag.search", "index=x", "fuser.kk=3", "query=x"],
        "cold_search": [*python, "-m", "egorag.search", f"index={index}", "query=the red mug"],
    }
    walls: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(given.repeats):
        for name, command in commands.items():
            walls[name].append(measure(command).wall)
    report(seconds={name: round(statistics.median(w), 3) for name, w in walls.items()})


if __name__ == "__main__":
    main()
