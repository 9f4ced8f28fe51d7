"""Ranking scenes by their words: BM25 over FTS5's own index, with statistics of the scope only.

FTS5's ``bm25()`` counts documents and lengths over its whole table. Here every number it uses
(documents N, documents with the term, average length) is taken over the scope, so that a scene
which a query may not see cannot change its answer, not even in the last bit. Over a table that
holds just the scope's rows both give the same scores, with opposite sign.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sqlite3
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from egorag.store import tables
from egorag.store.catalog import Catalog
from egorag.store.migrations import TOKENIZER
from egorag.store.records import clean_text
from egorag.store.scope import Int64s, Scope, among
from egorag.store.tables import Documents, Postings

K1, B = 1.2, 0.75
"""BM25's saturation and length normalisation, as fixed in FTS5."""

LEAST_IDF = 1e-6
"""FTS5's floor under the weight of terms that more than half of the documents hold."""

MOST_CHARACTERS = 100_000
MOST_TERMS = 64

STOP_WORDS = (
    "a about am an and any are as at be been but by can could did do does for from had has have "
    "he her him his how i if in into is it its me my of on or our she so some than that the their "
    "them then there these they this those to us was we were what when where which who whom whose "
    "why will with would you your"
)
"""Words that say how a question is put rather than what it is about."""

Phrase: TypeAlias = tuple[str, ...]


def search_text(catalog: Catalog, text: str, scope: Scope, k: int) -> list[tuple[int, float]]:
    """The best ``k`` scenes of the scope as (id, score), best first.

    Any text is safe: it is cut into terms by FTS5's tokenizer and never read as a query language.
    Words in double quotes count as one phrase. Common words are left out while others remain.
    Scenes need not hold all terms. Of a long text the first ``MOST_CHARACTERS`` characters and
    ``MOST_TERMS`` distinct terms are read. Equal scores come in order of (video, start, level).

    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), in the variant
    of https://sqlite.org/fts5.html#the_bm25_function.
    """
    with catalog.snapshot():
        documents = catalog.documents()
        visible, norms, count = scope.remember(documents, lambda: _statistics(documents, scope))
        if not count:
            return []
        scores = np.zeros(len(documents.ids))
        for phrase in parse(text):
            rows, frequency = _postings(catalog, phrase, documents)
            if count < len(visible):
                seen = visible[rows]
                rows, frequency = rows[seen], frequency[seen]
            idf = max(math.log((count - len(rows) + 0.5) / (len(rows) + 0.5)), LEAST_IDF)
            scores[rows] += idf * (frequency * (K1 + 1) / (frequency + norms[rows]))
        (found,) = scores.nonzero()
        return catalog.table().rank(documents.ids[found], scores[found], k)


def has_text(catalog: Catalog, ids: Int64s) -> npt.NDArray[np.bool_]:
    """bool [m]: which scenes of ``ids`` (int64 [m]) have text, and so a place in such a ranking."""
    return among(ids, catalog.documents().ids)


def parse(text: str) -> list[Phrase]:
    """What a query asks for: distinct terms and quoted phrases, stemmed, in order.

    >>> parse('Where did I leave the knives? "open the FRIDGE" NOT')
    [('leav',), ('knive',), ('open', 'the', 'fridg'), ('not',)]
    """
    *parts, last = clean_text(text[:MOST_CHARACTERS]).split('"')
    if len(parts) % 2:  # a quote without a partner is no quote
        last = f"{parts.pop()} {last}"
    phrases: list[Phrase] = []
    for i, terms in enumerate(stems([*parts, last])):
        phrases += [tuple(terms)] if i % 2 else [(term,) for term in terms]
    distinct = list(dict.fromkeys(phrase for phrase in phrases if phrase))
    telling = [phrase for phrase in distinct if phrase not in _stop_terms()]
    return (telling or distinct)[:MOST_TERMS]


def stems(texts: Sequence[str]) -> list[list[str]]:
    """The terms of each text in order, as FTS5 indexes them.

    >>> stems(["Opening fridges", "Café!"])
    [['open', 'fridg'], ['cafe']]
    """
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        scratch.execute(f"CREATE VIRTUAL TABLE t USING fts5(text, tokenize='{TOKENIZER}')")
        scratch.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(t, 'instance')")
        scratch.executemany("INSERT INTO t(rowid, text) VALUES (?,?)", enumerate(texts))
        found: list[list[str]] = [[] for _ in texts]
        for doc, term in scratch.execute("SELECT doc, term FROM terms ORDER BY doc, offset"):
            found[doc].append(term)
        return found


@functools.cache
def _stop_terms() -> frozenset[Phrase]:
    (terms,) = stems([STOP_WORDS])
    return frozenset((term,) for term in terms)


def _statistics(
    documents: Documents, scope: Scope
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64], int]:
    """Which documents the scope allows, their BM25 length norms, and how many they are."""
    visible = scope.holds(documents.ids)
    count = int(visible.sum())
    average = int(documents.lengths[visible].sum()) / max(count, 1) or 1.0  # all may be empty
    return visible, K1 * (1 - B + B * documents.lengths / average), count


def _postings(catalog: Catalog, phrase: Phrase, documents: Documents) -> Postings:
    """Rows of ``documents`` that hold the phrase, and how often each does."""

    def look_up() -> Postings:
        if len(phrase) > 1:
            starts = _phrase_starts(catalog, phrase, documents.ids)
            rows, counts = np.unique(starts >> 40, return_counts=True)
            return rows, counts.astype(np.float64)
        laid_out = documents.postings(phrase[0])
        if laid_out is not None:
            return laid_out
        return tables.count(documents.ids, catalog.text_postings(phrase[0]))

    return catalog.memo(("postings", phrase), look_up)


def _phrase_starts(catalog: Catalog, phrase: Phrase, documents: Int64s) -> Int64s:
    """Where the whole phrase starts, a number each: row of ``documents`` << 40 | place in it."""
    starts = _places(catalog, phrase[0], documents)
    for i, term in enumerate(phrase[1:], start=1):
        starts = np.intersect1d(starts, _places(catalog, term, documents) - i)
    return starts


def _places(catalog: Catalog, term: str, documents: Int64s) -> Int64s:
    rows = np.searchsorted(documents, catalog.text_postings(term))
    return np.asarray(rows << 40 | catalog.text_places(term))
