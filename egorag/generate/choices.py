"""Ranking given answers by the evidence."""

from __future__ import annotations

from collections.abc import Sequence

from egorag.generate.base import TextEncoder
from egorag.generate.passages import Passage
from egorag.generate.scoring import COVERAGE, cosines, coverage, embed
from egorag.retrieve.words import content_words

PRIOR = 0.25
"""Weight of what a choice's own words suggest. Chosen on ``benchmarks/abstention.py``."""


def best_choice(
    question: str, choices: Sequence[str], evidence: Sequence[Passage], encoder: TextEncoder
) -> tuple[int, Passage, float]:
    """(index of the best choice, the passage that supports it most, its support).

    The support of a choice by a passage is the cosine of "question choice" and the passage plus
    ``COVERAGE`` times the share of the choice's words it holds. Choices are compared by their
    best support minus ``PRIOR`` times the cosine of choice and question, since a choice that
    merely repeats the question is near to every passage about it. Each is scored without the
    others and ties go to the text that sorts first, so their order does not matter (of equal
    texts the first is taken).
    """
    words = content_words([p.text for p in evidence])
    both = {choice: f"{question} {choice}" for choice in choices}
    said = [text for p in evidence for text in p.variants]
    vectors = embed(encoder, [question, *both, *both.values(), *said])
    distinct = sorted(both)
    ranked: list[tuple[float, str, int, float]] = []
    for choice, wanted in zip(distinct, content_words(distinct), strict=True):
        support = cosines(vectors[both[choice]], evidence, vectors)
        support += COVERAGE * coverage(wanted, words)
        best = int(support.argmax())
        prior = PRIOR * float(vectors[choice] @ vectors[question])
        ranked.append((prior - support[best], choice, best, float(support[best])))
    _, choice, best, score = min(ranked)
    return list(choices).index(choice), evidence[best], score
