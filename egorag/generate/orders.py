"""Choices shown in several orders, so that a model's liking for a letter or a place cancels.

Language models prefer some positions whatever stands there (Zheng et al. 2024, "Large Language
Models Are Not Robust Multiple Choice Selectors", arXiv 2309.03882). Shown in every rotation of one
order (the CircularEval of MMBench, arXiv 2307.06281), each choice stands at each place once, and
the mean over them has no preference left.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence

from egorag.chat.base import Token

_VALUE = re.compile(r'"choice"\s*:\s*"\s*(?P<letter>[A-Za-z])\b')


def orders(choices: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """``count`` orders of ``range(choices)``, in turn the rotations of seeded permutations.

    No more than there are different ones. With ``count`` a multiple of ``choices``, each stands at
    each place equally often.

    >>> orders(3, 3, seed=0)
    [(1, 2, 0), (2, 0, 1), (0, 1, 2)]
    """
    drawn = random.Random(seed)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < min(count, math.factorial(choices)):
        base = drawn.sample(range(choices), choices)
        for turn in range(choices):
            found[tuple(base[turn:] + base[:turn])] = None
    return list(found)[:count]


def letter_shares(
    letters: Sequence[str], chosen: str | None, tokens: Sequence[Token]
) -> dict[str, float] | None:
    """Probability of each letter in one reply, summing to 1; None where it chose none.

    From the log probabilities of the token that holds the letter where the server gave them, else
    1 for the letter chosen.
    """
    if chosen is None:
        return None
    shares = _by_token(letters, tokens)
    return shares or {letter: float(letter == chosen) for letter in letters}


def _by_token(letters: Sequence[str], tokens: Sequence[Token]) -> dict[str, float] | None:
    values = list(_VALUE.finditer("".join(token.text for token in tokens)))
    if not values:
        return None
    at, end = values[-1].start("letter"), 0
    mass = dict.fromkeys(letters, 0.0)
    for token in tokens:
        end += len(token.text)
        if at < end:
            for text, logprob in token.likeliest:
                letter = text.strip(' "\n}').upper()
                if letter in mass:
                    mass[letter] += math.exp(min(0.0, logprob))
            break
    total = sum(mass.values())
    return {letter: share / total for letter, share in mass.items()} if total > 0 else None


def mean_shares(replies: Sequence[Mapping[int, float]], choices: int) -> tuple[float, ...]:
    """The mean over replies of the probability of each choice."""
    return tuple(sum(r.get(i, 0.0) for r in replies) / len(replies) for i in range(choices))
