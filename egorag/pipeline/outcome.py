"""What became of a run: one outcome an input, and the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from egorag.spans import to_seconds
from egorag.store.catalog import VideoRecord


@dataclass(frozen=True)
class Outcome:
    """What became of one input: its record, or the reason it failed.

    Attributes:
        costs: seconds at work, of each encoder that did something in this run; what the others
            have was there.
    """

    path: str
    record: VideoRecord | None
    reason: str | None = None
    changed: bool = True
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Not indexed, or an encoder failed on it."""
        return self.record is None or any(e.error for e in self.record.encodings)

    def to_json(self) -> dict[str, Any]:
        if self.record is None:
            return {"path": self.path, "reason": self.reason}
        record = self.record
        return {
            "id": record.video.id,
            "path": self.path,
            "duration": to_seconds(record.video.duration),
            "scenes": sum(scene.level == 0 for scene in record.scenes),
            "encoders": {
                e.encoder: {
                    "rows": e.rows,
                    "seconds": round(self.costs.get(e.encoder, 0.0), 3),
                    "reused": e.key is not None and e.encoder not in self.costs,
                    **({"skipped": e.skipped} if e.skipped else {}),
                    **({"error": e.error} if e.error else {}),
                }
                for e in record.encodings
            },
            "problems": list(record.problems),
            "changed": self.changed,
        }


@dataclass(frozen=True)
class Summary:
    """A whole run.

    Attributes:
        outdated: by encoder, how many videos of earlier runs it read with other settings; a query
            through it does not reach them until they are indexed again.
        encoders: what each did, and what it cost, see ``account``.
        searchable: by medium of a query, the rankings of these encoders that take it.
        passes: see ``Plan.to_json``.
    """

    index: str
    outcomes: tuple[Outcome, ...]
    seconds: float
    outdated: Mapping[str, int] = field(default_factory=dict)
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    searchable: Mapping[str, Sequence[str]] = field(default_factory=dict)
    passes: Sequence[Mapping[str, Any]] = ()

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if o.failed)

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "videos": [o.to_json() for o in self.outcomes if o.record is not None],
            "failed": [o.to_json() for o in self.outcomes if o.record is None],
            "outdated": dict(self.outdated),
            "encoders": {name: dict(told) for name, told in self.encoders.items()},
            "searchable": {medium: list(names) for medium, names in self.searchable.items()},
            "passes": [dict(told) for told in self.passes],
            "seconds": round(self.seconds, 3),
        }
