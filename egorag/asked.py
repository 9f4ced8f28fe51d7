"""What a user asks for, as a ``Query``: files as paths, times as people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.spans import MICROSECONDS, clock
from egorag.store.catalog import Catalog
from egorag.types import LEVELS, Query, Scene
from egorag.when import parse_when

When = float | str | datetime | None


def given(
    text: str | None,
    image: str | Path | None = None,
    sound: str | Path | None = None,
    video: str | Path | None = None,
    like: Scene | str | None = None,
) -> dict[str, Any]:
    """The media of a query, as ``make_query`` takes them.

    Raises:
        ConfigError: none at all.
    """
    files = {"image": image, "sound": sound, "video": video}
    if all(given is None for given in (text, like, *files.values())):
        raise ConfigError("give query=TEXT, image=PATH, sound=PATH, video=PATH or like=VIDEO@TIME")
    paths = {name: None if path is None else Path(path) for name, path in files.items()}
    return {"text": text, **paths, "like": like}


def make_query(
    catalog: Catalog,
    media: Mapping[str, Any],
    after: When = None,
    before: When = None,
    until: When = None,
    videos: Sequence[str] = (),
    level: str = "scene",
) -> Query:
    """A query over the index of ``catalog``.

    Args:
        media: what ``given`` returned.
        level: one of ``LEVELS``, or ``"all"``.
        videos: names that ``find_video`` takes.

    Raises:
        ConfigError: no such level, video or scene, a time that is none.
    """
    if level != "all" and level not in LEVELS:
        raise ConfigError(f"no level {level!r}{did_you_mean(level, [*LEVELS, 'all'])}")
    cut_off = parse_when("until", until)
    like = media.get("like")
    return Query(
        **{**media, "like": find_scene(catalog, like, cut_off) if isinstance(like, str) else like},
        after=parse_when("after", after),
        before=parse_when("before", before),
        until=cut_off,
        levels=LEVELS if level == "all" else (level,),
        videos=tuple(find_video(catalog, name) for name in videos),
    )


def find_video(catalog: Catalog, name: str) -> str:
    """Id of the video called ``name``: an id, the beginning of one (6 or more), or a path.

    Raises:
        ConfigError: none is called so, or several are.
    """
    known = catalog.videos()
    found = [v.id for v in known if v.id == name or v.path == name]
    found = found or [v.id for v in known if len(name) >= 6 and v.id.startswith(name)]
    found = found or [v.id for v in known if Path(v.path).name == Path(name).name]
    if len(found) != 1:
        how = "no video" if not found else f"{len(found)} videos"
        raise ConfigError(f"{how} called {name!r}{did_you_mean(name, [v.path for v in known])}")
    return str(found[0])


def find_scene(catalog: Catalog, name: str, until: float | datetime | None = None) -> Scene:
    """The scene called ``VIDEO@TIME``: of the video that ``find_video`` finds, at that time in it.

    Raises:
        ConfigError: no such video, no time in it, or one after ``until``.
    """
    video_name, at, said = name.rpartition("@")
    if not at:
        raise ConfigError(f"like={name!r} is no scene; give VIDEO@TIME, as kitchen.mp4@1:05")
    time = parse_when("the time of like", said)
    if not isinstance(time, float):
        raise ConfigError(f"like={name!r} needs a time in the video, as kitchen.mp4@1:05")
    video = find_video(catalog, video_name)
    if isinstance(until, float) and time >= until:  # what lies there is not looked at
        raise ConfigError(f"like={name!r} lies after until={until}; give an earlier scene")
    moment = round(time * MICROSECONDS)
    for scene in catalog.scenes(video, 0):
        if scene.span.start <= moment < scene.span.end:
            return scene
    length = clock(catalog.video(video).duration)
    known = f"; the video is {length} long" if until is None else ""  # it may go on after until
    raise ConfigError(f"like={name!r}: no scene there{known}")


def check_k(k: object) -> None:
    """Raise ConfigError unless ``k`` is a whole number from 1 up."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ConfigError(f"k must be a whole number from 1 up, got {k!r}")
