"""How well passages bear on a question: meaning by cosine, words by idf-weighted coverage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Vectors
from egorag.generate.base import TextEncoder
from egorag.generate.passages import Passage

Floats = npt.NDArray[np.float64]

COVERAGE = 0.25
"""Weight of word coverage beside the cosine. Chosen on ``benchmarks/abstention.py``."""


def coverage(wanted: frozenset[str], texts: Sequence[frozenset[str]]) -> Floats:
    """float64 [texts] in 0..1: the share of ``wanted`` each text holds, weighted by idf.

    The idf is over ``texts`` themselves, so nothing outside the evidence is counted; a word that
    none of them holds weighs most. 0 where nothing is wanted.
    """
    idf = {
        word: math.log((len(texts) + 1) / (sum(word in text for text in texts) + 0.5))
        for word in sorted(wanted)
    }
    total = sum(idf.values()) or 1.0
    return np.array([sum(idf[w] for w in sorted(wanted & text)) / total for text in texts])


def cosines(query: Vectors, evidence: Sequence[Passage], vectors: Mapping[str, Vectors]) -> Floats:
    """float64 [evidence]: the best of each passage and of the single lines it is made of."""
    return np.array([max(float(query @ vectors[t]) for t in p.variants) for p in evidence])


def embed(encoder: TextEncoder, texts: Iterable[str]) -> dict[str, Vectors]:
    """Unit vectors by text. Sorted first: a batch, and so its rounding, has one order."""
    distinct = sorted(set(texts))
    rows = encoder.embed_texts(distinct)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return dict(zip(distinct, rows / np.maximum(norms, 1e-12), strict=True))


def confidence(score: float, midpoint: float, width: float) -> float:
    """A score as a number in 0..1: the logistic curve, 0.5 at ``midpoint``.

    >>> confidence(0.4, midpoint=0.4, width=0.1)
    0.5
    """
    return 1 / (1 + math.exp(-max(-700.0, (score - midpoint) / width)))
