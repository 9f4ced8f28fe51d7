"""python -m egorag.train evidence: which ranking represents a scene, from judged queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result
from egorag.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from egorag.store.folder import IndexFolder
    from egorag.train.judged import Judged
    from egorag.train.scorer import Example

ABOUT = """Fit which ranking, at which level, represents a scene as evidence.

  python -m egorag.train evidence index=runs/all judged=judged.jsonl to=runs/all/evidence
  python -m egorag.search index=runs/all query="pour milk" strategy=adaptive_learned \\
      strategy.card=runs/all/evidence

The queries are those of python -m egorag.train fusion. The score told is of queries that the
scorer was not fitted on (cross-validation), beside that of strategy=adaptive without training."""

LEAST_QUERIES = 20


def run(settings: dict[str, Any]) -> Result:
    """Fit on ``settings["index"]`` and write the folder ``settings["to"]``."""
    import numpy as np

    from egorag.store.folder import IndexFolder
    from egorag.train import card
    from egorag.train.judged import read_judged
    from egorag.train.learned_evidence import KIND, WEIGHTS
    from egorag.train.scorer import FEATURES, Scoring, fit
    from egorag.train.settings import training_of
    from egorag.types import LEVELS

    to, judged = Path(settings["to"]), Path(settings["judged"])
    card.check_target(to)
    scoring = training_of(Scoring, settings["training"])
    for key in ("level", "widest"):
        if settings[key] not in LEVELS:
            given = settings[key]
            raise ConfigError(f"no level {key}={given!r}{did_you_mean(str(given), LEVELS)}")
    with IndexFolder.open(Path(settings["index"]), read_only=True) as folder:
        queries = read_judged(judged, folder.catalog.videos())
        rows = folder.catalog.encoders()
        examples, names = _examples(folder, queries, settings)
    texts = {example.query for example in examples}
    least = max(LEAST_QUERIES, scoring.folds)
    if len(texts) < least:
        raise ConfigError(
            f"{len(texts)} different queries have an answer among the scenes of this index (of "
            f"{len(queries)} judged); at least {least} are needed, better hundreds"
        )
    scorer, scores = fit(examples, names, scoring)
    used = {name.partition("/")[2].partition(":")[0] for name in names} & rows.keys()
    spaces = {name: rows[name].space for name in sorted(used)}
    written = card.write(
        to,
        card.Card(
            kind=KIND,
            spaces={name: space for name, space in spaces.items() if space is not None},
            trained_on={
                "judged": card.file_hash(judged),
                "encoders": {name: rows[name].fingerprint for name in spaces},
                "queries": len(examples),
                "without_answer": len(queries) - len(examples),
            },
            settings={**vars(scoring), "level": settings["level"], "widest": settings["widest"]},
            model={"names": list(names), "features": list(FEATURES)},
            scores=scores,
        ),
        {WEIGHTS: scorer.weights.astype(np.float32)},
    )
    return Result({"to": str(to), **written.to_json()}, _told(to, scores, scoring.folds))


def _examples(
    folder: IndexFolder, queries: Sequence[Judged], settings: Mapping[str, Any]
) -> tuple[list[Example], Sequence[str]]:
    """The queries that a scene answers, with all that is said of every scene; and by what."""
    from egorag.config import parse_list
    from egorag.fuse.rrf import ReciprocalRank
    from egorag.retrieve.bridges import bridges
    from egorag.retrieve.loaded import LoadedEncoders
    from egorag.retrieve.retriever import Retriever
    from egorag.train.learned_evidence import called, scales
    from egorag.train.projection import load_projection
    from egorag.train.scorer import Example
    from egorag.types import LEVELS, Query

    catalog, level = folder.catalog, settings["level"]
    rows, own = catalog.encoders(), folder.path / "projections"
    given = parse_list("projections", settings["projections"])
    paths = [own / path if (own / path).is_dir() else Path(path) for path in given]
    without = parse_list("without", settings["without"])
    led = bridges([load_projection(path) for path in paths], rows)
    able = {n for n, row in rows.items() if row.space and "text" in row.space.queries}
    able = (able - {*without}) | {bridge.text for n, bridge in led.items() if n not in without}
    scenes = {video.id: catalog.scenes(video.id, LEVELS.index(level)) for video in catalog.videos()}
    graded = [(one, one.grades(scenes)) for one in queries]
    loaded = LoadedEncoders(folder, settings["device"], settings["encoders"])
    examples: list[Example] = []
    names: Sequence[str] = ()
    try:
        encoders = {name: loaded.get(name) for name in sorted(able)}
        retriever = Retriever(folder, encoders, ReciprocalRank(), without=without, bridges=led)
        for one, grades in graded:
            if grades:
                query = Query(one.query, levels=(level,))
                vectors = retriever.embed(query)
                with catalog.snapshot():
                    told = scales(query, vectors, retriever, settings["widest"])
                    first = next(iter(told.values()))
                    ids = catalog.table().ids[first.rows]
                names = called(first)
                examples.append(Example.of(one.query, told, ids, grades))
    finally:
        loaded.close()
    return examples, names


def _told(to: Path, scores: Mapping[str, Any], folds: int) -> str:
    """Whether it is worth it."""
    (metric, of), *_ = scores.items()
    lines = [f"scorer of evidence: {to}", f"on queries not fitted on ({folds} folds), 95 %:"]
    for name in ("learned", "untrained", "difference"):
        one = of[name]
        lines.append(
            f"  {metric} {name}: {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
        )
    if of["difference"]["low"] <= 0:
        lines.append("not surely better than strategy=adaptive, which needs no fitting")
    lines.append(f"Search with it: strategy=adaptive_learned strategy.card={to}")
    return "\n".join(lines)
