"""Captions of several frames as one text that does not repeat itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

ALIKE = 0.75  # shared words of all words, from which two captions say the same

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_ARTICLES = frozenset({"a", "an", "the"})
# A word that BLIP made up from its training data ("arafed image of a man", "araffes").
_INVENTED = re.compile(r"\baraf+\w*\s+(?:(?:image|photo|picture|view)s?\s+of\s+)?", re.IGNORECASE)
_ECHO = re.compile(r"\b([^\W\d_]+)(?:\s+\1\b)+", re.IGNORECASE)


def tidy(caption: str) -> str:
    """One line, no invented words, no word twice running.

    >>> tidy("arafed image of a man man on  a a horse")
    'a man on a horse'
    """
    return _ECHO.sub(r"\1", _INVENTED.sub("", " ".join(caption.split()))).strip(" .,;")


def combine(captions: Sequence[str]) -> str:
    """Sentences in the given order, each saying something the others do not; ``""`` of none.

    Compared are the sets of words, without case and articles. A caption goes if another has all
    its words, or if the two share 3/4 of theirs; of such two the one with more words stays, of
    equals the earlier.

    >>> combine(["a man rides a horse", "a horse", "the man rides a brown horse", "a red barn"])
    'The man rides a brown horse. A red barn.'
    """
    told = [(caption, _words(caption)) for caption in map(tidy, captions)]
    by_size = sorted(range(len(told)), key=lambda i: (-len(told[i][1]), i))
    kept: list[int] = []
    for i in by_size:
        words = told[i][1]
        if words and not any(_same(words, told[other][1]) for other in kept):
            kept.append(i)
    return " ".join(_sentence(told[i][0]) for i in sorted(kept))


def _words(caption: str) -> frozenset[str]:
    words = frozenset(word.lower() for word in _WORD.findall(caption))
    return words - _ARTICLES or words


def _same(words: frozenset[str], other: frozenset[str]) -> bool:
    return words <= other or len(words & other) >= ALIKE * len(words | other)


def _sentence(caption: str) -> str:
    return caption[0].upper() + caption[1:] + "."
