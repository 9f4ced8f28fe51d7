"""python -m egorag.bench: score an index recipe on a benchmark."""

from __future__ import annotations

from typing import Any

from egorag.cli import Result, main

ABOUT = """Measure retrieval and answers on a benchmark, with intervals and counts of what ran.

  python -m egorag.bench benchmark=sample_world
  python -m egorag.bench benchmark=custom benchmark.questions=mine.jsonl benchmark.media=videos/
  python -m egorag.bench benchmark=egoschema benchmark.folder=egoschema benchmark.media=videos/
  python -m egorag.bench -m benchmark=sample_world segmenter=shots,ward fuser=rrf,weighted

Annotations are read as their owners publish them. Items whose media are missing are left out,
counted and named; what was computed for one run is there for the next (cache=FOLDER). Beside the
score stand its controls. A run that was stopped goes on; a finished one can be made again:

  python -m egorag.bench rerun=runs/bench/runs/KEY"""


def run(settings: dict[str, Any]) -> Result:
    """Run ``settings["benchmark"]``."""
    from pathlib import Path

    from egorag import registry
    from egorag.evaluate import told
    from egorag.evaluate.base import FromFile
    from egorag.evaluate.measure import measure
    from egorag.evaluate.rerun import rerun, rerun_text

    if settings["rerun"]:
        data = rerun(Path(settings["rerun"]), Path(settings["cache"]))
        return Result(data, rerun_text(data), exit_code=0 if data["same"] else 1)
    benchmark = registry.build("benchmarks", "benchmark", settings["benchmark"])
    dataset = benchmark.read()
    scores = benchmark.from_file(dataset) if isinstance(benchmark, FromFile) else None
    if scores is not None:
        data = told.result(dataset, scores, None)
        return Result(data, told.text(data))
    done = measure(dataset, settings, Path(settings["cache"]) / "runs", fresh=settings["fresh"])
    text = f"{told.text(done.result)}\n\nrecord: {done.record}"
    return Result({**done.result, "record": str(done.record)}, text)


if __name__ == "__main__":
    main("bench", ABOUT, run)
