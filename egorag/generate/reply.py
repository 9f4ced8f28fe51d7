"""What a language model is to reply, as a JSON schema, and what is read of what it did reply.

The reply is only ever read as this schema: whatever else a text in a video talked the model into
has no effect. Reading never fails on a wrong type; it leaves out what is not of the form asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egorag.chat.untrusted import objects as objects
from egorag.terminal import plain

SENTENCES, CITATIONS, CHARACTERS = 32, 8, 2000
"""At most so many sentences, citations of one, characters of a sentence or quote."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_MARKS = re.compile(r"\[[\d\s,;–-]*\]|\[unverified\]", re.I)  # only we put these into an answer


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of a reply.

    Attributes:
        citations: (number of a scene, quote).
        seen: pictures it cites as (number of a scene, time as it was told).
    """

    text: str
    citations: tuple[tuple[int, str], ...]
    seen: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model replied.

    Attributes:
        confidence: 0..1, what it says of itself; 1 where it says nothing.
        choice: a letter of those offered, None without choices.
    """

    answerable: bool
    claims: tuple[Claim, ...]
    confidence: float
    choice: str | None = None


def schema(letters: Sequence[str] = (), pictures: bool = False) -> dict[str, Any]:
    """The JSON schema of a reply; every key required, none besides, as strict servers want it.

    Args:
        letters: of the choices; none for an open question.
        pictures: a citation may name the time of a picture in place of a quote.
    """
    time = {"time": {"type": "string"}} if pictures else {}
    citation = _object(scene={"type": "integer"}, quote={"type": "string"}, **time)
    sentence = _object(text={"type": "string"}, citations={"type": "array", "items": citation})
    # The sentences come before the choice, so that the choice follows from them.
    keys: dict[str, Any] = {
        "answerable": {"type": "boolean"},
        "sentences": {"type": "array", "items": sentence},
        "confidence": {"type": "number"},
    }
    if letters:
        keys["choice"] = {"type": "string", "enum": list(letters)}
    return _object(**keys)


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse(text: str, letters: Sequence[str] = ()) -> Reply | None:
    """The first reply in ``text``, which may stand in prose or a code fence; None if none does.

    >>> parse('Sure! {"answerable": false, "sentences": "none"}')
    Reply(answerable=False, claims=(), confidence=1.0, choice=None)
    """
    for found in objects(text):
        if {"answerable", "sentences", "choice"} & set(found):
            return _reply(found, letters)
    return None


def _reply(found: Mapping[str, Any], letters: Sequence[str]) -> Reply:
    claims = [_claim(item) for item in _list(found.get("sentences"))[:SENTENCES]]
    sure = found.get("confidence")
    stated = float(sure) if isinstance(sure, float) or sure in (0, 1) else 1.0
    letter = found.get("choice")
    named = re.match(r"\W*([A-Za-z])\b", letter) if isinstance(letter, str) else None
    choice = named[1].upper() if named else None
    return Reply(
        answerable=found.get("answerable") is not False,
        claims=tuple(claim for claim in claims if claim.text),
        confidence=min(1.0, max(0.0, stated)) if math.isfinite(stated) else 1.0,
        choice=choice if choice and choice in letters else None,
    )


def _claim(item: Any) -> Claim:
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return Claim("", ())
    cited: list[tuple[int, str]] = []
    seen: list[tuple[int, str]] = []
    for citation in _list(item.get("citations"))[:CITATIONS]:
        named = citation if isinstance(citation, dict) else {}
        scene, quote, time = (named.get(key) for key in ("scene", "quote", "time"))
        if not isinstance(scene, int) or isinstance(scene, bool) or not isinstance(quote, str):
            cited.append((0, ""))  # no scene has this number: one that cannot be verified
        elif not quote.strip() and isinstance(time, str):
            seen.append((scene, plain(time[:CHARACTERS])))
        else:
            cited.append((scene, plain(quote[:CHARACTERS])))
    text = plain(_MARKS.sub("", item["text"][:CHARACTERS]))
    return Claim(text, tuple(cited), tuple(seen))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
