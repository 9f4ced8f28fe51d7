"""Ranking scenes by their words: BM25 over FTS5's own index, with statistics of the scope only.

FTS5's ``bm25()`` counts documents and lengths over its whole table. Here every number it uses
(documents N, documents with the term, average length) is taken over the scope, so that a scene
which a query may not see cannot change its answer, not even in the last bit. Over a table that
holds just the scope's rows both give the same scores, with opposite sign.
"""

from __future__ import annotations

import functools
import math
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
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

_STEP = 8192  # postings added up at a time: what is computed of them stays in the cache

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
        seen = scope.remember(documents, lambda: _statistics(documents, scope))
        count = seen.count
        if not count:
            return []
        # All zero between queries: to make or read it whole each time would take longer.
        scores = catalog.memo("scores", lambda: np.zeros(len(documents.ids)))
        touched: list[Int64s] = []
        try:
            for phrase in parse(text):
                rows, frequency = _postings(catalog, phrase, documents)
                lengths = seen.lengths[rows]
                having = int(np.count_nonzero(lengths <= seen.longest))
                idf = max(math.log((count - having + 0.5) / (having + 0.5)), LEAST_IDF)
                for start in range(0, len(rows), _STEP):
                    some, often = rows[start : start + _STEP], frequency[start : start + _STEP]
                    norms = seen.norms[lengths[start : start + _STEP]]
                    gain = idf * (K1 + 1) * often / (often + norms)
                    before = scores[some]
                    touched.append(some[(before == 0) & (gain > 0)])
                    scores[some] = before + gain
            found = np.concatenate([*touched, np.empty(0, np.int64)])
            totals = scores[found]
            if len(found) > k > 0:  # ids are looked up of the best alone
                kept = totals >= -np.partition(-totals, k - 1)[k - 1]
                found, totals = found[kept], totals[kept]
            return catalog.table().rank(documents.ids[found], totals, k)
        finally:
            for rows in touched:
                scores[rows] = 0


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
    found: list[list[str]] = [[] for _ in texts]
    scratch = _scratch().database
    scratch.execute("BEGIN")
    try:
        scratch.executemany("INSERT INTO t(rowid, text) VALUES (?,?)", enumerate(texts))
        for doc, term in scratch.execute("SELECT doc, term FROM terms ORDER BY doc, offset"):
            found[doc].append(term)
    finally:
        scratch.execute("ROLLBACK")
    return found


class _Scratch(threading.local):
    """A table for each thread that takes any text and keeps none: to make one takes longer."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.execute(f"CREATE VIRTUAL TABLE t USING fts5(text, tokenize='{TOKENIZER}')")
        self.database.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(t, 'instance')")


@functools.cache
def _scratch() -> _Scratch:
    return _Scratch()


@functools.cache
def _stop_terms() -> frozenset[Phrase]:
    (terms,) = stems([STOP_WORDS])
    return frozenset((term,) for term in terms)


@dataclass(frozen=True)
class _Statistics:
    """What a scope allows of the documents: how many, and their length norms.

    Attributes:
        longest: length of the longest document.
        lengths: int32 [n], in tokens; one more than ``longest`` for every document outside the
            scope.
        norms: by length; infinite, so that there is no gain, outside the scope.
    """

    count: int
    longest: int
    lengths: npt.NDArray[np.int32]
    norms: npt.NDArray[np.float64]


def _statistics(documents: Documents, scope: Scope) -> _Statistics:
    visible = scope.holds(documents.ids)
    count = int(visible.sum())
    average = int(documents.lengths[visible].sum()) / max(count, 1) or 1.0  # all may be empty
    longest = int(documents.lengths.max(initial=0))
    norms = K1 * (1 - B + B * np.arange(longest + 2, dtype=np.float64) / average)
    norms[-1] = np.inf
    lengths = np.where(visible, documents.lengths, longest + 1).astype(np.int32)
    return _Statistics(count, longest, lengths, norms)


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
