"""What benchmarks over a user's folders share: settings, finding the media, drawing items."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from egorag.errors import ConfigError
from egorag.evaluate.base import Dataset, Item, Media
from egorag.media.suffixes import MEDIA_SUFFIXES


@dataclass(frozen=True)
class Annotated:
    """Settings that benchmarks over a folder of published annotations share.

    Attributes:
        folder: where the annotations lie.
        media: the folder that holds the videos, at any depth; ``folder`` unless given.
        limit: how many items to run, drawn by ``seed``; all unless given.
    """

    folder: str
    _: KW_ONLY
    media: str | None = None
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str) or not self.folder.strip():
            raise ValueError(f"folder must be a path, got {self.folder!r}")
        check_limit(self.limit, self.seed)

    def draw(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """All items, or ``limit`` of them in their order."""
        return draw(items, self.limit, self.seed)

    def find(self, names: Iterable[str]) -> tuple[Media, ...]:
        """Where the videos called ``names`` are, see ``find_media``."""
        return find_media(Path(self.media or self.folder), names)


def find_media(folder: Path, names: Iterable[str]) -> tuple[Media, ...]:
    """The videos called ``names`` under ``folder``: by file name, with or without its suffix.

    Only files that lie under the folder are found, whatever the names say; hidden ones and those
    that are no media are passed over.

    Raises:
        ConfigError: the folder is not there, or two files have one wanted name.
    """
    wanted = dict.fromkeys(names)
    known: dict[str, list[Path]] = {}
    for path in media_under(folder):
        for name in {path.name, path.stem}:
            known.setdefault(name, []).append(path)
    found = []
    for name in wanted:
        paths = known.get(Path(name).name, [])
        if len(paths) > 1:
            raise ConfigError(
                f"several files are called {name!r}: {paths[0]} and {paths[1]}; keep one of them"
            )
        found.append(Media(name, paths[0] if paths else None))
    return tuple(found)


def media_under(folder: Path) -> Iterator[Path]:
    """Every media file below the folder, in order, hidden ones apart.

    Raises:
        ConfigError: no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"the media folder {str(folder)!r} does not exist")
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in MEDIA_SUFFIXES and not hidden and path.is_file():
            yield path


def check_limit(limit: object, seed: object) -> None:
    """Raise ValueError unless these can be the settings of a draw."""
    for name, value, least in (("limit", limit, 1), ("seed", seed, 0)):
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not whole and not (name == "limit" and value is None):
            raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")


def draw(items: Sequence[Item], limit: int | None, seed: int) -> tuple[Item, ...]:
    """``limit`` of the items, drawn by ``seed``, in their order; all where there are no more."""
    if limit is None or limit >= len(items):
        return tuple(items)
    chosen = sorted(random.Random(seed).sample(range(len(items)), limit))
    return tuple(items[number] for number in chosen)


def used(dataset: Dataset) -> Dataset:
    """The dataset without media that no item is asked of, after a draw."""
    if any(not item.videos for item in dataset.items):
        return dataset
    names = {name for item in dataset.items for name in item.needs}
    return replace(dataset, media=tuple(one for one in dataset.media if one.name in names))
