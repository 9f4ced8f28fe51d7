"""python -m egorag.scenes: what is in an index, scene by scene."""

from __future__ import annotations

from typing import Any

from egorag.cli import Result, main

ABOUT = """List the scenes of an index with the text of each track.

  python -m egorag.scenes index=runs/kitchen
  python -m egorag.scenes index=runs/kitchen level=event output=json"""


def run(settings: dict[str, Any]) -> Result:
    """List the scenes of ``settings["index"]``."""
    from egorag.api import open_index
    from egorag.config import parse_list
    from egorag.errors import ConfigError, did_you_mean
    from egorag.render import scenes_json, scenes_text
    from egorag.types import LEVELS

    level = settings["level"]
    if level != "all" and level not in LEVELS:
        raise ConfigError(f"no level {level!r}{did_you_mean(str(level), [*LEVELS, 'all'])}")
    with open_index(settings["index"]) as index:
        data = scenes_json(
            index, None if level == "all" else level, parse_list("videos", settings["videos"])
        )
    return Result(data, scenes_text(data))


if __name__ == "__main__":
    main("scenes", ABOUT, run)
