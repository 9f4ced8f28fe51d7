"""A trace as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from egorag.generate.agent.step import read_step
from egorag.generate.numbered import data
from egorag.terminal import plain

LONGEST = 400
"""Characters of one line of text."""
RESULT = 12
"""Lines of a result that are shown."""


def steps(lines: Sequence[Mapping[str, Any]]) -> str:
    """The steps of a run, in order; ``lines`` from ``read_trace``."""
    return "\n".join(text for line in lines for text in _told(line))


def _told(line: Mapping[str, Any]) -> Iterator[str]:
    kind, at = line["kind"], line.get("at")
    time = f"{at:8.2f} s  " if isinstance(at, (int, float)) else " " * 12
    if kind == "start":
        filters = line.get("filters")
        given = {k: v for k, v in filters.items() if v} if isinstance(filters, dict) else {}
        yield f"question: {_short(line.get('question'))}"
        yield from [f"choices: {_short(line['choices'])}"] if line.get("choices") else []
        yield from [f"filters: {_short(data(given))}"] if given else []
    elif kind == "evidence":
        yield f"{time}found by the question itself"
        yield from _result(line)
    elif kind == "asked":
        yield f"{time}asked, about {line.get('guess')} tokens"
    elif kind == "reply":
        said = str(line.get("text") or line.get("refusal"))
        step = read_step(said)  # the calls have lines of their own
        shown = step.thought if step.calls else said
        yield f"{time}reply, {line.get('spent')} tokens spent so far: {_short(shown)}"
    elif kind == "call":
        arguments = _short(data(line.get("arguments")))
        seen = f", {line['pictures']} pictures" if line.get("pictures") else ""
        yield f"{time}round {line.get('round')}: {_short(line.get('tool'))} {arguments}{seen}"
        yield from _result(line)
    elif kind == "answer" and isinstance(line.get("answer"), dict):
        yield f"answer: {_short(line['answer'].get('answer'))}"
    elif kind == "interrupted":
        yield "interrupted"
    else:  # failed, stopped, error
        yield f"{time}{_short(kind)}: {_short(line.get('error'))}"


def _result(line: Mapping[str, Any]) -> Iterator[str]:
    found = str(line.get("result")).split("\n")
    yield from (f"{'':14}{_short(text)}" for text in found[:RESULT])
    if len(found) > RESULT:
        yield f"{'':14}and {len(found) - RESULT} lines more"


def _short(value: Any) -> str:
    text = plain(str(value))
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
