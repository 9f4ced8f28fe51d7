"""python -m egorag.tune: which threshold of segmenter=ward finds labelled cuts best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result, main
from egorag.errors import ConfigError

if TYPE_CHECKING:
    from egorag.api import Index
    from egorag.segment.by_tree import Ward
    from egorag.segment.tuning import Labelled, Score, Tuned

ABOUT = """Find the threshold of segmenter=ward that finds labelled cuts best.

  python -m egorag.tune index=runs/films cuts=cuts.csv
  python -m egorag.tune index=runs/films cuts=[a.truth.json,b.truth.json] tolerance=0.25
  python -m egorag.tune index=runs/films cuts=cuts.json segmenter.encoder=vjepa2_frames_fast

It reads moments the index holds and decodes nothing. Each video is also scored at the threshold
that is best on the others: that number is what to expect of a video that was not tuned on."""

SHOWN = 9
"""Thresholds around the best that are printed for a person."""


def run(settings: dict[str, Any]) -> Result:
    """Tune on the videos of ``settings["index"]`` that ``settings["cuts"]`` labels."""
    from egorag import registry
    from egorag.api import open_index
    from egorag.segment.by_tree import Ward
    from egorag.segment.tiling import bounds
    from egorag.segment.tuning import tune
    from egorag.spans import to_us

    ward = registry.build("segmenters", "segmenter", settings["segmenter"])
    if not isinstance(ward, Ward):
        raise ConfigError(f"only segmenter=ward is tuned, got {type(ward).__name__}")
    tolerance = settings["tolerance"]
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 3600:
        raise ConfigError(f"tolerance must be 0 or more seconds, got {tolerance!r}")
    with open_index(settings["index"]) as index:
        videos = _labelled(index, settings["cuts"], ward.encoder)
        default = _default(index, ward)
    shortest, _ = bounds(ward.min_seconds, ward.max_seconds)
    tuned = tune(videos, shortest, to_us(tolerance))
    data = _json(tuned, videos, ward, default, float(tolerance))
    return Result(data, _text(tuned, data))


def _labelled(index: Index, cuts: object, encoder: str) -> list[Labelled]:
    """The labelled videos, each once."""
    from egorag.config import parse_list
    from egorag.segment.cutlist import read_cuts
    from egorag.segment.tuning import Labelled

    found: dict[str, Labelled] = {}
    for file in parse_list("cuts", cuts):
        for name, times in read_cuts(Path(file)).items():
            (whole,) = index.scenes(_called(index, name), "video")
            if whole.video in found:
                raise ConfigError(f"{name!r} in {file!r} was labelled before; give its cuts once")
            tree = index.tree(whole.video, encoder)
            found[whole.video] = Labelled(name, tree, whole.span.end, times)
    return list(found.values())


def _called(index: Index, name: str) -> str:
    """The id of the one video whose file is ``name`` without its suffix, else ``name`` itself."""
    found = [video for video in index.videos() if Path(video.path).stem == name]
    if len(found) > 1:
        paths = ", ".join(video.path for video in found)
        raise ConfigError(f"several videos are called {name!r} ({paths}); label them by path")
    return found[0].id if found else name


def _default(index: Index, ward: Ward) -> float:
    """The threshold that is used where none is set."""
    from dataclasses import replace

    from egorag import registry

    row = index.folder.catalog.encoders()[ward.encoder]
    encoder = registry.build("encoders", ward.encoder, row.settings)
    return replace(ward, threshold=None).threshold_for(encoder)


def _json(
    tuned: Tuned, videos: list[Labelled], ward: Ward, default: float, tolerance: float
) -> dict[str, Any]:
    def at(threshold: float, score: Score) -> dict[str, Any]:
        return {"threshold": threshold, **score.to_json()}

    return {
        "encoder": ward.encoder,
        "tolerance": tolerance,
        "min_seconds": ward.min_seconds,
        "videos": len(videos),
        "cuts": sum(len(video.cuts) for video in videos),
        "best": at(tuned.best, tuned.at(tuned.best)),
        "default": at(round(default, 4), tuned.at(default)),
        "held_out": None if tuned.held_out is None else tuned.held_out.to_json(),
        "by_video": {name: at(*chosen) for name, chosen in tuned.chosen.items()},
        "sweep": [at(*each) for each in zip(tuned.thresholds, tuned.scores, strict=True)],
        "override": f"segmenter.threshold={tuned.best:g}",
    }


def _text(tuned: Tuned, data: dict[str, Any]) -> str:
    counted = ("video", "videos")[data["videos"] != 1]
    lines = [
        f"{data['cuts']} cuts of {data['videos']} {counted}, found within {data['tolerance']:g} s "
        f"by moments of {data['encoder']}",
        "",
        "threshold  precision  recall      F1",
    ]
    middle = tuned.thresholds.index(tuned.best)
    first = max(0, min(middle - SHOWN // 2, len(tuned.thresholds) - SHOWN))
    for row in data["sweep"][first : first + SHOWN]:
        mark = "  best" if row["threshold"] == tuned.best else ""
        lines.append(
            f"{row['threshold']:9.2f}  {row['precision']:9.3f}  {row['recall']:6.3f}  "
            f"{row['f1']:6.3f}{mark}"
        )
    lines.append(f"\nthe default, {data['default']['threshold']:g}: F1 {data['default']['f1']:.3f}")
    if tuned.held_out is None:
        lines.append("one video alone: nothing is left to test the threshold on; label more")
    else:
        score = tuned.held_out
        lines.append(
            f"on videos that were not tuned on: F1 {score.f1:.3f} (precision "
            f"{score.precision:.3f}, recall {score.recall:.3f})"
        )
    chosen = f"segmenter=ward segmenter.encoder={data['encoder']} {data['override']}"
    lines.append(f"\npython -m egorag.index ... {chosen}")
    return "\n".join(lines)


if __name__ == "__main__":
    main("tune", ABOUT, run)
