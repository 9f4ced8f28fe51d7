"""What each encoder, ranking, level, strategy, fuser and planner contributes, by kind of evidence.

    python benchmarks/ablation.py [--videos 12] [--seconds 60] [--markdown FILE] [OVERRIDE ...]

On the sample world, whose queries ``ablation_kinds`` makes so that each has its evidence in one
place. Overrides are those of ``python -m egorag.index``: ``+encoder=xclip``. Videos and indexes
are kept under ``benchmarks/results``. One JSON object on stdout:

- ``contributions``: every source of text or vectors left out, and alone. A kind that no ranking
  can take has null: nothing is searched.
- ``budgets``: the same rankings as evidence for an answer, within tokens or seconds: the share of
  questions whose answer's stretch is in it (over half of it), and of the spoken ones the share
  answered right by ``answerer=extractive``, which may abstain; against ``flat``.
- ``fusers``, ``planners``.

Scores are nDCG@10 and whether the first hit is right; intervals and tests draw whole videos, and p
values are corrected by Holm's method within a table.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ablation_kinds import Asked, queries
from measure import CACHE, report

import egorag
from egorag import config
from egorag.errors import SpaceError
from egorag.evaluate.base import Item, Media, Relevant
from egorag.evaluate.corpus import Corpus, corpus
from egorag.evaluate.sample_world import SampleWorld
from egorag.evaluate.score import grades, of_answer
from egorag.fuse.early import Concatenated, Whitened
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.weighted import WeightedScores
from egorag.metrics.intervals import clustered
from egorag.metrics.paired import holm, paired_bootstrap
from egorag.metrics.ranking import ndcg, precision_at
from egorag.pipeline.progress import Silent
from egorag.plan.base import Literal
from egorag.plan.rules import Rules
from egorag.retrieve.adaptive import Adaptive
from egorag.retrieve.collapsed import Collapsed
from egorag.retrieve.flat import Flat
from egorag.retrieve.top_down import TopDown
from egorag.sample import Truth
from egorag.sample.write import written
from egorag.types import Answer

EVENT_SECONDS = 20
"""Events of about three scenes, so that a video of a minute has levels between it and them."""
K, READ = 10, 20
SHUFFLES = 20
TEXT = ("subtitles", "ocr", "speech", "transcript")
"""Encoders that only write text: left out by indexing without them."""
BUDGETS = [{"tokens": 500}, {"tokens": 1000}, {"tokens": 2000}, {"seconds": 30}, {"seconds": 60}]
ANSWERED = {"tokens": 1000}
"""The budget at which answers are asked for, too; they take the longest."""
STRATEGIES: dict[str, Callable[..., Any]] = {
    "flat": Flat,
    "flat, neighbours=1": partial(Flat, neighbours=1),
    "collapsed": Collapsed,
    "collapsed, nested=both": partial(Collapsed, nested="both"),
    "top_down": TopDown,
    "adaptive": Adaptive,
    "adaptive, widest=event": partial(Adaptive, widest="event"),
}
FUSERS = {
    "weighted": WeightedScores(),
    "weighted, normalise=z": WeightedScores(normalise="z"),
    "weighted, normalise=rank": WeightedScores(normalise="rank"),
    "rrf": ReciprocalRank(),
    "concatenated": Concatenated(),
    "whitened": Whitened(),
}
PLANNERS = {"none": Literal(), "rules": Rules()}

Score = tuple[float, float]
"""nDCG@10, and whether the first hit is right."""
Scores = list[Score | None]


@dataclass(frozen=True)
class World:
    """The videos, and where they are indexed."""

    media: tuple[Media, ...]
    truths: Mapping[str, Truth]
    asked: Sequence[Asked]
    overrides: Sequence[str]
    cache: Path

    def indexed(self, encoders: Sequence[str] | None = None) -> Corpus:
        """By the default encoders and those of the overrides, or by these alone."""
        given = [f"events.seconds={EVENT_SECONDS}", *self.overrides]
        if encoders is not None:
            given = [one for one in given if not one.lstrip("+").startswith("encoder=")]
            given.append(f"encoder=[{','.join(encoders)}]")
        settings = config.compose("bench", given)
        return corpus(self.media, settings, self.cache, Silent())


def world(
    videos: int, seconds: float, overrides: Sequence[str], size: tuple[int, int], most: int
) -> World:
    """The videos and at most ``most`` queries of a kind, spread over the videos."""
    folder = CACHE / "sample_world"
    media = SampleWorld(videos=videos, seconds=seconds, folder=str(folder), size=size).read().media
    truths = {}
    for seed, one in enumerate(media):
        truth = one.path and written(one.path, seconds, seed, size)
        if not truth:
            raise SystemExit(f"{one.path} is not the video of seed {seed}; delete it")
        truths[one.name] = truth
    asked = queries(truths, CACHE / "ablation" / f"queries_{size[1]}p")
    return World(media, truths, spread(asked, most), overrides, CACHE / "ablation")


def spread(asked: Sequence[Asked], most: int) -> list[Asked]:
    """At most ``most`` of each kind, evenly from the first to the last."""
    found = []
    for kind in dict.fromkeys(one.kind for one in asked):
        own = [one for one in asked if one.kind == kind]
        picked = {i * len(own) // most for i in range(most)} if len(own) > most else range(len(own))
        found += [own[i] for i in sorted(picked)]
    return found


class Asking:
    """An open index that is asked the queries."""

    def __init__(self, made: Corpus, index: egorag.Index, asked: Sequence[Asked]) -> None:
        self.ids, self.index, self.asked = made.ids, index, asked
        self.scenes = {name: index.scenes(id, "scene") for name, id in made.ids.items()}

    def right(self, one: Asked) -> dict[int, float]:
        """Grade by id of the scenes that answer it."""
        return grades([Relevant(one.video, span, 1.0) for span in one.right], self.scenes)

    def ranked(self, one: Asked, **how: Any) -> Score | None:
        """None where no ranking takes such a query."""
        videos = [self.ids[name] for name in one.among]
        try:
            hits = self.index.search(**one.media, k=K, videos=videos, **how)
        except SpaceError:
            return None
        return _score([hit.scene.id for hit in hits], self.right(one))

    def all(self, **how: Any) -> Scores:
        return [self.ranked(one, **how) for one in self.asked]

    def random(self) -> Scores:
        """The mean over orders drawn by lot."""
        dice = np.random.default_rng(0)
        found: Scores = []
        for one in self.asked:
            ids = [scene.id for name in one.among for scene in self.scenes[name]]
            right = self.right(one)
            drawn = [_score(dice.permutation(ids)[:K].tolist(), right) for _ in range(SHUFFLES)]
            first, second = np.mean(drawn, axis=0).tolist()
            found.append((first, second))
        return found

    def read(self, one: Asked, strategy: Any, answers: bool) -> tuple[float, float | None]:
        """Whether the answer's stretch is in the evidence; whether the answer is right."""
        videos = [self.ids[name] for name in one.among]
        text = one.media["query"]
        by = None if answers and one.answer else _Reads()
        answer = self.index.ask(text, k=READ, videos=videos, strategy=strategy, answerer=by)
        there = any(
            hit.scene.video == self.ids[one.video]
            and 2 * hit.scene.span.overlap(span) > span.duration
            for hit in answer.evidence
            for span in one.right
        )
        if by is not None:
            return float(there), None
        item = Item("asked", text, one.among, answer=one.answer)
        return float(there), of_answer(answer, item)["accuracy"]


@dataclass(frozen=True)
class _Reads:
    """Takes the evidence and answers nothing: for what has no answer in words."""

    def answer(self, query: Any, hits: Any, *_: Any, **__: Any) -> Answer:
        return Answer("", True, 0.0, evidence=tuple(hits))


def _score(ids: Sequence[int], right: Mapping[int, float]) -> Score:
    return ndcg(ids, right, K), precision_at(ids, right, 1)


def contributions(of: World, asking: Asking) -> dict[str, Scores]:
    """By what is left out, or alone."""
    rows = asking.index.folder.catalog.encoders()
    ranking = [name for name, row in rows.items() if row.space]
    lists = [*ranking, "bm25"]
    names = list(rows)
    result = {"all": asking.all(), "random": asking.random()}
    for name in lists:
        result[f"without {name}"] = asking.all(without=[name])
        result[f"{name} alone"] = asking.all(without=[other for other in lists if other != name])
    for name in [name for name in TEXT if name in names]:
        for called, chosen in (
            (f"without {name}", [other for other in names if other != name]),
            (f"text of {name} alone", [name, "minilm"]),
        ):
            made = of.indexed(chosen)
            with egorag.open(made.index) as index:
                result[called] = Asking(made, index, asking.asked).all()
    return result


def table(asked: Sequence[Asked], scores: Mapping[str, Scores], base: str) -> dict[str, Any]:
    """By condition and kind: both scores with intervals, and the difference from ``base``."""
    told: dict[str, dict[str, Any]] = {name: {} for name in scores}
    tests = []
    for kind in dict.fromkeys(one.kind for one in asked):
        rows = [number for number, one in enumerate(asked) if one.kind == kind]
        clusters = [asked[number].video for number in rows]
        first = [scores[base][number] for number in rows]
        for name, of in scores.items():
            own = [of[number] for number in rows]
            if any(one is None for one in own):
                told[name][kind] = None
                continue
            values = np.array(own, np.float64)
            cell = {
                f"ndcg@{K}": _interval(values[:, 0], clusters),
                "first_right": _interval(values[:, 1], clusters),
            }
            told[name][kind] = cell
            if name != base and not any(one is None for one in first):
                against = np.array(first, np.float64)[:, 0]
                cell["difference"] = paired_bootstrap(values[:, 0], against, clusters).to_json()
                tests.append(cell["difference"])
    _correct(tests)
    return told


def budgets(asking: Asking) -> list[dict[str, Any]]:
    """Of the text queries that one of the default encoders can answer, by strategy and budget."""
    texts = [one for one in asking.asked if one.kind in ("spoken", "written", "order")]
    clusters = [one.video for one in texts]
    told, tests = [], []
    for budget in BUDGETS:
        read = {
            name: [asking.read(one, make(**budget), budget == ANSWERED) for one in texts]
            for name, make in STRATEGIES.items()
        }
        for name, of in read.items():
            row: dict[str, Any] = {"budget": budget, "strategy": name}
            for column, wanted in _columns(texts, budget == ANSWERED).items():
                at = 1 if column == "accuracy" else 0
                mine = np.array([of[n][at] for n in wanted], np.float64)
                flat = np.array([read["flat"][n][at] for n in wanted], np.float64)
                videos = [clusters[n] for n in wanted]
                row[column] = _interval(mine, videos)
                if name != "flat":
                    row[column]["difference"] = paired_bootstrap(mine, flat, videos).to_json()
                    tests.append(row[column]["difference"])
            told.append(row)
    _correct(tests)
    return told


def _columns(texts: Sequence[Asked], answers: bool) -> dict[str, list[int]]:
    """Rows of ``texts`` by what is told of them."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, one in enumerate(texts):
        found[one.kind].append(number)
        if answers and one.answer:
            found["accuracy"].append(number)
    return dict(found)


def _interval(values: np.ndarray, clusters: Sequence[str]) -> dict[str, Any]:
    of = clustered(lambda rows: float(values[rows].mean()), clusters)
    return {"value": of.value, "low": of.low, "high": of.high, "n": of.rows, "videos": of.clusters}


def _correct(tests: Sequence[dict[str, Any]]) -> None:
    for one, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
        one["p_corrected"] = p


def markdown(found: Mapping[str, Any]) -> str:
    """nDCG@10 / first hit right, and shares; ``*``: surely other than the first row."""
    lines = []
    for name in [name for name in found if name != "budgets"]:
        of = found[name]
        kinds = list(next(iter(of.values())))
        head = [_line([name, *kinds]), _line(["---"] * (1 + len(kinds)))]
        lines += [f"## {name}: nDCG@{K} / first hit right", "", *head]
        for condition, cells in of.items():
            lines.append(_line([condition, *(_cell(cells[k], f"ndcg@{K}") for k in kinds)]))
        lines.append("")
    if "budgets" not in found:
        return "\n".join(lines)
    columns = list(dict.fromkeys(c for row in found["budgets"] for c in row))[2:]
    lines += ["## share with the evidence within a budget", ""]
    lines += [_line(["budget", "strategy", *columns]), _line(["---"] * (2 + len(columns)))]
    for row in found["budgets"]:
        ((unit, amount),) = row["budget"].items()
        cells = [_cell(row.get(c) and {**row[c], "score": row[c]}, "score") for c in columns]
        lines.append(_line([f"{amount} {unit}", row["strategy"], *cells]))
    return "\n".join(lines) + "\n"


def _cell(cell: Mapping[str, Any] | None, score: str) -> str:
    if cell is None:
        return "–"
    sure = "*" if cell.get("difference", {}).get("p_corrected", 1) < 0.05 else ""
    first = f" / {cell['first_right']['value']:.2f}" if "first_right" in cell else ""
    return f"{cell[score]['value']:.2f}{sure}{first}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


TABLES = ("contributions", "fusers", "planners", "budgets")


def run(of: World, tables: Sequence[str] = TABLES) -> dict[str, Any]:
    """The tables by name."""
    made = of.indexed()
    texts = [one for one in of.asked if "query" in one.media]
    found: dict[str, Any] = {}
    with egorag.open(made.index) as index:
        asking, by_text = Asking(made, index, of.asked), Asking(made, index, texts)
        if "contributions" in tables:
            found["contributions"] = table(of.asked, contributions(of, asking), "all")
        if "fusers" in tables:
            fused = {name: by_text.all(fuser=fuser) for name, fuser in FUSERS.items()}
            found["fusers"] = table(texts, fused, "weighted")
        if "planners" in tables:
            planned = {name: by_text.all(planner=planner) for name, planner in PLANNERS.items()}
            found["planners"] = table(texts, planned, "none")
        if "budgets" in tables:
            found["budgets"] = budgets(asking)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 270))
    parser.add_argument("--queries", type=int, default=36, help="of each kind, at most")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--markdown", type=Path, help="a file for the tables")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args()
    of = world(given.videos, given.seconds, given.overrides, tuple(given.size), given.queries)
    found = run(of, given.tables)
    if given.markdown:
        given.markdown.write_text(markdown(found), encoding="utf-8")
    asked: dict[str, int] = defaultdict(int)
    for one in of.asked:
        asked[one.kind] += 1
    report(videos=given.videos, seconds=given.seconds, asked=dict(asked), **found)


if __name__ == "__main__":
    main()
