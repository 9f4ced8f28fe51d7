"""python -m egorag.search: find scenes by text, picture, sound or video clip."""

from __future__ import annotations

from typing import Any

from egorag.cli import Result, main
from egorag.spans import to_seconds
from egorag.types import Scene

ABOUT = """Find scenes in an index by text, by picture, by sound, by video clip or by another scene.

  python -m egorag.search index=runs/kitchen query="open the fridge" k=5
  python -m egorag.search index=runs/kitchen image=mug.jpg
  python -m egorag.search index=runs/kitchen like=kitchen.mp4@1:05
  python -m egorag.search index=runs/kitchen query="the bell" until=10:00
  python -m egorag.search index=runs/kitchen query="the bell" without=[bm25]
  python -m egorag.search index=runs/kitchen query="pour milk" projections=[FOLDER]

Each query is searched in exactly the spaces that can take it; the rest is named."""


def run(settings: dict[str, Any]) -> Result:
    """Search ``settings["index"]``."""
    from egorag import registry
    from egorag.api import open_index
    from egorag.asked import find_scene
    from egorag.config import parse_list
    from egorag.render import hits_text, left_out_text

    without = parse_list("without", settings["without"])
    videos = parse_list("videos", settings["videos"])
    media = {name: settings[name] for name in ("query", "image", "sound", "video", "like")}
    with open_index(
        settings["index"],
        device=settings["device"],
        encoders=settings["encoders"],
        projections=parse_list("projections", settings["projections"]),
    ) as index:
        found = index.search(
            **media,
            k=settings["k"],
            level=settings["level"],
            after=settings["after"],
            before=settings["before"],
            until=settings["until"],
            videos=videos,
            without=without,
            **registry.methods(settings),
        )
        left_out = index.left_out(**media, without=without)
        like = settings["like"]
        scene = find_scene(index.folder.catalog, like) if like else None
    data = {
        "query": next(value for value in media.values() if value is not None),
        "like": _told(scene) if scene else None,
        "hits": [hit.to_json() for hit in found],
        "plan": found.plan.to_json(),
        "left_out": left_out,
        "notes": list(found.notes),
    }
    told = [*found.plan.told(), hits_text(found), *left_out_text(left_out), *found.notes]
    return Result(data, "\n".join(told))


def _told(scene: Scene) -> dict[str, Any]:
    start, end = to_seconds(scene.span.start), to_seconds(scene.span.end)
    return {"video": scene.video, "start": start, "end": end}


if __name__ == "__main__":
    main("search", ABOUT, run)
