"""Running a trace again: the recorded replies in place of the server, the index as it is now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from egorag.chat.base import Completion, Token
from egorag.errors import EgoragError, ServerError, StoreError
from egorag.generate.agent.answerer import Agent, investigate
from egorag.generate.agent.budget import Budget
from egorag.generate.agent.task import Task, start, task_of
from egorag.generate.agent.trace import LAST, Trace
from egorag.generate.agent.watched import Watched
from egorag.generate.base import Searcher
from egorag.store.folder import IndexFolder
from egorag.terminal import plain
from egorag.types import Hit, Part, Query

Line = Mapping[str, Any]

TOLD = frozenset({"version", "generation"})
"""Fields of the first line whose difference is told, but is not one of results."""
SHOWN = 160
"""Characters of a value in a difference."""


@dataclass(frozen=True)
class Difference:
    """A field that came out otherwise.

    Attributes:
        line: number in the trace, from 1.
        was, now: the two values, shortened, from shortly before they part.
    """

    line: int
    kind: str
    field: str
    was: str
    now: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"line {self.line}, {self.kind}: {self.field} was {self.was}, is {self.now}"


@dataclass(frozen=True)
class Replayed:
    """What a replay came to.

    Attributes:
        same: every result and the answer. False too where the trace has no end to compare with.
        notes: what to know besides.
    """

    same: bool
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


class _EndedError(EgoragError):
    """The trace has no further replies."""


def replay(
    lines: Sequence[Line], folder: IndexFolder, make_search: Callable[[Query], Searcher]
) -> Replayed:
    """Carry out every tool call of a trace again and compare.

    Args:
        lines: from ``read_trace``.
        make_search: the search that the run had.

    Raises:
        StoreError: the first line is not what a run writes.
    """
    from egorag import __version__

    again, stopped = Trace(), ""
    try:
        agent, task = _given(lines[0], folder, make_search)
        budget = Budget(agent.tokens, agent.seconds, _clock(lines))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"the first line of the trace is not what a run writes: {plain(str(error))}"
        ) from error
    again.add("start", **start(task, dict(lines[0]["settings"]), __version__))
    chat = _Recorded(iter([line for line in lines if line["kind"] in ("reply", "failed")]))
    watched = Watched(chat, budget, again, agent.max_tokens, lambda _: None)
    try:
        investigate(task, agent, watched, budget, again)
    except _EndedError:
        pass
    except EgoragError as error:
        again.add("error", error=str(error))
        stopped = str(error)
    return _compared(lines, again.lines, stopped)


def _given(
    first: Line, folder: IndexFolder, make_search: Callable[[Query], Searcher]
) -> tuple[Agent, Task]:
    filters = first["filters"]
    after, before, until = (
        datetime.fromisoformat(time) if isinstance(time, str) else time
        for time in (filters[name] for name in ("after", "before", "until"))
    )
    query = Query(
        first["question"],
        after=after,
        before=before,
        until=until,
        videos=tuple(filters["videos"]),
    )
    hits = [_hit(told, folder) for told in first["hits"]]
    search = make_search(query) if first["searches"] else None
    task = task_of(query, hits, folder, search, first["choices"])
    return Agent(**first["settings"]), task


def _hit(told: Line, folder: IndexFolder) -> Hit:
    scene = folder.catalog.scene(told["scene"])
    parts = {name: Part(part["rank"], part["score"]) for name, part in told["parts"].items()}
    path = folder.catalog.video(scene.video).path
    return Hit(scene, path, told["score"], parts, told["text"])


def _clock(lines: Sequence[Line]) -> Callable[[], float]:
    """The times at which the run looked at its clock, in turn; the last one ever after."""
    times = [0.0, *(float(line["at"]) for line in lines if "at" in line)]

    def clock() -> float:
        return times.pop(0) if len(times) > 1 else times[0]

    return clock


@dataclass
class _Recorded:
    """The recorded replies as a ``ChatModel``."""

    replies: Iterator[Line]
    notes: list[str] = field(default_factory=list)

    def complete(self, messages: Sequence[Any], shape: Any) -> Completion:
        """The next one.

        Raises:
            ServerError: that is what happened.
        """
        line = next(self.replies, None)
        if line is None:
            raise _EndedError
        try:
            notes, error = [str(note) for note in line["notes"]], line.get("error")
            got = None if error is not None else _completion(line)
        except (LookupError, TypeError, ValueError) as wrong:
            raise StoreError("a reply in the trace is not what a run writes") from wrong
        self.notes.extend(notes)
        if got is None:
            raise ServerError(str(error))
        return got


def _completion(line: Line) -> Completion:
    tokens = tuple(
        Token(str(text), tuple((str(other), float(share)) for other, share in likeliest))
        for text, likeliest in line["tokens"]
    )
    return Completion(
        str(line["text"]), bool(line["cut"]), tokens, str(line["refusal"]), int(line["used"])
    )


def _compared(was: Sequence[Line], now: Sequence[Line], stopped: str) -> Replayed:
    notes = [
        f"{name} was {was[0].get(name)}, is {now[0].get(name)}"
        for name in sorted(TOLD)
        if was[0].get(name) != now[0].get(name)
    ]
    ended = was[-1]["kind"] in LAST - {"interrupted"}
    if not ended:
        how = "was interrupted" if was[-1]["kind"] == "interrupted" else "ends"
        notes.append(f"the run {how} before there was an answer to compare with")
    found: list[Difference] = []
    compared = [line for line in was if line["kind"] != "interrupted"]
    for number, (before, after) in enumerate(zip(compared, now, strict=False), 1):
        if before["kind"] != after["kind"]:
            found.append(_difference(number, before, "kind", before["kind"], after["kind"]))
            break
        for name in sorted((before.keys() | after.keys()) - TOLD):
            if before.get(name) != after.get(name):
                values = before.get(name), after.get(name)
                found.append(_difference(number, before, name, *values))
    else:
        if len(now) < len(compared):
            missing = compared[len(now)]
            found.append(
                _difference(len(now) + 1, missing, "kind", missing["kind"], stopped or None)
            )
    return Replayed(ended and not found, tuple(found), tuple(notes))


def _difference(number: int, line: Line, name: str, was: Any, now: Any) -> Difference:
    before, after = str(was), str(now)
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    begin = max(0, same - SHOWN // 4)
    shown = [plain(text[begin : begin + SHOWN]) for text in (before, after)]
    return Difference(number, line["kind"], name, *(repr(text) for text in shown))
