"""What a question asks for, taken apart: what to look for, when, and in which order."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from egorag.retrieve.words import content_words
from egorag.spans import Span

Windows = Mapping[str, tuple[Span, ...]]
"""Stretches of time by video id, in microseconds of the video."""

# Words that stand for anything that may happen, or only point at the recording.
_LIGHT = """
happen happens happened happening next thing things event action show shows find tell time times
moment scene video clip recording look see right just immediately everything anything something
else going went go people person anyone someone somebody everyone do doing did done make
"""


@dataclass(frozen=True)
class When:
    """A time that a question names.

    Attributes:
        said: in its words.
        windows: where that is in the videos that may be seen.
    """

    said: str
    windows: Windows


@dataclass(frozen=True)
class Relation:
    """How a thing asked for lies to another one.

    Attributes:
        kind: ``after``, ``before`` or ``while``.
        of: the other one.
        offset: microseconds from it, where the question says how far.
        within: microseconds it may lie away at most, where the question says so.
    """

    kind: str
    of: Want
    offset: int = 0
    within: int | None = None


@dataclass(frozen=True)
class Want:
    """One thing to look for.

    Attributes:
        text: what is searched.
        whole: the same with what it is related to: searched where that is not found.
        content: what a scene must be about to be relevant; empty where any will do.
        phrases: quoted in the text; scenes that hold them come first.
        times: all of them hold.
        speaker: who says it.
        relation: to another thing.
        order: which one in time: 1 the first, -1 the last; None for the best.
        count: whether it is asked how often.
    """

    text: str
    whole: str = ""
    content: str = ""
    phrases: tuple[str, ...] = ()
    times: tuple[When, ...] = ()
    speaker: str | None = None
    relation: Relation | None = None
    order: int | None = None
    count: bool = False

    @property
    def plain(self) -> bool:
        """Whether it asks for nothing but what its text says."""
        asks = (self.phrases, self.times, self.speaker, self.relation, self.order, self.count)
        return not any(asks)


@dataclass(frozen=True)
class Limits:
    """Where a match counts and how far is looked; settings of every planner that plans.

    A scene is about a text if it holds ``share`` of its content words, each weighted by its idf
    over what the query may see. Where none does, those are whose cosine in a space with a
    threshold is at least that and at most ``close`` below the best one's.

    Attributes:
        share: in 0..1.
        similar: thresholds of cosine by encoder. MiniLM's own is 0.5: in a trial on 2,068 scenes
            with narrations, what was not there stayed below 0.44.
        close: see above.
        apart: seconds between two matches from which on they are two occurrences.
        anchors: places of a thing asked about that are followed at most, best first.
        wide: scenes that are ranked to order or count them.
    """

    share: float = 0.75
    similar: Mapping[str, float] | None = None
    close: float = 0.05
    apart: float = 10.0
    anchors: int = 3
    wide: int = 200

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must lie above 0 and be 1 at most, got {self.share}")
        if not self.close >= 0 or not self.apart >= 0:
            raise ValueError(f"close and apart must be 0 or more, got {self.close}, {self.apart}")
        if self.anchors < 1 or self.wide < 1:
            raise ValueError(f"anchors and wide must be 1 or more, got {self.anchors}, {self.wide}")
        for name, least in (self.similar or {}).items():
            if not -1 <= least <= 1:
                raise ValueError(f"similar.{name} must be a cosine in -1..1, got {least}")


def telling(text: str) -> frozenset[str]:
    """Stems of the words that say what is looked for; none where anything will do.

    >>> sorted(telling("What happened next?")), sorted(telling("Where did I put the knives?"))
    ([], ['knive', 'put'])
    """
    (words,) = content_words([text])
    return words - _light()


_ASKS = re.compile(
    r"\W*(?:(?:\w+\s+)?(?:what|who|whom|where|which|how|when)\b"
    r"|(?:did|does|do|was|were|is|are|has|have|had|can|could|show|find|tell|list|count)\b)",
    re.I,
)


def asks(text: str) -> bool:
    """Whether ``text`` is a question or a request. A statement describes one moment: "she talks
    while driving" is a single thing to look for.

    >>> asks("In which bowl?"), asks("show me the bowl"), asks("a woman is talking")
    (True, True, False)
    """
    return text.rstrip().endswith("?") or bool(_ASKS.match(text))


@functools.cache
def _light() -> frozenset[str]:
    return content_words([_LIGHT])[0]


def mask(text: str) -> str:
    """``text`` with what stands in double quotes blanked out; as long as it.

    >>> mask('say "after all" now')
    'say \\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00 now'
    """
    return re.sub(r'"[^"]*"', lambda m: "\0" * len(m[0]), text)


def without(text: str, start: int, end: int) -> str:
    """``text`` with a stretch cut out and the seam tidied.

    >>> without("what did I do in the first minute?", 14, 33)
    'what did I do?'
    """
    left, right = text[:start].rstrip(" ,"), text[end:].lstrip(" ,")
    joined = f"{left} {right}" if left and right and right[0] not in "?.!" else left + right
    return joined.strip()
