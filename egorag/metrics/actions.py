"""Actions as EPIC-KITCHENS-100 scores them: verb, noun and both; overall, unseen and tail.

Damen et al., "Rescaling Egocentric Vision" (IJCV 2022), sections 4.1 and 4.3. Both challenges
count over the same parts of the data: clips of participants never trained on, and clips whose
class is rare. Recognition averages over clips, anticipation over the classes present.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from egorag.metrics.classmean import Hits, Ints, class_mean

TASKS = ("verb", "noun", "action")
PARTS = ("overall", "unseen", "tail")
NOUNS = 1000
"""An action's class is its verb's times this, plus its noun's."""

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating]

_ROWS = 64  # clips whose verb x noun products are held together


def action_classes(verbs: Ints, nouns: Ints) -> Ints:
    """The action class of each clip, int [n].

    >>> action_classes(np.array([0, 2]), np.array([5, 1]))
    array([   5, 2001])
    """
    return np.asarray(verbs * NOUNS + nouns, np.intp)


def action_hits(
    verb_scores: Scores, noun_scores: Scores, verbs: Ints, nouns: Ints, k: int, best: int = 100
) -> Hits:
    """For each clip how likely its action is among the ``k`` best, where only verbs and nouns are
    scored: an action's score is the product of probabilities over the ``best`` verbs and nouns.

    Equal products are in no order, as in ``classmean.hits``.

    Args:
        verb_scores, noun_scores: [n, verbs] and [n, nouns]; softmax makes them probabilities.
        verbs, nouns: the classes of each clip, int [n].

    Raises:
        ValueError: shapes disagree, k is below 1, or a score is NaN.
    """
    count = len(verbs)
    if not len(verb_scores) == len(noun_scores) == len(nouns) == count or k < 1:
        raise ValueError(f"expected scores and classes of the same clips and k >= 1, got k={k}")
    if np.isnan(verb_scores).any() or np.isnan(noun_scores).any():
        raise ValueError("scores hold NaN; nothing can be ranked by them")
    found = np.zeros(count)
    for first in range(0, count, _ROWS):
        rows = slice(first, first + _ROWS)
        verb, own_verb = _probabilities(verb_scores[rows], verbs[rows], best)
        noun, own_noun = _probabilities(noun_scores[rows], nouns[rows], best)
        products = verb[:, :, None] * noun[:, None, :]
        own = (own_verb * own_noun)[:, None, None]
        better, equal = (products > own).sum((1, 2)), (products == own).sum((1, 2))
        share = np.clip((k - better) / np.maximum(equal, 1), 0.0, 1.0)
        found[rows] = np.where(np.isnan(own[:, 0, 0]), 0.0, share)
    return found


def parts(
    verbs: Ints,
    nouns: Ints,
    unseen: Bools,
    tail_verbs: Collection[int],
    tail_nouns: Collection[int],
) -> dict[str, dict[str, Bools]]:
    """Which clips count for each of ``PARTS`` and ``TASKS``, bool [n] each.

    An action is in the tail where its verb or its noun is.

    Args:
        unseen: whether each clip is of a participant never trained on.
    """
    every = np.ones(len(verbs), bool)
    verb, noun = (np.isin(c, list(t)) for c, t in ((verbs, tail_verbs), (nouns, tail_nouns)))
    tail = {"verb": verb, "noun": noun, "action": verb | noun}
    return {
        "overall": dict.fromkeys(TASKS, every),
        "unseen": dict.fromkeys(TASKS, unseen),
        "tail": tail,
    }


def by_part(
    hits: Mapping[str, Hits],
    classes: Mapping[str, Ints],
    rows: Mapping[str, Mapping[str, Bools]],
) -> dict[str, dict[str, dict[str, float | None]]]:
    """``{part: {task: {"accuracy", "class_mean_recall"}}}``; None where a part has no clip.

    Args:
        hits: of each task, float [n] in 0..1, of one k.
        classes: of each task, int [n].
        rows: what ``parts`` gives.
    """
    return {
        part: {task: _scored(hits[task][of], classes[task][of]) for task, of in tasks.items()}
        for part, tasks in rows.items()
    }


def _scored(hit: Hits, classes: Ints) -> dict[str, float | None]:
    if not len(hit):
        return {"accuracy": None, "class_mean_recall": None}
    return {"accuracy": float(hit.mean()), "class_mean_recall": class_mean(hit, classes)}


def _probabilities(scores: Scores, truth: Ints, best: int) -> tuple[Hits, Hits]:
    """Softmax over the ``best`` scores of each row [n, best], and the true class's own [n]: NaN
    where it is not among them."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :best]
    top = np.take_along_axis(scores, order, 1).astype(np.float64)
    raised = np.exp(top - top.max(1, keepdims=True))
    shares = raised / raised.sum(1, keepdims=True)
    there = order == truth[:, None]
    own = np.take_along_axis(shares, there.argmax(1)[:, None], 1)[:, 0]
    return shares, np.where(there.any(1), own, np.nan)
