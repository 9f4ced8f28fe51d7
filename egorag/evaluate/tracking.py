"""Finished runs told to an experiment tracker, which can neither lose nor change one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from egorag.evaluate.record import read_record
from egorag.terminal import tell


class Tracker(Protocol):
    """Settings of a tracker; a frozen dataclass."""

    def check(self) -> None:
        """Before anything is run.

        Raises:
            MissingPackageError: a package is not installed.
        """

    def track(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Keep a finished run, once however often it is told.

        Args:
            folder: of the run, with its record and rows.
            record: see ``egorag.evaluate.record``.

        Raises:
            Exception: whatever its package raises; the run is on disk by then.
        """


@dataclass(frozen=True)
class Untracked:
    """Tells nobody."""

    def check(self) -> None: ...
    def track(self, folder: Path, record: Mapping[str, Any]) -> None: ...


def track(tracker: Tracker, folder: Path) -> None:
    """Tell ``tracker`` of the run in ``folder``; what it cannot take is told on stderr."""
    try:
        tracker.track(folder, read_record(folder))
    except Exception as error:
        tell(f"the tracker failed: {type(error).__name__}: {error}; the run is in {folder}")


def parameters(settings: Mapping[str, Any], of: str = "") -> Iterator[tuple[str, str]]:
    """Settings as flat names with texts.

    >>> dict(parameters({"fuser": {"k": 60}, "without": []}))
    {'fuser.k': '60', 'without': '[]'}
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from parameters(value, f"{of}{name}.")
        else:
            yield f"{of}{name}", str(value)


def metrics(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every score with the bounds of its interval, those of controls under their names, and costs.

    >>> score = {"value": 0.5, "low": 0.4, "high": 0.6}
    >>> result = {"scores": {"mrr": score}, "controls": {"bm25": {"mrr": {**score, "low": None}}}}
    >>> cost = {"peak_memory_bytes": 9, "tokens": {"main": 3}, "indexed_now": True}
    >>> for name, value in metrics({"result": result, "cost": cost}):
    ...     print(name, value)
    mrr 0.5
    mrr/low 0.4
    mrr/high 0.6
    bm25/mrr 0.5
    bm25/mrr/high 0.6
    cost/peak_memory_bytes 9.0
    cost/tokens/main 3.0
    """
    result = record["result"]
    for of, scores in [("", result["scores"]), *result["controls"].items()]:
        for metric, told in scores.items():
            name = f"{of}/{metric}" if of else metric
            bounds = told if isinstance(told, Mapping) else {"value": told}
            for bound, end in (("value", ""), ("low", "/low"), ("high", "/high")):
                if bounds.get(bound) is not None:
                    yield name + end, float(bounds[bound])
    for name, cost in record["cost"].items():
        for part, value in cost.items() if isinstance(cost, Mapping) else [("", cost)]:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield f"cost/{name}" + (f"/{part}" if part else ""), float(value)
