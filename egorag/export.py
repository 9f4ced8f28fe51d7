"""python -m egorag.export: take the vectors and texts of an index elsewhere."""

from __future__ import annotations

from typing import Any

from egorag.cli import Result, main

ABOUT = """Write an index's embedding dicts as safetensors, everything else as JSON beside it.

  python -m egorag.export index=runs/kitchen to=kitchen.safetensors

Read it back with egorag.load_embeddings("kitchen.safetensors")."""


def run(settings: dict[str, Any]) -> Result:
    """Export ``settings["index"]`` to ``settings["to"]``."""
    from egorag.api import open_index

    with open_index(settings["index"]) as index:
        written = index.export(settings["to"])
        videos = len(index.videos())
    data = {"to": str(written), "videos": videos}
    return Result(data, f"{videos} videos written to {written} and the JSON beside it")


if __name__ == "__main__":
    main("export", ABOUT, run)
