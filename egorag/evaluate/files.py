"""Reading annotations as published, and saying exactly what is wrong with them.

A reader asks ``Files`` for a file and gets ``Entry`` rows, whose methods check one value each and
name file and line in what they raise. The hash of every file read goes into the result.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from egorag.errors import ConfigError, MissingPackageError, did_you_mean
from egorag.media.entry import parse_object, span_of, text_of
from egorag.spans import Span

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One row of annotations and where it stands."""

    values: Mapping[str, Any]
    where: str

    def fail(self, what: str) -> ConfigError:
        """An error that begins with the place."""
        return ConfigError(f"{self.where}: {what}")

    def get(self, key: str) -> Any:
        """The value of ``key``.

        Raises:
            ConfigError: there is none.
        """
        if key not in self.values:
            raise self.fail(f"no {key!r}{did_you_mean(key, map(str, self.values))}")
        return self.values[key]

    def text(self, key: str) -> str:
        """A text that says something."""
        return self._checked(text_of, self.get(key), key).strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, at least two."""
        listed = self.get(key)
        if not isinstance(listed, (list, tuple)) or len(listed) < 2:
            raise self.fail(f"{key} must be a list of two texts or more, got {listed!r:.80}")
        return tuple(self._checked(text_of, one, key) for one in listed)

    def whole(self, key: str, among: int | None = None) -> int:
        """A whole number; from 0 and below ``among`` where that is given."""
        value = self.get(key)
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(f"{key} must be a whole number, got {value!r:.80}")
        if among is not None and not 0 <= value < among:
            raise self.fail(f"{key} must be from 0 to {among - 1}, got {value}")
        return value

    def letter(self, key: str, choices: int) -> int:
        """The choice that a letter names: 0 for A."""
        value = self.text(key)
        number = ord(value.upper()) - ord("A") if len(value) == 1 else -1
        if not 0 <= number < choices:
            last = chr(ord("A") + choices - 1)
            raise self.fail(f"{key} must be a letter from A to {last}, got {value!r:.80}")
        return number

    def span(self, start: Any, end: Any) -> Span:
        """A span from two numbers of seconds, the end later."""
        return self._checked(span_of, start, end)

    def _checked(self, check: Callable[..., T], *given: Any) -> T:
        try:
            return check(*given)
        except ValueError as error:
            raise self.fail(str(error)) from None


@dataclass(frozen=True)
class Files:
    """The annotation files of one benchmark.

    Attributes:
        folder: where they lie, in any depth the names given below tell.
        published: where their owners publish them and how to lay them out; told when one lacks.
        sources: sha256 by name of what was read.
    """

    folder: Path
    published: str
    sources: dict[str, str] = field(default_factory=dict)

    def path(self, *names: str) -> Path:
        """The first of these files that is there.

        Raises:
            ConfigError: none is.
        """
        for name in names:
            if (self.folder / name).is_file():
                return self.folder / name
        listed = " or ".join(map(repr, names))
        raise ConfigError(f"{listed} is not in {str(self.folder)!r}. {self.published}")

    def read(self, *names: str) -> tuple[Path, bytes]:
        """The first of these files that is there, and its content."""
        path = self.path(*names)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from error
        self.sources[path.name] = hashlib.sha256(content).hexdigest()
        return path, content

    def json(self, *names: str) -> Any:
        """A JSON file."""
        path, content = self.read(*names)
        try:
            return parse(content.decode("utf-8-sig"))
        except ValueError as error:
            raise ConfigError(f"{path}: {error}; get the file anew from its owners") from None

    def listed(self, *names: str) -> list[Entry]:
        """The objects of a JSON file that is a list of them."""
        rows = self.json(*names)
        path = self.path(*names)
        if not isinstance(rows, list) or not rows:
            raise ConfigError(f"{path}: expected a list of objects, got {type(rows).__name__}")
        return [_entry(row, f"{path}, entry {number}") for number, row in enumerate(rows, 1)]

    def lines(self, *names: str) -> list[Entry]:
        """The objects of a file that holds one a line."""
        path, content = self.read(*names)
        found = []
        for number, line in enumerate(_text(path, content).splitlines(), 1):
            where = f"{path}, line {number}"
            if line.strip():
                try:
                    found.append(_entry(parse(line), where))
                except ValueError as error:
                    raise ConfigError(f"{where}: {error}") from None
        if not found:
            raise ConfigError(f"{path} is empty")
        return found

    def table(self, columns: Sequence[str], *names: str) -> list[Entry]:
        """The rows of a CSV file whose first line names at least ``columns``."""
        path, content = self.read(*names)
        table = csv.reader(io.StringIO(_text(path, content), newline=""))
        try:
            rows = [(table.line_num, row) for row in table if row]
        except csv.Error as error:
            raise ConfigError(f"{path} is no table: {error}") from None
        head = rows[0][1] if rows else []
        for name in columns:
            if name not in head:
                raise ConfigError(f"{path} has no column {name!r}{did_you_mean(name, head)}")
        found = []
        for number, row in rows[1:]:
            where = f"{path}, line {number}"
            if len(row) != len(head):
                raise ConfigError(f"{where}: {len(row)} values, the first line has {len(head)}")
            found.append(Entry(dict(zip(head, row, strict=True)), where))
        if not found:
            raise ConfigError(f"{path} holds nothing under its first line")
        return found

    def parquet(self, *names: str) -> list[Entry]:
        """The rows of a Parquet file.

        Raises:
            MissingPackageError: pyarrow is not installed.
        """
        path, content = self.read(*names)
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise MissingPackageError(
                f"{path.name} is Parquet, which needs pyarrow: pip install 'egorag[parquet]'; the "
                "same rows as a JSON list of objects are read without it"
            ) from None
        try:
            rows = parquet.read_table(io.BytesIO(content)).to_pylist()
        except pyarrow.ArrowException as error:
            raise ConfigError(f"{path} is no whole Parquet file: {error}") from None
        return [_entry(row, f"{path}, row {number}") for number, row in enumerate(rows, 1)]


def parse(text: str) -> Any:
    """JSON in which no object has a key twice; of two answers to one id either may be wrong.

    Raises:
        ValueError: a key is there twice, or as ``parse_object``.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in found if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} is there twice in one object")
        return found

    return parse_object(text, once)


def seconds(value: str) -> float:
    """``HH:MM:SS``, ``MM:SS`` or seconds, as seconds.

    Raises:
        ValueError: anything else.

    >>> seconds("01:02:03.5"), seconds("02:03")
    (3723.5, 123.0)
    """
    total = 0.0
    for part in value.strip().split(":"):
        number = float(part)
        if not 0 <= number < math.inf:
            raise ValueError(f"{value!r} is no time")
        total = 60 * total + number
    return total


def _entry(row: Any, where: str) -> Entry:
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: expected an object, got {type(row).__name__}")
    return Entry(row, where)


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}") from None
