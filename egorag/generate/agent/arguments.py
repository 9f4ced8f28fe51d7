"""What a tool takes: a JSON schema for the model, and a strict reading of what it gave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.generate.agent.view import RefusedError, Time
from egorag.terminal import plain
from egorag.types import LEVELS
from egorag.when import parse_when

LONGEST = 500
"""Characters of a text given as an argument; what is longer is cut."""
MOST = 10**9
"""What a number may be."""
_SHOWN = 60  # characters of a wrong value in a message


class Kind(Enum):
    """Kinds of argument, with what the model is told of each."""

    TEXT = "a few words"
    VIDEO = "the name of a video, as v1"
    TIME = "a time in the video, as 1:05.5, or a date of ISO 8601 with a time zone"
    LEVEL = f"one of {', '.join(LEVELS)}"
    NUMBER = "a whole number from 1 up"


@dataclass(frozen=True)
class Argument:
    """One argument of a tool."""

    name: str
    kind: Kind
    about: str = ""
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """Its JSON schema: null where it may be left out, since strict servers want every key."""
        one = "integer" if self.kind is Kind.NUMBER else "string"
        about = f"{self.about}: {self.kind.value}" if self.about else self.kind.value
        if self.kind is Kind.LEVEL and not self.required:
            return {"enum": [*LEVELS, None], "description": about}
        if self.kind is Kind.LEVEL:
            return {"type": one, "enum": list(LEVELS), "description": about}
        return {"type": one if self.required else [one, "null"], "description": about}

    def read(self, value: Any) -> str | int | Time:
        """The value as its kind has it.

        Raises:
            RefusedError: it is of another kind.
        """
        if self.kind is Kind.NUMBER:
            if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST:
                return value
        elif self.kind is Kind.TIME:
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                return self._time(value)
        elif isinstance(value, str):
            text = plain(value[:LONGEST])
            if text in LEVELS if self.kind is Kind.LEVEL else text:
                return text
        raise RefusedError(f"{self.name} must be {self.kind.value}, not {_shown(value)}")

    def _time(self, value: str | float) -> Time:
        try:
            return parse_when(self.name, str(value)[:LONGEST])
        except (ConfigError, ValueError, OverflowError):
            raise RefusedError(
                f"{self.name} must be {self.kind.value}, not {_shown(value)}"
            ) from None


def arguments_schema(taken: Sequence[Argument]) -> dict[str, Any]:
    """The JSON schema of the arguments of one tool."""
    return {
        "type": "object",
        "properties": {argument.name: argument.schema() for argument in taken},
        "required": [argument.name for argument in taken],
        "additionalProperties": False,
    }


def read_arguments(taken: Sequence[Argument], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments given, those left out or null as None.

    Raises:
        RefusedError: one that the tool does not take, a wrong value, or a missing one.
    """
    known = {argument.name: argument for argument in taken}
    for name in given:
        if name not in known:
            close = did_you_mean(plain(name[:LONGEST]), known)
            raise RefusedError(f"no argument is called {_shown(name)}{close}")
    found: dict[str, Any] = {}
    for name, argument in known.items():
        value = given.get(name)
        if value is None and argument.required:
            raise RefusedError(f"{name} is missing: {argument.kind.value}")
        found[name] = None if value is None else argument.read(value)
    return found


def canonical(arguments: Mapping[str, Any]) -> str:
    """Arguments as one text, equal for equal calls."""

    def plainly(value: datetime) -> str:
        return value.isoformat()

    return json.dumps(arguments, sort_keys=True, default=plainly)


def _shown(value: Any) -> str:
    return plain(repr(value)[:_SHOWN])
