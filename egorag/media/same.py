"""Whether a file is still the one that was indexed."""

from __future__ import annotations

import functools
from pathlib import Path

from egorag.errors import MediaError
from egorag.media.probe import content_hash


def check_same(path: Path, video: str) -> None:
    """Raise MediaError unless the file is the one that was indexed as ``video`` (its hash)."""
    try:
        state = path.stat()
    except (OSError, ValueError) as error:
        raise MediaError(f"it is not there ({type(error).__name__})") from error
    if not path.is_file():
        raise MediaError("it is no file")
    if _hash(path, state.st_size, state.st_mtime_ns) != video:
        raise MediaError("it is another file than the one that was indexed")


@functools.lru_cache(maxsize=4096)
def _hash(path: Path, size: int, modified: int) -> str:
    del size, modified  # only in the key: another state is read again
    return content_hash(path)
