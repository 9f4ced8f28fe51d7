"""A benchmark from Python, as the notebooks run it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from egorag.errors import ConfigError
from egorag.evaluate.compare import comparisons
from egorag.evaluate.measure import bench
from egorag.evaluate.record import read_record


def test_a_run_gives_its_rows_and_its_record(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    world = [f"benchmark.folder={tmp_path}/world", f"cache={tmp_path}/cache"]
    world += ["benchmark.videos=2", "benchmark.seconds=10", "benchmark.size=[64,64]"]
    run = bench(*world, "encoder=[subtitles]")
    metric = run.result["main"]
    assert set(run.rows) == {"main", *run.result["controls"]} > {"random"}
    values = [row.values[metric] for row in run.rows["main"]]
    assert run.result["scores"][metric]["value"] == pytest.approx(np.mean(values), abs=1e-12)
    assert read_record(run.record)["result"] == run.result
    again = bench(*world, "encoder=[subtitles]")
    (same,) = comparisons({"run": run.rows["main"], "again": again.rows["main"]}, metric)
    assert same["value"] == 0 and not same["survives"]
    assert capfd.readouterr() == ("", "")  # no progress in between


def test_a_mistyped_override_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'fuser'"):
        bench("fusser=rrf")
