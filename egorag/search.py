"""python -m egorag.search: find scenes by text, picture or sound."""

from __future__ import annotations

from typing import Any

from egorag.cli import Result, main

ABOUT = """Find scenes in an index by text, by picture or by sound clip.

  python -m egorag.search index=runs/kitchen query="open the fridge" k=5
  python -m egorag.search index=runs/kitchen image=mug.jpg
  python -m egorag.search index=runs/kitchen query="the bell" until=10:00"""


def run(settings: dict[str, Any]) -> Result:
    """Search ``settings["index"]``."""
    from egorag import registry
    from egorag.api import open_index
    from egorag.config import parse_list
    from egorag.render import hits_text

    with open_index(settings["index"], device=settings["device"]) as index:
        hits = index.search(
            settings["query"],
            k=settings["k"],
            image=settings["image"],
            sound=settings["sound"],
            level=settings["level"],
            after=settings["after"],
            before=settings["before"],
            until=settings["until"],
            videos=parse_list("videos", settings["videos"]),
            fuser=registry.build("fusers", "fuser", settings["fuser"]),
        )
    data = {"query": settings["query"], "hits": [hit.to_json() for hit in hits]}
    if settings["query"] is None:
        data["query"] = settings["image"] or settings["sound"]
    return Result(data, hits_text(hits))


if __name__ == "__main__":
    main("search", ABOUT, run)
