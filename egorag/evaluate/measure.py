"""One run of a benchmark: index what there is, ask under every condition, keep the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag import config, registry
from egorag.api import open_index
from egorag.errors import ConfigError, EgoragError
from egorag.evaluate import told
from egorag.evaluate.base import Dataset, Item
from egorag.evaluate.compare import comparisons
from egorag.evaluate.controls import MAIN as OWN
from egorag.evaluate.controls import UNTOUCHED, conditions
from egorag.evaluate.corpus import Corpus, corpus
from egorag.evaluate.environment import code, environment, peak_memory, revision
from egorag.evaluate.record import Identity, RunFolder
from egorag.evaluate.run import MAIN, Asking, Run, Session, measured, ready
from egorag.evaluate.score import Row, summarise
from egorag.pipeline.progress import Bars, Observer, Silent


@dataclass(frozen=True)
class Measurement:
    """What a run came to.

    Attributes:
        result: the numbers and what they are of; equal runs have equal ones.
        record: where the rest is told: config, versions, costs.
        rows: one an item, by condition: ``main``, then its controls.
    """

    result: dict[str, Any]
    record: Path
    rows: Mapping[str, Sequence[Row]]


def bench(*overrides: str) -> Measurement:
    """``python -m egorag.bench`` from Python: ``bench("benchmark.videos=8", "fuser=weighted")``.

    Raises:
        ConfigError: wrong overrides, annotations that cannot be read, and as ``measure``.
        EgoragError: as ``measure``.
    """
    settings = config.compose("bench", overrides)
    dataset = registry.build("benchmarks", "benchmark", settings["benchmark"]).read()
    folder = Path(settings["cache"]) / "runs"
    return measure(dataset, settings, folder, fresh=settings["fresh"], quiet=True)


def measure(
    dataset: Dataset,
    settings: Mapping[str, Any],
    runs: Path,
    *,
    fresh: bool = False,
    quiet: bool = False,
    wait: bool = True,
) -> Measurement:
    """Run a dataset by the composed settings of ``bench``.

    Args:
        runs: holds the run's folder; what an interrupted run did is taken over.
        fresh: ask everything again.
        quiet: show no progress.
        wait: for another process that is at the same run or index.

    Raises:
        BusyError: there is one, and no waiting.
        StoreError: the cache cannot be written; what was finished is kept.
        ConfigError: the benchmark scores files only, a setting is wrong, or the run was finished
            and changed since.
        EgoragError: no media are here, or none can be indexed.
    """
    _check(dataset, settings)
    asking = _asking(settings)
    with _watching(dataset, quiet) as watch:
        indexed = corpus(dataset.media, settings, Path(settings["cache"]), watch, wait=wait)
    items, left_out = ready(dataset, indexed)
    identity = Identity(settings, code(), dataset.sources, indexed.ids)
    with RunFolder.open(runs / identity.key, fresh=fresh, wait=wait) as folder:
        if (done := folder.finished()) is not None:
            return Measurement(done["result"], folder.path, folder.rows(items))
        kept = len(folder.outcomes)
        shared = {
            name: runs.parent / "controls" / identity.without(unused).key
            for name, unused in UNTOUCHED.items()
        }
        rows = _rows(dataset, items, settings, asking, indexed, folder, shared, fresh)
        main = MAIN[dataset.kind].format(k=asking.k)
        result = _result(dataset, rows, left_out, main, settings["seed"])
        cost = {
            "indexing_seconds": indexed.seconds,
            "indexed_now": indexed.built,
            "asking_seconds": {n: sum(r.seconds for r in of) for n, of in rows.items()},
            "tokens": {n: _tokens(of) for n, of in rows.items()},
            "peak_memory_bytes": peak_memory(),
            "rows_taken_over": kept,
        }
        folder.finish(
            {
                "key": identity.key,
                **vars(identity),
                "revision": revision(),
                "folder": str(Path.cwd()),
                "environment": environment(),
                "index": str(indexed.index),
                "cost": cost,
                "result": result,
            }
        )
    return Measurement(result, folder.path, rows)


def _watching(dataset: Dataset, quiet: bool) -> AbstractContextManager[Observer]:
    return nullcontext(Silent()) if quiet else Bars(sum(one.here for one in dataset.media))


def _rows(
    dataset: Dataset,
    items: Sequence[Item],
    settings: Mapping[str, Any],
    asking: Asking,
    indexed: Corpus,
    folder: RunFolder,
    shared: Mapping[str, Path],
    fresh: bool,
) -> dict[str, list[Row]]:
    projections = config.parse_list("projections", settings["projections"])
    with (
        registry.closing(asking.answerer),
        open_index(indexed.index, device=settings["device"], projections=projections) as index,
    ):
        session = Session(dataset, index, indexed, asking)
        asked = conditions(session, items, settings["seed"])
        if not settings["controls"]:
            asked = {OWN: asked[OWN]}
        return measured(items, asked, folder, shared=shared, fresh=fresh)


def _result(
    dataset: Dataset,
    rows: Mapping[str, Sequence[Row]],
    left_out: Mapping[str, str],
    main: str,
    seed: int,
) -> dict[str, Any]:
    scores = {name: summarise(of, main, seed) for name, of in rows.items()}
    data = told.result(dataset, scores[OWN], Run(tuple(rows[OWN]), left_out))
    controls = {name: told.plain_scores(of) for name, of in scores.items() if name != OWN}
    return {
        **data,
        "controls": {name: of for name, of in controls.items() if of},
        "comparisons": comparisons(rows, main, seed),
    }


def _tokens(rows: Sequence[Row]) -> int:
    """What a language model was sent and sent, as far as it counts."""
    return sum(int(row.output.get("tokens") or 0) for row in rows)


def _check(dataset: Dataset, settings: Mapping[str, Any]) -> None:
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


def _asking(settings: Mapping[str, Any]) -> Asking:
    return Asking(
        k=settings["k"],
        level=settings["level"],
        without=config.parse_list("without", settings["without"]),
        methods=registry.methods(settings),
        answerer=registry.build("answerers", "answerer", settings["answerer"]),
    )
