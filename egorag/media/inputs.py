"""What ``input=`` means: a file, a folder, a glob, a manifest, timed text, or a list of those."""

from __future__ import annotations

import difflib
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from egorag.errors import ConfigError
from egorag.media.entry import Input
from egorag.media.manifest import read_manifest
from egorag.media.suffixes import MEDIA_SUFFIXES
from egorag.media.textlines import read_text_lines

__all__ = ["Input", "discover"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def discover(spec: str | Path | Sequence[str | Path]) -> list[Input]:
    """Every input that ``spec`` names, each once, in a stable order.

    - A path that exists is that path, whatever characters it has. A file named outright is tried
      whatever its suffix; ``.json`` is read as a manifest, ``.jsonl`` as timed text.
    - A folder gives every media-like file below it, sorted, broken or not; hidden ones, subtitle
      files and the rest are passed over.
    - Otherwise a glob (``**`` too). A pattern that ends in a suffix gives all its matches; one
      that doesn't gives the media-like files among them, and folders' contents.
    - Otherwise commas separate several of these; a list may hold them as well.

    What is found but cannot be indexed (a dangling link, a pipe, a bad manifest entry) comes with
    an ``error``, so that it is accounted for. A path found twice keeps its first place.

    Raises:
        ConfigError: a name that does not exist, a pattern or folder without media, nothing given.
    """
    if isinstance(spec, (str, Path)):
        found = _one(str(spec))
    elif not spec:
        raise ConfigError("input is an empty list; give input=FILE, FOLDER, GLOB or a list of them")
    else:
        found = [item for one in spec for item in _one(str(one))]
    unique: dict[tuple[str, str | None], Input] = {}
    for item in found:
        unique.setdefault((item.id or str(item.path.absolute()), item.error), item)
    return list(unique.values())


def _one(spec: str) -> list[Input]:
    if not spec.strip():
        raise ConfigError("input is empty; give input=FILE, FOLDER, GLOB or a list of them")
    if _URL.match(spec):
        raise ConfigError(f"input {spec!r} is an address; download it first and give the file")
    for path in (Path(spec), _home(spec)):
        if os.path.lexists(path):
            return _folder(path) if path.is_dir() else _file(path)
    if glob.has_magic(spec):
        matches = _matches(str(_home(spec)))
        if matches:
            return matches
    elif "," in spec:
        return [item for part in spec.split(",") if part.strip() for item in _one(part.strip())]
    raise ConfigError(_missing(spec))


def _file(path: Path) -> list[Input]:
    suffix = path.suffix.lower()
    item = _checked(Input(path))
    if item.error is None and suffix == ".json":
        return [_checked(entry) for entry in read_manifest(path)]
    if item.error is None and suffix == ".jsonl":
        return read_text_lines(path)
    return [item]


def _folder(path: Path) -> list[Input]:
    found = list(_below(path))
    if not found:
        raise ConfigError(
            f"the folder {str(path)!r} holds no media file (mp4, mkv, mov, webm, mp3, wav, ...); "
            "name a file outright to have it tried whatever its suffix"
        )
    return found


def _below(folder: Path) -> Iterator[Input]:
    unreadable: list[OSError] = []
    for here, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in MEDIA_SUFFIXES:
                yield _checked(Input(Path(here, name)))
    for error in unreadable:
        yield Input(Path(error.filename), error=f"cannot list the folder: {error.strerror}")


def _matches(pattern: str) -> list[Input]:
    suffix = Path(pattern).suffix
    every = bool(suffix) and not glob.has_magic(suffix)
    found: list[Input] = []
    # Path.glob takes no absolute pattern, and passes no hidden file over.
    for path in map(Path, sorted(glob.glob(pattern, recursive=True))):  # noqa: PTH207
        if path.is_dir():
            found += _below(path)
        elif every or path.suffix.lower() in MEDIA_SUFFIXES:
            found += _file(path)
    return found


def _checked(item: Input) -> Input:
    """The input with an error if no ordinary file is there (opening a pipe would wait forever)."""
    if item.error is not None:
        return item
    try:
        mode = item.path.stat().st_mode
    except (OSError, ValueError) as error:
        why = str(getattr(error, "strerror", error))
        return replace(item, error=f"cannot open the file: {why}")
    if not stat.S_ISREG(mode):
        return replace(item, error="not an ordinary file (a folder, pipe, socket or device)")
    return item


def _home(spec: str) -> Path:
    try:
        return Path(spec).expanduser()
    except RuntimeError:  # ~nobody
        return Path(spec)


def _missing(spec: str) -> str:
    what = "matches no media file" if glob.has_magic(spec) else "does not exist"
    path = Path(spec)
    close: Iterable[str] = ()
    if os.access(path.parent, os.R_OK | os.X_OK) and path.parent.is_dir():
        names = [entry.name for entry in path.parent.iterdir()]
        close = difflib.get_close_matches(path.name, names, n=1)
    hint = "".join(f"; did you mean {str(path.with_name(name))!r}?" for name in close)
    return f"input {spec!r} {what} (in {str(Path.cwd())!r}){hint}"
