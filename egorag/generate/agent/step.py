"""One round's reply: which tools the model calls, or its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egorag.generate.agent.arguments import arguments_schema
from egorag.generate.agent.tools import Tool
from egorag.generate.numbered import data
from egorag.generate.reply import Reply, objects, parse, schema
from egorag.terminal import plain

ANSWER = "answer"
CALLS = 4
"""Tools of one round; what a model calls besides is not run."""
THOUGHT = 1000
"""Characters of a thought that are kept."""


@dataclass(frozen=True)
class Call:
    """A tool by name with what it was given, unchecked."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """What was read of a reply.

    Attributes:
        said: the reply as the model's own message in the conversation that goes on, ``<`` escaped.
        answer: the model is done; the calls beside it are not run.
        error: why nothing could be read.
    """

    said: str
    thought: str = ""
    calls: tuple[Call, ...] = ()
    answer: Reply | None = None
    error: str = ""


def step_schema(tools: Mapping[str, Tool], pictures: bool = False) -> dict[str, Any]:
    """The JSON schema of a reply: calls, each of a tool with its own arguments.

    Args:
        pictures: an answer may cite them.
    """
    shapes = {name: arguments_schema(tool.arguments) for name, tool in tools.items()}
    shapes[ANSWER] = schema(pictures=pictures)
    calls = [
        _object(tool={"type": "string", "enum": [name]}, arguments=shape)
        for name, shape in shapes.items()
    ]
    listed = {"type": "array", "items": {"anyOf": calls}}
    return _object(thought={"type": "string"}, calls=listed)


def read_step(text: str) -> Step:
    """The first step in ``text``: ``{"thought", "calls": [{"tool", "arguments"}]}``, one call by
    itself, or an answer by itself.

    >>> read_step('{"tool": "orient", "arguments": {}}').calls
    (Call(tool='orient', arguments={}),)
    """
    for found in objects(text):
        try:
            said = plain(data(found))  # lone surrogates cannot be sent
        except RecursionError:  # nested deeper than it can be written again
            continue
        if {"calls", "tool"} & set(found):
            return _step(found, said)
        if {"answerable", "sentences"} & set(found):
            return Step(said, answer=parse(json.dumps(found)))
    return Step(data(plain(text[:THOUGHT])), error="that is not one JSON object of the schema")


def _step(found: Mapping[str, Any], said: str) -> Step:
    thought = found.get("thought")
    told = plain(thought[:THOUGHT]) if isinstance(thought, str) else ""
    listed = found.get("calls", [found])
    if not isinstance(listed, list) or not listed:
        return Step(said, told, error="calls must be a list of one or more tools")
    calls: list[Call] = []
    for item in listed:
        tool = item.get("tool") if isinstance(item, dict) else None
        given = item.get("arguments", {}) if isinstance(item, dict) else None
        if not isinstance(tool, str) or not isinstance(given, dict):
            return Step(said, told, error="each call must be an object with tool and arguments")
        if tool == ANSWER:
            reply = parse(json.dumps(given))
            error = "" if reply else "an answer needs answerable, sentences and confidence"
            return Step(said, told, answer=reply, error=error)
        if any(isinstance(value, (dict, list)) for value in given.values()):
            return Step(
                said, told, error=f"the arguments of {plain(tool[:60])} must be plain values"
            )
        calls.append(Call(tool, given))
    return Step(said, told, tuple(calls))


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def too_many(calls: Sequence[Call]) -> str:
    """What a model is told that called more tools than are run in a round; empty if it did not."""
    return f"only the first {CALLS} calls were run" if len(calls) > CALLS else ""
