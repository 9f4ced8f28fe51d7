"""A run's folder: what it was made from, each row as it is done, what it came to.

    CACHE/runs/KEY/items.jsonl    what is asked, with its answers: enough to read the rows
    CACHE/runs/KEY/rows.jsonl     one line an item and condition, flushed as it is done
    CACHE/runs/KEY/record.json    config, code, packages, data, machine, costs, result; at the end

The key hashes all that the numbers depend on: config, code, annotations, content of the media. So a
run that was killed goes on where it stopped, and one that is finished is found, not made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from egorag.errors import ConfigError
from egorag.evaluate.base import Item
from egorag.evaluate.items import item_from_json, item_to_json
from egorag.store.files import write_whole
from egorag.store.ids import canonical_json

FORMAT = 1
INDIFFERENT = frozenset({"cache", "fresh", "memory", "output", "rerun"})
"""Settings that no number depends on."""

RECORD, ROWS, ITEMS = "record.json", "rows.jsonl", "items.jsonl"


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
    def open(cls, path: Path, *, fresh: bool = False) -> Iterator[RunFolder]:
        """The folder of a run, with what earlier ones did. Others that want it wait.

        Args:
            fresh: forget what is there.
        """
        from filelock import FileLock

        path.mkdir(parents=True, exist_ok=True)
        with FileLock(path / "lock"):
            if fresh:
                (path / ROWS).unlink(missing_ok=True)
                (path / RECORD).unlink(missing_ok=True)
            folder = cls(path)
            end = folder._read()
            with (path / ROWS).open("ab") as file:
                file.truncate(end)  # half a line of a run that was killed
                folder._file = file
                yield folder

    def keep(self, items: Sequence[Item]) -> None:
        """Write what is asked, in order, whole or not at all."""
        lines = [json.dumps(item_to_json(item), ensure_ascii=False) for item in items]
        write_whole(self.path / ITEMS, "".join(f"{line}\n" for line in lines).encode())

    def put(self, condition: str, item: str, outcome: Outcome) -> None:
        """Keep one outcome."""
        assert self._file is not None
        line = {"condition": condition, "item": item, **vars(outcome)}
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self.outcomes[condition, item] = outcome

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the record, whole or not at all."""
        told = json.dumps({"format": FORMAT, **record}, ensure_ascii=False, indent=1)
        write_whole(self.path / RECORD, told.encode() + b"\n")

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
        ConfigError: there is none, it is damaged, or of a newer egorag.
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
    return record


def read_rows(path: Path) -> dict[tuple[str, str], Outcome]:
    """A run's outcomes by (condition, item); ``path`` is its folder or its record."""
    folder = RunFolder(path if path.is_dir() else path.parent)
    folder._read()
    return folder.outcomes


def read_items(path: Path) -> list[Item]:
    """A run's items in order; ``path`` is its folder or its record.

    Raises:
        ConfigError: there are none, as in runs of an older egorag, or they are damaged.
    """
    file = (path if path.is_dir() else path.parent) / ITEMS
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
        return [item_from_json(json.loads(line)) for line in lines if line]
    except FileNotFoundError:
        raise ConfigError(
            f"no {str(file)!r}: an older egorag made the run; run python -m egorag.bench again"
        ) from None
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"cannot read the items {str(file)!r}: {error!r}") from error
