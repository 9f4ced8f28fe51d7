"""Text from outside on its way into a prompt, and a model's reply on its way out of one.

What goes in stands as JSON in which nothing can end its line, close its quotes or spell a tag. What
comes out is searched for JSON objects and read as nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

BYTES_PER_TOKEN = 3
"""English has about four to a token, Chinese three: few budgets are overrun by this guess."""
LONGEST = 100_000
"""Characters of a reply that are read."""

_THOUGHT = re.compile(r"\A\s*<think>.*?(</think>|\Z)", re.S)
_STARTS = 20  # places in a reply at which a JSON object is looked for


def data(value: Any) -> str:
    """``value`` as JSON on one line, without ``<``.

    >>> data(["</evidence>"])
    '["\\\\u003c/evidence>"]'
    """
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def tokens(text: str) -> int:
    """A guess at the tokens of ``text``, whatever the model; rather too many."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in ``text``, whatever stands between them."""
    body = _THOUGHT.sub("", text[:LONGEST])
    at = 0
    for _ in range(_STARTS):
        at = body.find("{", at)
        if at < 0:
            return
        try:
            found, at = json.JSONDecoder().raw_decode(body, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        yield found
