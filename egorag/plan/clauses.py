"""A question taken apart by rules: relations, order, counting, quoted phrases, speakers.

Each rule asks for a whole turn of phrase ("the second time that", "how many times", "after" and
something that can happen) and leaves words that merely look like one ("look after the baby",
"after all", "for a while", "before-and-after") where they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from egorag.plan.asked import Relation, Want, asks, mask, telling, without
from egorag.plan.room import Room
from egorag.plan.times import STARTS, UNIT, N, number, seconds, take_times

NESTED = 3
"""Relations within relations that are followed."""

_PHRASAL = {  # words that make of the next one no relation of time
    "after": """look looks looked looking name named names run runs ran running chase chased
        chasing day year week month night one time again ever there the a""",
    "before": "day night week month year ever never as the a and",
    "while": "a the little long short worth quite some once every mean",
    "during": "",
    "when": """know knows remember remembers recall tell me us show find say says said see of since
        even exactly check ask until""",
}
_PHRASAL_WORDS = {word: frozenset(listed.split()) for word, listed in _PHRASAL.items()}
_NO_THING = r"(?:all|that|this|it|then|which|and|or|long|hand|my eyes|dark)\b\s*(?:[,.?!]|$)"
_FAR = rf"(?P<far>(?P<within>(?:with)?in\s+(?:the\s+first\s+)?)?(?P<n>{N})\s+(?P<unit>{UNIT})\s+)"
_SOON = r"(?:(?:right|just|immediately|directly|straight|shortly|soon)\s+)"
_RELATION = re.compile(
    rf"(?<![\w'’-])(?:{_FAR}|{_SOON})?(?P<kind>after|before|while|during|when)(?![\w'’-])"
    rf"\s+(?!(?:{STARTS})(?!\w))",
    re.I,
)
_QUESTION = (
    r"(?:what|who|whom|where|which|how|did|does|do|was|were|is|are|has|have|had|show|find)\b"
)

_NTH = (
    *("first", "second", "third", "fourth", "fifth"),
    *("sixth", "seventh", "eighth", "ninth", "tenth"),
)
_ORDINAL = (
    rf"(?:{'|'.join(_NTH)}|\d{{1,3}}(?:st|nd|rd|th)|last|final|latest|earliest|most\s+recent)"
)
_ORDER = re.compile(
    rf"(?<![\w-])(?:for\s+)?the\s+(?:very\s+)?(?P<nth>{_ORDINAL})\s+"
    r"(?:(?:time|occasion)(?:\s+(?:that|when))?|thing(?:\s+that)?)(?![\w-])",
    re.I,
)
_DID = re.compile(
    r"(?P<start>\b(?:did|do|does|have|has|had|was|were|is)\s+(?:i|we|you|he|she|they|it|someone"
    r"|anyone|somebody|(?:the|my|our|his|her|their|your)\s+\w+|[A-Z]\w+)\s+)(?P<nth>first|last)\s+"
    r"(?!name|night|week|month|year|minute|hour|time|aid|class|floor|day)(?=\w)",
    re.I,
)
_END = re.compile(r"(?<!\bat)\s+(?P<nth>first|last)\s*(?=[?.!]*$)", re.I)
_COUNT = re.compile(
    r"(?<![\w-])(?:how\s+(?:many\s+times|often|frequently)|(?:count\s+)?the\s+number\s+of\s+times)"
    r"(?![\w-])",
    re.I,
)
_SPEAKS = (
    r"(?:say|says|said|saying|speak|speaks|spoke|spoken|speaking|talk|talks|talked|talking|tell"
    r"|tells|told|telling|mention|mentions|mentioned|ask|asks|asked|asking|answer|answers"
    r"|answered|reply|replied|explain|explains|explained|shout|shouted|whisper|whispered)\b"
)


def understand(text: str, room: Callable[[], Room], nested: int = NESTED) -> tuple[Want, list[str]]:
    """What ``text`` asks for, and what to know of how it was read.

    Args:
        room: what may be seen; made when the text names a time or may name a speaker.
        nested: relations that may still be followed.
    """
    text = _straight(text)
    main, relation, notes = _relation(text, room, nested)
    main, times, said = take_times(main, room)
    main, order = _order(main)
    main, count = _cut(main, _COUNT)
    speaker, content = _speaker(main, room)
    want = Want(
        text=main if re.search(r"\w", main) else text,
        whole=text,
        content=content if telling(content) else "",
        phrases=tuple(p for p in re.findall(r'"([^"]*)"', main) if re.search(r"\w", p)),
        times=times,
        speaker=speaker,
        relation=relation,
        order=order,
        count=bool(count),
    )
    return want, [*notes, *said]


def _straight(text: str) -> str:
    """Typographic quotes as plain ones, where they come in pairs."""
    return re.sub(r"“([^“”\"]*)”", r'"\1"', text)


def _relation(
    text: str, room: Callable[[], Room], nested: int
) -> tuple[str, Relation | None, list[str]]:
    for found in _RELATION.finditer(mask(text)) if nested else ():
        kind = found["kind"].lower()
        before, thing = text[: found.start()].rstrip(" ,"), text[found.end() :]
        fronted = not re.search(r"\w", before)
        if fronted:
            before, thing = _fronted(kind, thing)
        # A thing that another one lies beside is no question, but part of one.
        if nested == NESTED and not asks(before if fronted else text):
            continue
        thing = thing.strip(" ,?.!;")
        if not _relates(kind, before, thing, fronted):
            continue
        of, notes = understand(thing, room, nested - 1)
        if not of.content:
            continue
        away = 0
        if found["n"]:
            away = round(number(found["n"]) * seconds(found["unit"]) * 1e6)
        relation = Relation(
            kind if kind in ("after", "before") else "while",
            of,
            offset=0 if found["within"] else away,
            within=away if found["within"] else None,
        )
        return before, relation, notes
    if not nested:
        return text, None, []
    return _while_nth(text, room, nested)


def _fronted(kind: str, rest: str) -> tuple[str, str]:
    """(what is asked, the thing) of "After the thing, what is asked"."""
    thing, comma, asked = rest.partition(",")
    if comma and re.search(r"\w", asked):
        return asked.strip(), thing
    if kind != "when" and (split := re.search(rf"\s(?={_QUESTION})", rest[1:], re.I)):
        return rest[split.end() + 1 :].strip(), rest[: split.start() + 1]
    return "", rest


def _relates(kind: str, main: str, thing: str, fronted: bool) -> bool:
    """Whether these are a question and a thing that it is put beside."""
    words = re.findall(r"[\w'’-]+", main.lower())
    if not words or not telling(thing) or re.match(_NO_THING, thing, re.I):
        return False
    if fronted:
        return True
    if words[-1] in _PHRASAL_WORDS[kind]:
        return False
    following = re.match(r"[\w'’-]+", thing.lower())
    if following and following[0] in (words[-1], "and", "or"):  # year after year
        return False
    return kind != "when" or len(words) > 1


def _while_nth(
    text: str, room: Callable[[], Room], nested: int
) -> tuple[str, Relation | None, list[str]]:
    """ "Who was there the last time I saw the keys": what is asked at a thing of that order."""
    found = _ORDER.search(mask(text))
    if found is None or "thing" in found[0].lower():
        return text, None, []
    main, thing = text[: found.start()], text[found.end() :]
    if not re.search(r"\w", main) and "," in thing:
        thing, _, main = thing.partition(",")
    if not telling(main) or not telling(thing):
        return text, None, []
    of, notes = understand(f"{found[0]} {thing.strip(' ?.!')}", room, nested - 1)
    return main.strip(" ,"), Relation("while", of), notes


def _order(text: str) -> tuple[str, int | None]:
    for pattern in (_ORDER, _DID, _END):
        found = pattern.search(mask(text))
        if found is None or (pattern is _END and not asks(text)):
            continue
        start = found.end("start") if "start" in found.groupdict() else found.start()
        return without(text, start, found.end()), _place(found["nth"])
    return text, None


def _place(nth: str) -> int:
    low = " ".join(nth.lower().split())
    if low in ("last", "final", "latest", "most recent"):
        return -1
    if low in _NTH:
        return _NTH.index(low) + 1
    return 1 if low == "earliest" else max(1, int(re.sub(r"\D", "", low)))


def _cut(text: str, pattern: re.Pattern[str]) -> tuple[str, str]:
    found = pattern.search(mask(text))
    return (without(text, found.start(), found.end()), found[0]) if found else (text, "")


def _speaker(text: str, room: Callable[[], Room]) -> tuple[str | None, str]:
    """Who speaks, and the text without saying so."""
    if not re.search(_SPEAKS, mask(text), re.I):
        return None, text
    for label in sorted(room().speakers(), key=len, reverse=True):
        name = r"[\s_]".join(map(re.escape, re.split(r"[\s_]+", label)))
        found = re.search(
            rf"(?<!\w){name}(?:\s+(?:ever|then|just|also|really))?\s+{_SPEAKS}", mask(text), re.I
        )
        if found:
            return label, without(text, found.start(), found.end())
    return None, text
