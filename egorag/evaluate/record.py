"""A run's folder: what it was made from, each row as it is done, what it came to.

    CACHE/runs/KEY/items.jsonl    what is asked, with its answers: enough to read the rows
    CACHE/runs/KEY/rows.jsonl     one line an item and condition, flushed as it is done
    CACHE/runs/KEY/record.json    config, code, packages, data, machine, costs, result; at the end

The key hashes all that the numbers depend on: config, code, annotations, content of the media. So a
run that was killed goes on where it stopped, and one that is finished is found, not made again. The
record holds hashes of items, rows and itself, so that what was changed since is found out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from egorag.errors import ConfigError, StoreError
from egorag.evaluate.base import Item
from egorag.evaluate.items import item_from_json, item_to_json
from egorag.evaluate.score import Row
from egorag.store.files import store_error, write_whole
from egorag.store.ids import canonical_json, digest

FORMAT = 1
INDIFFERENT = frozenset({"cache", "fresh", "memory", "output", "rerun", "tracker"})
"""Settings that no number depends on."""

RECORD, ROWS, ITEMS = "record.json", "rows.jsonl", "items.jsonl"
_REMEDY = "make the run again with fresh=true"


class BusyError(StoreError):
    """Another process is at it, and the caller would not wait."""


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``, whose folder is made; a process that dies lets go of it.

    Raises:
        BusyError: another process holds it, unless ``wait``.
        StoreError: it cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise BusyError(f"another process holds {str(path)!r}") from None
    except OSError as error:
        raise store_error(error, path) from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Identity:
    """All that the numbers of a run depend on, as plain data.

    Attributes:
        config: the composed settings.
        code: hash of egorag's own source.
        sources: sha256 of the annotation files by name.
        media: content hash by name in the annotations.
    """

    config: Mapping[str, Any]
    code: str
    sources: Mapping[str, str]
    media: Mapping[str, str]

    def __post_init__(self) -> None:
        kept = {key: value for key, value in self.config.items() if key not in INDIFFERENT}
        object.__setattr__(self, "config", kept)

    @property
    def key(self) -> str:
        """32 hexadecimal digits."""
        return hashlib.sha256(canonical_json(vars(self))).hexdigest()[:32]

    def without(self, settings: Collection[str]) -> Identity:
        """That of whatever does not depend on these settings."""
        kept = {key: value for key, value in self.config.items() if key not in settings}
        return replace(self, config=kept)


@dataclass(frozen=True)
class Outcome:
    """One item under one condition.

    Attributes:
        values: what it scored, by metric; empty where the answer is not public.
        output: what the index gave, as plain data.
        seconds: it took.
    """

    values: Mapping[str, float]
    output: Mapping[str, Any]
    seconds: float


@dataclass
class RunFolder:
    """Outcomes by (condition, item); what is put in is on disk when ``put`` returns."""

    path: Path
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    _file: IO[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, *, fresh: bool = False, wait: bool = True) -> Iterator[RunFolder]:
        """The folder of a run, with what earlier ones did. Others that want it wait.

        Args:
            fresh: forget what is there.

        Raises:
            BusyError: another process has it open, unless ``wait``.
            StoreError: it cannot be written.
        """
        with locked(path / "lock", wait=wait):
            folder = cls(path)
            try:
                if fresh:
                    (path / ROWS).unlink(missing_ok=True)
                    (path / RECORD).unlink(missing_ok=True)
                end = folder._read()
                file = (path / ROWS).open("ab", buffering=0)
                file.truncate(end)  # half a line of a run that was killed
            except OSError as error:
                raise store_error(error, path / ROWS) from error
            with file:
                folder._file = file
                yield folder

    def keep(self, items: Sequence[Item]) -> None:
        """Write what is asked, in order, whole or not at all."""
        lines = [json.dumps(item_to_json(item), ensure_ascii=False) for item in items]
        write_whole(self.path / ITEMS, "".join(f"{line}\n" for line in lines).encode())

    def put(self, condition: str, item: str, outcome: Outcome) -> None:
        """Keep one outcome.

        Raises:
            StoreError: it cannot be written; those before are kept.
        """
        assert self._file is not None
        line = {"condition": condition, "item": item, **vars(outcome)}
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        try:
            while data:  # a disk that gets full takes a part
                data = data[self._file.write(data) :]
        except OSError as error:
            raise store_error(error, self.path / ROWS) from error
        self.outcomes[condition, item] = outcome

    def rows(self, items: Sequence[Item], conditions: Sequence[str] = ()) -> dict[str, list[Row]]:
        """Rows of ``items`` in their order, by condition; all that are there unless named."""
        named = conditions or dict.fromkeys(name for name, _ in self.outcomes)
        return {
            name: [Row(item, **vars(self.outcomes[name, item.id])) for item in items]
            for name in named
        }

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the record, whole or not at all."""
        files = {name: _sha256(self.path / name) for name in (ITEMS, ROWS)}
        data = {"format": FORMAT, **record, "files": files}
        told = json.dumps({**data, "sha256": digest(data)}, ensure_ascii=False, indent=1)
        write_whole(self.path / RECORD, told.encode() + b"\n")

    def finished(self) -> dict[str, Any] | None:
        """The record, if the run is finished.

        Raises:
            ConfigError: the record, the items or the rows were changed since.
        """
        if not (self.path / RECORD).is_file():
            return None
        record = read_record(self.path)
        for name, told in record["files"].items():
            if _sha256(self.path / name) != told:
                changed = str(self.path / name)
                raise ConfigError(f"{changed!r} was changed since its run was finished; {_REMEDY}")
        return record

    def _read(self) -> int:
        """Read the whole lines there are; returns where the last one ends."""
        end = 0
        with contextlib.suppress(FileNotFoundError), (self.path / ROWS).open("rb") as file:
            for line in file:
                try:
                    told = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    told = None
                if not isinstance(told, dict):
                    break
                key = told.pop("condition"), told.pop("item")
                self.outcomes[key] = Outcome(**told)
                end += len(line)
        return end


def read_record(path: Path) -> dict[str, Any]:
    """A finished run's record, from its folder or the file itself.

    Raises:
        ConfigError: there is none, it is damaged, was changed, or is of a newer egorag.
    """
    file = path / RECORD if path.is_dir() else path
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        begun = f"; its run was begun and not finished: {path / ROWS}" if path.is_dir() else ""
        raise ConfigError(f"no record of a run at {str(file)!r}{begun}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the record {str(file)!r}: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        of = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise ConfigError(f"{str(file)!r} is no record of format {FORMAT}, got {of!r}")
    told = {key: value for key, value in record.items() if key != "sha256"}
    if record.get("sha256") != digest(told):
        raise ConfigError(f"{str(file)!r} was changed since its run wrote it; {_REMEDY}")
    return record


def read_rows(path: Path) -> dict[tuple[str, str], Outcome]:
    """A run's outcomes by (condition, item); ``path`` is its folder or its record.

    Raises:
        ConfigError: the run is finished, and they were changed since.
    """
    folder = RunFolder(path if path.is_dir() else path.parent)
    folder._read()
    folder.finished()
    return folder.outcomes


def read_items(path: Path) -> list[Item]:
    """A run's items in order; ``path`` is its folder or its record.

    Raises:
        ConfigError: they are not there or damaged.
    """
    file = (path if path.is_dir() else path.parent) / ITEMS
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
        return [item_from_json(json.loads(line)) for line in lines if line]
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"cannot read the items {str(file)!r}: {error!r}") from error


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot read {str(file)!r}: {error.strerror}; {_REMEDY}") from error
