"""What a user asks for, as a ``Query``: files as paths, times as people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.store.catalog import Catalog
from egorag.types import LEVELS, Query
from egorag.when import parse_when

When = float | str | datetime | None


def given(
    text: str | None,
    image: str | Path | None = None,
    sound: str | Path | None = None,
    video: str | Path | None = None,
) -> dict[str, Any]:
    """The media of a query, as ``Query`` takes them.

    Raises:
        ConfigError: none at all.
    """
    files = {"image": image, "sound": sound, "video": video}
    if text is None and not any(path is not None for path in files.values()):
        raise ConfigError("give query=TEXT, image=PATH, sound=PATH or video=PATH")
    paths = {name: None if path is None else Path(path) for name, path in files.items()}
    return {"text": text, **paths}


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
        ConfigError: no such level or video, a time that is none.
    """
    if level != "all" and level not in LEVELS:
        raise ConfigError(f"no level {level!r}{did_you_mean(level, [*LEVELS, 'all'])}")
    return Query(
        **media,
        after=parse_when("after", after),
        before=parse_when("before", before),
        until=parse_when("until", until),
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


def check_k(k: object) -> None:
    """Raise ConfigError unless ``k`` is a whole number from 1 up."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ConfigError(f"k must be a whole number from 1 up, got {k!r}")
