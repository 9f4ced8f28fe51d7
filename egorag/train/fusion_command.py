"""python -m egorag.train fusion: weights of an index's rankings, from judged queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result
from egorag.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from egorag.store.folder import IndexFolder
    from egorag.train.fusion import Example, Fitting
    from egorag.train.judged import Judged

ABOUT = """Fit how much each ranking counts, on queries with known answers.

  python -m egorag.train fusion index=runs/all judged=judged.jsonl to=runs/all/fusion
  python -m egorag.search index=runs/all query="pour milk" fuser=learned fuser.card=runs/all/fusion

One JSON object a line: {"query": "pour milk", "relevant": [{"video": "a.mp4", "start": 12,
"end": "0:20", "grade": 2}]}. The score told is of queries that the weights were not fitted on
(cross-validation), beside that of reciprocal rank fusion, which needs no fitting."""

LEAST_QUERIES = 20


def run(settings: dict[str, Any]) -> Result:
    """Fit on ``settings["index"]`` and write the folder ``settings["to"]``."""
    import numpy as np

    from egorag.store.folder import IndexFolder
    from egorag.train import card
    from egorag.train.fusion import Fitting, fit
    from egorag.train.judged import read_judged
    from egorag.train.learned import KIND, WEIGHTS
    from egorag.train.settings import training_of
    from egorag.types import LEVELS

    to, judged = Path(settings["to"]), Path(settings["judged"])
    card.check_target(to)
    fitting = training_of(Fitting, settings["training"])
    level, depth = settings["level"], settings["depth"]
    if level not in LEVELS:
        raise ConfigError(f"no level {level!r}{did_you_mean(str(level), LEVELS)}")
    if not isinstance(depth, int) or depth < 1:
        raise ConfigError(f"depth must be 1 or more scenes a ranking, got {depth!r}")
    with IndexFolder.open(Path(settings["index"]), read_only=True) as folder:
        queries = read_judged(judged, folder.catalog.videos())
        rows = folder.catalog.encoders()
        examples, projections = _examples(folder, queries, settings)
    _check(examples, queries, fitting)
    fitted = fit(examples, fitting)
    names = list(fitted.chosen.weights)
    spaces = {n: rows[n].space for n in names if n in rows}
    written = card.write(
        to,
        card.Card(
            kind=KIND,
            spaces={n: space for n, space in spaces.items() if space is not None},
            trained_on={
                "judged": card.file_hash(judged),
                "encoders": {n: rows[n].fingerprint for n in spaces},
                "projections": projections,
                "queries": len(examples),
                "without_answer": len(queries) - len(examples),
                "scenes": len({id for example in examples for id in example.grades}),
            },
            settings={
                **vars(fitting),
                "level": level,
                "depth": depth,
                "without": list(_list(settings, "without")),
            },
            model={
                "names": names,
                "normalise": fitted.chosen.normalise,
                "folds": [vars(of_fold) for of_fold in fitted.folds],
            },
            scores=fitted.scores,
        ),
        {WEIGHTS: np.array(list(fitted.chosen.weights.values()), np.float32)},
    )
    told = _told(to, written.to_json(), fitted.chosen.weights)
    weights = dict(fitted.chosen.weights)
    return Result({"to": str(to), "weights": weights, **written.to_json()}, told)


def _examples(
    folder: IndexFolder, queries: Sequence[Judged], settings: Mapping[str, Any]
) -> tuple[list[Example], dict[str, str]]:
    """The queries that a scene answers, with their rankings; and the hash of each projection."""
    from egorag.fuse.rrf import ReciprocalRank
    from egorag.retrieve.bridges import bridges
    from egorag.retrieve.loaded import LoadedEncoders
    from egorag.retrieve.retriever import Retriever
    from egorag.train import card
    from egorag.train.fusion import Example
    from egorag.train.projection import load_projection
    from egorag.types import LEVELS, Query

    level = settings["level"]
    rows = folder.catalog.encoders()
    own, given = folder.path / "projections", _list(settings, "projections")
    paths = [own / path if (own / path).is_dir() else Path(path) for path in given]
    without = _list(settings, "without")
    led = bridges([load_projection(path) for path in paths], rows)
    able = {n for n, row in rows.items() if row.space and "text" in row.space.queries}
    able = (able - {*without}) | {bridge.text for n, bridge in led.items() if n not in without}
    scenes = {
        video.id: folder.catalog.scenes(video.id, LEVELS.index(level))
        for video in folder.catalog.videos()
    }
    graded = [(one, one.grades(scenes)) for one in queries]
    loaded = LoadedEncoders(folder, settings["device"], settings["encoders"])
    try:
        retriever = Retriever(
            folder,
            {name: loaded.get(name) for name in sorted(able)},
            ReciprocalRank(),
            settings["depth"],
            without,
            led,
        )
        examples = [
            Example(one.query, retriever.rankings(Query(one.query, levels=(level,))), grades)
            for one, grades in graded
            if grades
        ]
    finally:
        loaded.close()
    return examples, {path.name: card.file_hash(path / card.CARD) for path in paths}


def _check(examples: Sequence[Example], queries: Sequence[Judged], fitting: Fitting) -> None:
    """Raise ConfigError where these cannot be fitted to, or not be tested on."""
    texts = {example.query for example in examples}
    if len(texts) < max(LEAST_QUERIES, fitting.folds):
        raise ConfigError(
            f"{len(texts)} different queries have an answer among the scenes of this index (of "
            f"{len(queries)} judged); at least {max(LEAST_QUERIES, fitting.folds)} are needed, "
            "better hundreds"
        )
    if len(examples[0].rankings) < 2:
        raise ConfigError(
            f"this index has one ranking for text, {', '.join(examples[0].rankings)}; there is "
            "nothing to weigh. Index with a second encoder that takes text"
        )


def _list(settings: Mapping[str, Any], key: str) -> tuple[str, ...]:
    from egorag.config import parse_list

    return parse_list(key, settings[key])


def _told(to: Path, card: Mapping[str, Any], weights: Mapping[str, float]) -> str:
    """What was fitted, and whether it is worth it."""
    on = card["trained_on"]
    (metric, scores), *_ = card["scores"].items()
    shown = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
    lines = [
        f"weights of {card['model']['normalise']} scores: {shown}: {to}",
        f"{on['queries']} queries; {on['without_answer']} have no answer in this index",
        f"on queries not fitted on ({card['settings']['folds']} folds), 95 % intervals:",
    ]
    for name in ("learned", "weighted", "difference"):
        one = scores[name]
        lines.append(
            f"  {metric} {name}: {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
        )
    if scores["difference"]["low"] <= 0:
        lines.append("not surely better than fuser=weighted, which needs no fitting")
    lines.append(f"Search with it: fuser=learned fuser.card={to}")
    return "\n".join(lines)
