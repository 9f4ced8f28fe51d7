"""What a score must be held against: the same items without what is claimed to help.

A ranking beside a random one and BM25; an answer beside those that never look at the video
(majority, longest and shortest choice, the same generator without evidence), the same generator
given the right scenes (oracle), and given another question's (shuffled). Where a rule leaves
several choices, each gets its share, so no order of choices is favoured.

A generator that looks for evidence itself has no search in these runs, and its other tools reach no
further than the evidence it is given: the stretch of one video from its first scene to its last
(oracle), what the other question was asked of (shuffled). Where that cannot keep what is right in
or out, the control says nothing of the question and is left out for it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from egorag.evaluate.base import Item
from egorag.evaluate.run import Condition, Measured, Session
from egorag.evaluate.score import of_answer
from egorag.generate.base import Answerer, Guessing, Searching
from egorag.spans import to_seconds
from egorag.types import Hit, Query

MAIN = "main"
"""The condition that is measured for its own sake."""

SEARCHING = frozenset({"fuser", "strategy", "reranker", "selector", "planner", "without"})
"""Settings of how an index is searched."""

UNTOUCHED = {
    **dict.fromkeys(
        ("random", "bm25", "majority", "longest", "shortest"), SEARCHING | {"answerer"}
    ),
    **dict.fromkeys(("blind", "oracle"), SEARCHING),
}
"""Settings that a control does not depend on: runs that differ in no others share its rows."""


def conditions(session: Session, items: Sequence[Item], seed: int) -> dict[str, Condition]:
    """The run itself, then its controls, by name."""
    found: dict[str, Condition] = {MAIN: session.measure}
    kind = session.dataset.kind
    if kind in ("retrieval", "moments"):
        found["random"] = lambda item: _random(session, item, seed)
        dense = [row.name for row in session.index.folder.catalog.encoders().values() if row.space]
        if dense:
            found["bm25"] = lambda item: _words(session, item, dense)
    if kind == "choice":
        if any(item.choices for item in items):
            found["majority"] = _rule(_majority(items))
            found["longest"] = _rule(lambda item: _most([len(text) for text in item.choices]))
            found["shortest"] = _rule(lambda item: _most([-len(text) for text in item.choices]))
        found["blind"] = lambda item: _blind(session, item)
        if any(item.relevant for item in items):
            found["oracle"] = lambda item: _oracle(session, item)
        if len(items) > 1:
            others = _others(items, seed)
            found["shuffled"] = lambda item: _shuffled(session, item, others[item.id])
    return found


def _random(session: Session, item: Item, seed: int) -> Measured:
    """Scenes drawn by lot among those the item may find."""
    catalog = session.index.folder.catalog
    ids = catalog.scope(session.query(item)).ids
    digits = hashlib.sha256(f"{seed} {item.id}".encode()).digest()[:8]
    dice = np.random.default_rng(int.from_bytes(digits))
    drawn = dice.permutation(ids)[: session.asking.k].tolist()
    return session.of_hits(item, _hits(session, drawn))


def _words(session: Session, item: Item, dense: Sequence[str]) -> Measured:
    """BM25 as it is: without the encoders, and without what else the run adds to a search."""
    plain = {name: of for name, of in session.limits(item).items() if name not in SEARCHING}
    hits = session.index.search(item.text, level=session.asking.level, without=dense, **plain)
    return session.of_hits(item, hits)


def _hits(session: Session, ids: Sequence[int]) -> list[Hit]:
    catalog = session.index.folder.catalog
    scenes = catalog.scenes_by_id(ids)
    paths = {video.id: video.path for video in catalog.videos()}
    return [Hit(scene, paths[scene.video], 0.0, {}, "") for scene in scenes]


def _rule(shares: Callable[[Item], Sequence[float]]) -> Condition:
    """Chooses without looking: a probability for each choice."""

    def choose(item: Item) -> Measured:
        if not item.choices:
            return {}, {}
        given = shares(item)
        right = given[item.answer] if isinstance(item.answer, int) else 0.0
        return {"accuracy": float(right)}, {"shares": list(given)}

    return choose


def _most(sizes: Sequence[int]) -> list[float]:
    """All of 1 to the largest, in equal shares."""
    best = [size == max(sizes) for size in sizes]
    return [is_best / sum(best) for is_best in best]


def _majority(items: Sequence[Item]) -> Callable[[Item], Sequence[float]]:
    """The place where the answer stands most often among all other items of as many choices."""
    counts: dict[int, Counter[int]] = {}
    for item in items:
        if item.public and isinstance(item.answer, int):
            counts.setdefault(len(item.choices), Counter())[item.answer] += 1

    def shares(item: Item) -> Sequence[float]:
        seen = counts.get(len(item.choices), Counter()).copy()
        if item.public and isinstance(item.answer, int):
            seen[item.answer] -= 1
        return _most([seen[place] for place in range(len(item.choices))])

    return shares


def _blind(session: Session, item: Item) -> Measured:
    by = session.answerer
    if not isinstance(by, Guessing):
        return {}, {}
    encoder = session.index.text_encoder(by)
    answer = by.guess(session.query(item), encoder, item.choices or None)
    return of_answer(answer, item), answer.to_json()


def _oracle(session: Session, item: Item) -> Measured:
    """Answers from the scenes with the answer and nothing else."""
    right = session.grades(item)
    if not right:
        return {}, {}
    allowed = session.index.folder.catalog.scope(session.query(item))
    best = sorted(right, key=lambda id: -right[id])
    visible = [id for id in best if id in set(allowed.ids.tolist())]
    hits = _hits(session, visible)
    query = session.query(item)
    if isinstance(session.answerer, Searching) and hits:
        videos = {hit.scene.video for hit in hits}
        if len(videos) > 1:
            return {}, {}
        spans = [hit.scene.span for hit in hits]
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        after, before = to_seconds(start), to_seconds(end)
        query = replace(query, videos=tuple(videos), after=after, before=before)
    return _given(session, item, hits, query)


def _shuffled(session: Session, item: Item, other: Item) -> Measured:
    """Answers from what another question found, under that one's limits, without what is right."""
    right = session.grades(item)
    query = session.query(other, text=item.text)
    reach = session.index.folder.catalog.scope(query).ids.tolist()
    if isinstance(session.answerer, Searching) and not right.keys().isdisjoint(reach):
        return {}, {}
    found = [hit for hit in session.search(other) if hit.scene.id not in right]
    return _given(session, item, found, query)


def _given(session: Session, item: Item, hits: Sequence[Hit], query: Query) -> Measured:
    by: Answerer = session.answerer
    encoder = session.index.text_encoder(by)
    folder = session.index.folder
    answer = by.answer(query, hits, folder, encoder, item.choices or None)
    return session.of_answer(item, answer)


def _others(items: Sequence[Item], seed: int) -> dict[str, Item]:
    """Another item for each, of another video where there is one; each is drawn at most a few
    times."""
    order = np.random.default_rng(seed).permutation(len(items)).tolist()
    found: dict[str, Item] = {}
    for place, number in enumerate(order):
        item = items[number]
        turned = [items[i] for i in (*order[place + 1 :], *order[:place])]
        found[item.id] = next((one for one in turned if one.cluster != item.cluster), turned[0])
    return found
