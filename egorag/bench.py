"""python -m egorag.bench: score an index recipe on a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egorag.cli import Job, Result, main

if TYPE_CHECKING:
    from egorag.evaluate.base import Dataset
    from egorag.evaluate.measure import Measurement

ABOUT = """Measure retrieval and answers on a benchmark, with intervals and counts of what ran.

  python -m egorag.bench benchmark=sample_world
  python -m egorag.bench benchmark=custom benchmark.questions=mine.jsonl benchmark.media=videos/
  python -m egorag.bench benchmark=egoschema benchmark.folder=egoschema benchmark.media=videos/
  python -m egorag.bench -m benchmark=sample_world segmenter=shots,ward fuser=rrf,weighted

Annotations are read as their owners publish them. Items whose media are missing are left out,
counted and named; what was computed for one run is there for the next (cache=FOLDER). Beside the
score stand its controls. A run that was stopped goes on; a finished one can be made again:

  python -m egorag.bench rerun=runs/bench/runs/KEY

A sweep (-m) ends with a table of its jobs, the first against each other. The same sweep may run in
several terminals at once: each takes a job that no other is at, and nothing is computed twice."""


def run(settings: dict[str, Any]) -> Result:
    """Run ``settings["benchmark"]``, or what ``settings["rerun"]`` tells of again."""
    from pathlib import Path

    from egorag.evaluate.rerun import rerun, rerun_text

    if settings["rerun"]:
        data = rerun(Path(settings["rerun"]), Path(settings["cache"]))
        return Result(data, rerun_text(data), exit_code=0 if data["same"] else 1)
    return _measured(settings)[0]


def _measured(
    settings: dict[str, Any], *, wait: bool = True
) -> tuple[Result, Dataset, Measurement | None]:
    """One run; no measurement where official metrics were computed from a file.

    Raises:
        BusyError: another process is at it, unless ``wait``.
    """
    from pathlib import Path

    from egorag import registry
    from egorag.evaluate import told
    from egorag.evaluate.base import FromFile
    from egorag.evaluate.measure import measure
    from egorag.evaluate.tracking import track

    tracker = registry.build("trackers", "tracker", settings["tracker"])
    tracker.check()
    benchmark = registry.build("benchmarks", "benchmark", settings["benchmark"])
    dataset = benchmark.read()
    scores = benchmark.from_file(dataset) if isinstance(benchmark, FromFile) else None
    if scores is not None:
        data = told.result(dataset, scores, None)
        return Result(data, told.text(data)), dataset, None
    runs = Path(settings["cache"]) / "runs"
    done = measure(dataset, settings, runs, fresh=settings["fresh"], wait=wait)
    track(tracker, done.record)
    text = f"{told.text(done.result)}\n\nrecord: {done.record}"
    return Result({**done.result, "record": str(done.record)}, text), dataset, done


def sweep(jobs: Sequence[Job]) -> Iterator[Result]:
    """Run jobs, first those that no other process is at; a job that fails fails alone."""
    from egorag.errors import EgoragError
    from egorag.evaluate.record import BusyError
    from egorag.evaluate.sweep import Done, table, varied
    from egorag.terminal import printable, tell

    names = varied([overrides for overrides, _ in jobs])
    done: dict[int, Done] = {}
    waiting = list(range(len(jobs)))
    taken = True
    while waiting:
        wait, taken = not taken, False
        for number in tuple(waiting):
            try:
                result, dataset, measurement = _measured(jobs[number][1], wait=wait)
            except BusyError:
                continue
            except EgoragError as error:
                tell(f"egorag bench, {names[number]}: {error}")
                told = {"job": names[number], "error": str(error)}
                yield Result(told, f"== {names[number]}: failed\n", error.exit_code)
            else:
                if measurement is not None:
                    done[number] = Done(names[number], dataset, measurement)
                told = {**result.data, "job": names[number]}
                yield replace(result, data=told, text=f"== {names[number]}\n{result.text}\n")
            waiting.remove(number)
            taken = True
            if wait:
                break
    tell(printable(table([done[number] for number in sorted(done)])))


if __name__ == "__main__":
    main("bench", ABOUT, run, sweep=sweep)
