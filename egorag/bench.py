"""python -m egorag.bench: score an index recipe on a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egorag.cli import Result, main
from egorag.errors import ConfigError, EgoragError

if TYPE_CHECKING:
    from egorag.evaluate.base import Dataset
    from egorag.evaluate.run import Asking

ABOUT = """Measure retrieval and answers on a benchmark, with intervals and counts of what ran.

  python -m egorag.bench benchmark=sample_world
  python -m egorag.bench benchmark=custom benchmark.questions=mine.jsonl benchmark.media=videos/
  python -m egorag.bench benchmark=egoschema benchmark.folder=egoschema benchmark.media=videos/
  python -m egorag.bench -m benchmark=sample_world segmenter=shots,ward fuser=rrf,weighted

Annotations are read as their owners publish them. Items whose media are missing are left out,
counted and named; what was computed for one run is there for the next (cache=FOLDER)."""


def run(settings: dict[str, Any]) -> Result:
    """Run ``settings["benchmark"]``."""
    from egorag import registry
    from egorag.evaluate import told
    from egorag.evaluate.base import FromFile

    benchmark = registry.build("benchmarks", "benchmark", settings["benchmark"])
    asking = _asking(settings)
    dataset = benchmark.read()
    scores = benchmark.from_file(dataset) if isinstance(benchmark, FromFile) else None
    if scores is not None:
        data = told.result(dataset, scores, None)
        return Result(data, told.text(data))
    return _measure(dataset, settings, asking)


def _measure(dataset: Dataset, settings: dict[str, Any], asking: Asking) -> Result:
    from pathlib import Path

    from egorag.api import open_index
    from egorag.config import parse_list
    from egorag.evaluate import told
    from egorag.evaluate.corpus import corpus
    from egorag.evaluate.run import MAIN, Run, ask_all, ready
    from egorag.evaluate.score import summarise
    from egorag.pipeline.progress import Bars

    if dataset.kind not in MAIN:
        raise ConfigError(
            f"{dataset.name} scores a file of predictions and runs no videos; give one (see "
            f"python -m egorag.bench --help and the docstring of the benchmark)"
        )
    if len(dataset.missing) == len(dataset.media):
        raise EgoragError(
            f"{dataset.name}: not one of its {len(dataset.media)} videos is here (such as "
            f"{dataset.missing[0]!r}); {settings['benchmark'].get('media') or 'benchmark.media'!r}"
            " must be the folder that holds them"
        )
    with Bars(sum(one.here for one in dataset.media)) as bars:
        indexed = corpus(dataset.media, settings, Path(settings["cache"]), bars)
    items, left_out = ready(dataset, indexed)
    projections = parse_list("projections", settings["projections"])
    with open_index(indexed.index, device=settings["device"], projections=projections) as index:
        rows = ask_all(dataset, items, index, indexed, asking)
    scores = summarise(rows, MAIN[dataset.kind].format(k=asking.k), settings["seed"])
    data = told.result(dataset, scores, Run(tuple(rows), left_out))
    return Result({**data, "index": str(indexed.index)}, told.text(data))


def _asking(settings: dict[str, Any]) -> Asking:
    from egorag import registry
    from egorag.config import parse_list
    from egorag.evaluate.run import Asking

    return Asking(
        k=settings["k"],
        level=settings["level"],
        without=parse_list("without", settings["without"]),
        methods=registry.methods(settings),
        answerer=registry.build("answerers", "answerer", settings["answerer"]),
    )


if __name__ == "__main__":
    main("bench", ABOUT, run)
