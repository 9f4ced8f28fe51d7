"""The trace of a run: JSON Lines, each written out as it happens, so that a crash loses none.

Every line has a ``kind``: ``start``, ``evidence``, ``asked``, ``reply``, ``failed``, ``call``,
``stopped``, and at last ``answer``, ``error`` or ``interrupted``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from egorag.errors import ConfigError, StoreError

LAST = frozenset({"answer", "error", "interrupted"})
"""Kinds of which one ends every trace that is whole."""
SHORTEST = 8
"""Characters from which on a key is one: servers that want none are given ``x`` or ``EMPTY``."""


@dataclass
class Trace:
    """Lines so far; also written to ``file`` if there is one.

    Attributes:
        secret: never written; empty if there is none.
    """

    file: TextIO | None = None
    secret: str = field(default="", repr=False)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **fields: Any) -> None:
        """One line.

        Raises:
            StoreError: it cannot be written.
        """
        text = json.dumps({"kind": kind, **{name: self._clean(f) for name, f in fields.items()}})
        self.lines.append(json.loads(text))
        if self.file is not None:
            try:
                self.file.write(text + "\n")
                self.file.flush()
            except OSError as error:
                raise StoreError(
                    f"the trace {self.file.name!r} cannot be written: {error.strerror or error}"
                ) from error

    def hidden(self, text: str) -> str:
        """``text`` without the secret, unless that is too short to be one."""
        return text.replace(self.secret, "***") if len(self.secret) >= SHORTEST else text

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.hidden(value)
        if isinstance(value, Mapping):
            return {self.hidden(str(key)): self._clean(one) for key, one in value.items()}
        return [self._clean(one) for one in value] if isinstance(value, (list, tuple)) else value


@contextlib.contextmanager
def traced(path: str | None, secret: str) -> Iterator[Trace]:
    """A trace to a new file, to a new file of its own in a folder, or to none.

    It ends with a line that says how the run did, however it ended.

    Raises:
        ConfigError: the file is there already.
        StoreError: it cannot be made.
    """
    if path is None:
        yield Trace(None, secret)
        return
    given = Path(path).expanduser()
    try:
        if given.is_dir() or path.endswith(("/", os.sep)):
            given.mkdir(parents=True, exist_ok=True)
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            given = given / f"{now}-{secrets.token_hex(4)}.jsonl"
        given.parent.mkdir(parents=True, exist_ok=True)
        file = given.open("x", encoding="ascii")
    except FileExistsError:
        raise ConfigError(
            f"answerer.trace={str(given)!r} is there already; name a new file, or a folder in "
            "which each run gets its own"
        ) from None
    except OSError as error:
        raise StoreError(
            f"answerer.trace={str(given)!r} cannot be written: {error.strerror or error}"
        ) from error
    with file:
        trace = Trace(file, secret)
        try:
            yield trace
        except KeyboardInterrupt:
            trace.add("interrupted")
            raise
        except Exception as error:
            trace.add("error", error=str(error))
            raise


def read_trace(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """(the lines, whether the last one is cut off and so left out).

    Raises:
        ConfigError: no such file.
        StoreError: it is no trace.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"trace={str(path)!r} cannot be read: {error.strerror}") from error
    pieces = raw.split(b"\n")
    cut = bool(pieces.pop())
    found: list[dict[str, Any]] = []
    for number, piece in enumerate(pieces, 1):
        try:
            line = json.loads(piece)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
            raise StoreError(f"{str(path)!r} is no trace: line {number} is not one of its lines")
        found.append(line)
    if not found or found[0]["kind"] != "start":
        raise StoreError(f"{str(path)!r} is no trace: it has no first line of the kind start")
    return found, cut


def digest(value: Any) -> str:
    """16 hex digits of the SHA-256 of plain data; pictures count by their pixels."""
    return hashlib.sha256(json.dumps(value, default=_pixels).encode()).hexdigest()[:16]


def _pixels(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
    raise TypeError(f"cannot take the digest of {type(value).__name__}")
