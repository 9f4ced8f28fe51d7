"""python -m egorag.plot: a video of an index as a picture: its surprise, its tree of scenes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result, main
from egorag.errors import ConfigError, MediaError, did_you_mean

if TYPE_CHECKING:
    from egorag.api import Index
    from egorag.encode.vjepa2 import VJEPA2
    from egorag.figures.sheet import Sheet
    from egorag.types import Video

ABOUT = """Draw a video of an index as PNG or SVG.

  python -m egorag.plot index=runs/kitchen what=surprise to=surprise.svg
  python -m egorag.plot index=runs/kitchen what=tree video=kitchen.mp4 to=tree.png

surprise: how far what came lies from what V-JEPA 2 predicted, scene boundaries, a filmstrip.
tree: the video, its events and their scenes over time."""

KINDS = ("surprise", "tree")

_MOST_LINES = 100  # of more scenes, the boundaries of events are drawn


def run(settings: dict[str, Any]) -> Result:
    """Draw ``settings["what"]`` of one video into ``settings["to"]``."""
    from egorag.api import open_index
    from egorag.figures.sheet import check_target

    what, to = settings["what"], Path(settings["to"])
    if what not in KINDS:
        raise ConfigError(f"no figure what={what}{did_you_mean(str(what), KINDS)}")
    check_target(to)
    with open_index(settings["index"]) as index:
        video = _video(index, settings["video"])
        if not Path(video.path).is_file():
            raise MediaError(
                f"{video.path!r} is not where it was when it was indexed, and a figure shows its "
                "pictures; put it back, or index it from where it is now"
            )
        if what == "surprise":
            encoder = _predicting(index, settings["encoder"], settings["encoders"])
            sheet, found = _surprise(index, video, encoder, settings["ahead"], settings["device"])
        else:
            sheet, found = _tree(index, video, settings["encoder"])
    sheet.save(to)
    data = {"to": str(to), "what": what, "video": video.id, "path": video.path, **found}
    return Result(data, f"{to}: {sheet.title}")


def _surprise(
    index: Index, video: Video, encoder: VJEPA2, ahead: float | None, device: str
) -> tuple[Sheet, dict[str, Any]]:
    from egorag.figures.sheet import filmstrip
    from egorag.figures.surprise import surprise_sheet
    from egorag.predict import Predictor, anomalies, surprise
    from egorag.spans import to_seconds
    from egorag.types import LEVELS

    path = Path(video.path)
    with Predictor(encoder, path, device) as predictor:
        curve = surprise(predictor, ahead=ahead)
    by_level = [[scene.span for scene in index.scenes(video.id, level)] for level in LEVELS]
    bounds = next(spans for spans in by_level if len(spans) <= _MOST_LINES or spans is by_level[-1])
    film = filmstrip(path, video.span, by_level[0])
    found = {
        "times": curve.times.tolist(),
        "energy": curve.energy.tolist(),
        "static": curve.static.tolist(),
        "anomalies": [to_seconds(peak.span.start) for peak in anomalies(curve)],
    }
    return surprise_sheet(path.name, video.span, curve, bounds, film), found


def _tree(index: Index, video: Video, encoder: str | None) -> tuple[Sheet, dict[str, Any]]:
    from egorag.figures.sheet import filmstrip
    from egorag.figures.tree import tree_sheet
    from egorag.types import LEVELS

    path, scenes = Path(video.path), index.scenes(video.id)
    found = {name: sum(s.level == level for s in scenes) for level, name in enumerate(LEVELS)}
    film = filmstrip(path, video.span, [scene.span for scene in scenes if scene.level == 0])
    try:
        moments = index.tree(video.id, encoder)
    except ConfigError:
        if encoder is not None:
            raise
        moments = None  # none has moments, or which is not said: the levels alone
    return tree_sheet(path.name, video.span, scenes, film, moments), {"scenes": found}


def _video(index: Index, name: str | None) -> Video:
    """The video called ``name``, or the only one."""
    videos = index.videos()
    if name is None:
        if len(videos) != 1:
            paths = ", ".join(video.path for video in videos[:5])
            raise ConfigError(f"the index holds {len(videos)} videos ({paths}); give video=...")
        return videos[0]
    (whole,) = index.scenes(name, "video")
    return index.folder.catalog.video(whole.video)


def _predicting(index: Index, name: str | None, changes: dict[str, Any]) -> VJEPA2:
    """The V-JEPA 2 encoder called ``name``, or the first, with its settings in the index."""
    from egorag import registry
    from egorag.encode.vjepa2 import VJEPA2

    rows = index.folder.catalog.encoders()
    able = [
        known
        for known, row in rows.items()
        if issubclass(registry.load("encoders", str(row.settings["_target_"])), VJEPA2)
    ]
    if not able:
        raise ConfigError(
            "this index has no V-JEPA 2 encoder over scenes to predict by; index with "
            "+encoder=vjepa2_fast"
        )
    chosen = able[0] if name is None else name
    if chosen not in able:
        raise ConfigError(
            f"no V-JEPA 2 encoder {chosen!r} in this index{did_you_mean(chosen, able)}"
        )
    settings = {**rows[chosen].settings, **changes.get(chosen, {})}
    built: VJEPA2 = registry.build("encoders", chosen, settings)
    return built


if __name__ == "__main__":
    main("plot", ABOUT, run)
