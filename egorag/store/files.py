"""Writing a file whole or not at all, and saying clearly why it could not be written."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from egorag.errors import StoreError

TEMPORARY = ".tmp"
"""Ending of files that are being written; what carries it after a crash is rubbish."""

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "your disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the disk is mounted read-only; choose a folder that can be written",
    errno.EACCES: "permission is denied; choose a folder you may write, or change its owner",
    errno.EPERM: "the operation is not permitted; choose a folder you may write",
}


def store_error(error: OSError, path: Path) -> StoreError:
    """What to tell the user when ``path`` cannot be written."""
    reason = _REMEDIES.get(error.errno or 0, f"{error.strerror or error}")
    return StoreError(f"cannot write {str(path)!r}: {reason}. What was there before is unchanged")


class Draft:
    """A binary file that is written under a temporary name in ``folder``, ``file`` being open for
    it; it gets its own name when it is whole, or never.

    Raises:
        OSError: from every method but ``discard``, as the system says it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f".{name[:80]}.{uuid.uuid4().hex}{TEMPORARY}"
        self.file: BinaryIO = self._path.open("xb")

    def keep(self, path: Path) -> None:
        """Flush it to the disk and put it in the place of ``path``, on the same disk."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._path.replace(path)
        sync_folder(path.parent)

    def discard(self) -> None:
        """Remove it; does nothing once it is kept."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path, temporary_in: Path | None = None) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` when the block ends well.

    It is written under a temporary name (in ``temporary_in``, which must be on the same disk, or
    beside ``path``), flushed to the disk, then renamed; so ``path`` is whole at every moment, and
    after a failure it is as it was.

    Raises:
        StoreError: the disk is full or read-only, or permission is denied.
    """
    draft = None
    try:
        draft = Draft(temporary_in or path.parent, path.name)
        yield draft.file
        draft.keep(path)
    except OSError as error:
        raise store_error(error, path) from error
    finally:
        if draft is not None:
            draft.discard()


def write_whole(path: Path, data: bytes, temporary_in: Path | None = None) -> None:
    """Write ``data`` to ``path``, whole or not at all; see ``replacing``."""
    with replacing(path, temporary_in) as file:
        file.write(data)


def remove_leftovers(folder: Path, older_than: float = 0.0) -> None:
    """Remove what killed writers left half-written in ``folder`` at least so many seconds ago."""
    limit = time.time() - older_than
    for path in folder.glob(f".*{TEMPORARY}"):
        if path.stat().st_mtime <= limit:
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a power cut, where the system can promise it."""
    if os.name == "nt":  # Windows cannot open a folder to flush it
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
