"""What a run remembers of one input from pass to pass; the results themselves are artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from egorag.media.inputs import Input
from egorag.media.probe import Facts, content_hash, probe
from egorag.pipeline.outcome import Outcome


@dataclass
class Course:
    """One input on its way through the passes."""

    item: Input
    _outcome: Outcome | None = None
    _errors: dict[str, str] = field(default_factory=dict)
    _costs: dict[str, float] = field(default_factory=dict)
    _read: tuple[str, Facts] | None = None
    _state: tuple[int, int] | None = None

    @property
    def outcome(self) -> Outcome | None:
        """What became of it, once that is certain; no later pass touches it then."""
        return self._outcome

    @property
    def kept(self) -> bool:
        """Whether its record is in the catalog."""
        return self._outcome is not None and self._outcome.record is not None

    def end(self, outcome: Outcome) -> None:
        """It is certain; nothing else need be remembered."""
        self._outcome = outcome
        self._read = None

    @property
    def errors(self) -> Mapping[str, str]:
        """By encoder, why it failed in this run; it is not tried again."""
        return dict(self._errors)

    @property
    def costs(self) -> Mapping[str, float]:
        """Seconds at work in this run, by encoder; one that is not named did nothing."""
        return dict(self._costs)

    def note(self, errors: Mapping[str, str], costs: Mapping[str, float]) -> None:
        """These encoders failed; these were at work."""
        self._errors.update(errors)
        self._costs.update(costs)

    def look(self) -> tuple[str, Facts]:
        """The media file's content hash and header; read again only if it has changed.

        Raises:
            MediaError: the file cannot be read; the message says why.
        """
        state = self._file_state()
        if self._read is None or state is None or state != self._state:
            facts = probe(self.item.path)
            self._read = content_hash(self.item.path), facts
            self._state = state
            self._errors.clear()
        return self._read

    def _file_state(self) -> tuple[int, int] | None:
        try:
            state = self.item.path.stat()
        except (OSError, ValueError):
            return None  # probe says why
        return state.st_size, state.st_mtime_ns
