"""EPIC-KITCHENS-100 recognition and anticipation, scored from files of class scores.

Damen et al., "Rescaling Egocentric Vision" (IJCV 2022), sections 4.1 and 4.3. Needs
``EPIC_100_validation.csv``, ``EPIC_100_tail_verbs.csv``, ``EPIC_100_tail_nouns.csv`` and
``EPIC_100_unseen_participant_ids_validation.csv``. ``ek100_scores.py`` tells the forms of a file of
scores; ``python -m egorag.train probe`` trains what makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import Annotated
from egorag.evaluate.base import Dataset, Item, Media, Relevant, Scores
from egorag.evaluate.ek100 import NOUNS, TABLE, VERBS, Clips, files_of, read_clips
from egorag.evaluate.ek100_scores import ClassScores, read_scores
from egorag.evaluate.files import Files
from egorag.metrics.actions import TASKS, action_classes, action_hits, by_part, parts
from egorag.metrics.classmean import class_mean, hits
from egorag.metrics.intervals import Interval, clustered

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

CHALLENGES = {
    "recognition": ("accuracy", "accuracy", (1, 5)),
    "anticipation": ("class-mean recall", "class_mean_recall", (5,)),
}
"""By challenge: how its measure is called, the key of it in ``by_part``, the k it is taken at."""


@dataclass(frozen=True)
class EK100Actions(Annotated):
    """See the module.

    Attributes:
        challenge: ``recognition``, top-1 and top-5 accuracy of the action a clip shows, or
            ``anticipation``, class-mean recall at 5 of the action that comes a second later.
        predictions: a file of class scores.
    """

    challenge: str = "recognition"
    predictions: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.challenge not in CHALLENGES:
            raise ValueError(
                f"no challenge {self.challenge!r}{did_you_mean(self.challenge, CHALLENGES)}"
            )
        if self.limit is not None:
            raise ValueError("a file of class scores is scored whole; leave limit out")

    def read(self) -> Dataset:
        """One item a clip, with its classes as labels."""
        files = files_of(self.folder)
        clips = read_clips(files, TABLE)
        _parts(files, clips)
        items = tuple(
            Item(
                clips.ids[at],
                clips.texts[at],
                (clips.videos[at],),
                relevant=(Relevant(clips.videos[at], clips.spans[at], 1.0),),
                labels={"verb": str(clips.verbs[at]), "noun": str(clips.nouns[at])},
            )
            for at in range(len(clips.ids))
        )
        media = tuple(Media(name) for name in dict.fromkeys(clips.videos))
        return Dataset(f"ek100_{self.challenge}", "scores", items, media, files.sources)

    def from_file(self, dataset: Dataset) -> Scores:
        """The official metrics in percent: overall, unseen participants, tail classes."""
        if self.predictions is None:
            raise ConfigError(
                f"{dataset.name} scores a file: give benchmark.predictions=FILE.json (the official "
                "submission), FILE.npz or FILE.safetensors (verb_output, noun_output)"
            )
        files = files_of(self.folder)
        clips = read_clips(files, TABLE)
        held = _parts(files, clips)
        scored = read_scores(self.predictions, clips.ids, VERBS, NOUNS)
        classes = {
            "verb": clips.verbs,
            "noun": clips.nouns,
            "action": action_classes(clips.verbs, clips.nouns),
        }
        measure, key, ks = CHALLENGES[self.challenge]
        overall: dict[str, Interval | float] = {}
        by: dict[str, dict[str, Interval | float]] = {part: {} for part in held}
        for k in ks:
            found = _hits(scored, clips, k)
            for task in TASKS:
                statistic = _statistic(key, found[task], classes[task])
                name = f"{task} {measure}@{k}"
                overall[name] = clustered(statistic, clips.videos, seed=self.seed)
            for part, tasks in by_part(found, classes, held).items():
                for task, values in tasks.items():
                    if (value := values[key]) is not None:
                        by[part][f"{task} {measure}@{k}"] = 100 * value
        return Scores(f"action {measure}@{ks[0]}", overall, {"part": by}, percent=True)


def _statistic(key: str, hit: Floats, classes: Ints) -> Callable[[Ints], float]:
    """The measure over rows, in percent."""
    if key == "accuracy":
        return lambda rows: 100 * float(hit[rows].mean())
    return lambda rows: 100 * class_mean(hit[rows], classes[rows])


def _hits(scored: ClassScores, clips: Clips, k: int) -> dict[str, Floats]:
    """How likely each clip's class is among the k best, by task."""
    if scored.action is None:
        action = action_hits(scored.verb, scored.noun, clips.verbs, clips.nouns, k)
    else:
        pairs = zip(clips.verbs.tolist(), clips.nouns.tolist(), strict=True)
        action = np.array([_listed(o, p, k) for o, p in zip(scored.action, pairs, strict=True)])
    return {
        "verb": hits(scored.verb, clips.verbs, k),
        "noun": hits(scored.noun, clips.nouns, k),
        "action": action,
    }


def _listed(scores: dict[tuple[int, int], float], true: tuple[int, int], k: int) -> float:
    """The share of the k best places that the true action has among the listed; equal scores share
    theirs, as in ``classmean.hits``."""
    if true not in scores:
        return 0.0
    every = np.array(list(scores.values()))
    better, equal = (every > scores[true]).sum(), (every == scores[true]).sum()
    return float(np.clip((k - better) / equal, 0.0, 1.0))


def _parts(files: Files, clips: Clips) -> dict[str, dict[str, Bools]]:
    """Which clips count for which part, as the owners' three lists say."""
    tails = [
        [row.whole(name) for row in files.table((name,), f"EPIC_100_tail_{name}s.csv")]
        for name in ("verb", "noun")
    ]
    table = files.table(("participant_id",), "EPIC_100_unseen_participant_ids_validation.csv")
    unseen = {row.text("participant_id") for row in table}
    if odd := unseen - set(clips.participants):
        raise ConfigError(f"{table[0].where}: no clip is of participant {min(odd)!r}")
    new = np.isin(clips.participants, list(unseen))
    return parts(clips.verbs, clips.nouns, new, *tails)
