"""A streamed chat completion put together again, its text handed on as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from egorag.chat.base import Listener


class BrokenOffError(Exception):
    """A stream ended before its reply did."""


class ToldError(Exception):
    """A server told an error in the middle of a stream."""


def assembled(events: Iterable[str], listen: Listener) -> dict[str, Any]:
    """The chat completion as it would have come in one piece, from the data of its events.

    Raises:
        BrokenOffError, ToldError: see there.
        ValueError, LookupError, TypeError, AttributeError, RecursionError: an event is no chunk of
            a chat completion.
    """
    listen(None)
    said: dict[str, list[str]] = {"content": [], "refusal": []}
    logprobs: list[Any] = []
    finish = usage = None
    for event in events:
        if event == "[DONE]":
            break
        chunk = json.loads(event)
        if error := chunk.get("error"):
            raise ToldError(str(error.get("message") if isinstance(error, dict) else error))
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"][:1]:  # the chunk with the usage has none
            for key, pieces in said.items():
                if isinstance(piece := (choice.get("delta") or {}).get(key), str):
                    pieces.append(piece)
                    if key == "content":
                        listen(piece)
            logprobs += (choice.get("logprobs") or {}).get("content") or []
            finish = choice.get("finish_reason") or finish
    else:
        if finish is None:
            raise BrokenOffError
    message = {key: "".join(pieces) for key, pieces in said.items() if pieces}
    whole = {"message": message, "finish_reason": finish, "logprobs": {"content": logprobs}}
    return {"choices": [whole], "usage": usage}
