"""What a question asks for, apart from how it is put."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from egorag.errors import ConfigError
from egorag.retrieve.words import content_words
from egorag.terminal import plain
from egorag.types import Query

# Words by which a question points at the recording, or that stand for any action or thing in it.
_FRAME = """
narrator speaker video clip film footage scene moment person say says said saying tell tells told
mention mentions mentioned talk talks talked speak explain show shows shown see saw seen hear heard
happen happens happened kind sort type name called time thing place put leave left make made use
used go went gone
"""
_WHEN = re.compile(
    r"^\W*when\b|\b(?:at|around) (?:what|which) (?:time|point|moment|second|minute)\b|\bwhat time\b"
    r"|\bhow far into\b",
    re.IGNORECASE,
)


def asked(query: Query, choices: Sequence[str] | None, longest: int) -> tuple[str, list[str]]:
    """The question and its choices, if any, each cut after ``longest`` characters.

    Raises:
        ConfigError: the question or a choice is empty, or there are no choices in the list.
    """
    question = plain(query.text or "")[:longest]
    if not question:
        raise ConfigError("the question is empty")
    options = [plain(choice)[:longest] for choice in choices or ()]
    if choices is not None and (not options or not all(options)):
        raise ConfigError(f"choices must be one or more non-empty texts, got {list(choices)}")
    return question, options


def asked_words(question: str) -> frozenset[str]:
    """Stems of the words an answer should share; all content words where only a frame is left.

    >>> sorted(asked_words("What does the narrator say about the mirrors?"))
    ['mirror']
    """
    (words,) = content_words([question])
    return words - _frame() or words


def asks_when(question: str) -> bool:
    """Whether the answer is a time.

    >>> asks_when("When did I open the fridge?"), asks_when("Who came when I slept?")
    (True, False)
    """
    return _WHEN.search(question) is not None


@functools.cache
def _frame() -> frozenset[str]:
    return content_words([_FRAME])[0]
