"""Sweeps: nothing is computed twice, whatever is killed or runs beside; the table at the end."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import WORLD, read_world

from egorag import bench, config
from egorag.errors import StoreError
from egorag.evaluate.base import Dataset, Item, Media
from egorag.evaluate.measure import Measurement
from egorag.evaluate.record import BusyError, RunFolder, locked, read_record, read_rows
from egorag.evaluate.score import Row, summarise
from egorag.evaluate.sweep import Done, table, varied
from egorag.evaluate.told import plain_scores

LOGGED = """
import sys
from egorag import bench
from egorag.cli import main
from egorag.evaluate.record import RunFolder
from egorag.store.artifacts import Artifacts

log = open(sys.argv[1], "a")
write, put = Artifacts._write, RunFolder.put

def written(self, key, suffix, data):
    print("artifact", key, file=log, flush=True)
    return write(self, key, suffix, data)

def kept(self, condition, item, outcome):
    print("row", self.path.name, condition, item, file=log, flush=True)
    put(self, condition, item, outcome)

Artifacts._write, RunFolder.put = written, kept
main("bench", bench.ABOUT, bench.run, sys.argv[2:], bench.sweep)
"""


def arguments(world: Path, cache: Path, *more: str) -> list[str]:
    return [
        "benchmark=sample_world",
        f"benchmark.folder={world}",
        "benchmark.size=[160,90]",
        f"benchmark.seconds={WORLD['seconds']}",
        "benchmark.videos=2",
        f"cache={cache}",
        "encoder=[subtitles,minilm]",
        "output=json",
        *more,
    ]


def start(given: list[str], log: Path | None = None) -> subprocess.Popen[str]:
    command = ["-m", "egorag.bench"] if log is None else ["-c", LOGGED, str(log)]
    return subprocess.Popen(
        [sys.executable, *command, "-m", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests started in the background by a shell inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        cwd=given_folder(given),
    )


def given_folder(given: list[str]) -> Path:
    """Where Hydra may leave its notes of a sweep."""
    (cache,) = (Path(one.removeprefix("cache=")) for one in given if one.startswith("cache="))
    return cache.parent


def finish(process: subprocess.Popen[str], code: int = 0) -> dict[str, dict[str, Any]]:
    out, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    found = [json.loads(line) for line in out.splitlines()]
    return {one["job"]: one for one in found}


def numbers(jobs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All that a sweep's records say but what it cost, by job."""
    found = {}
    for job, told in jobs.items():
        record = Path(told["record"])
        rows = {key: (of.values, of.output) for key, of in read_rows(record).items()}
        found[job] = (read_record(record)["result"], rows)
    return found


SWEEP = "fuser=rrf,weighted"


def kills(world: Path, folder: Path, count: int, seed: int) -> None:
    read_world(world, "retrieval")
    # The same place for both, since results tell where things lie.
    cache = folder / "cache"
    began = time.monotonic()
    expected = numbers(finish(start(arguments(world, cache, SWEEP))))
    whole = time.monotonic() - began
    shutil.rmtree(cache)
    moments = random.Random(seed)
    landed = 0
    for number in range(count):
        process = start(arguments(world, cache, SWEEP))
        time.sleep(moments.uniform(0.3 * whole, whole))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            landed += 1
        process.communicate()
        if number % 3 == 2 or number == count - 1:
            assert numbers(finish(start(arguments(world, cache, SWEEP)))) == expected
            shutil.rmtree(cache)
    assert landed >= count / 3, "too few kills landed inside the run to prove anything"


def test_a_sweep_killed_and_run_again_has_the_same_records(world: Path, tmp_path: Path) -> None:
    kills(world, tmp_path, 2, seed=1)


@pytest.mark.slow
def test_fifty_kills(world: Path, tmp_path: Path) -> None:
    kills(world, tmp_path, 50, seed=0)


@pytest.mark.parametrize("second", [SWEEP, "fuser=weighted,concatenated"])
def test_processes_side_by_side_compute_nothing_twice(
    world: Path, tmp_path: Path, second: str
) -> None:
    read_world(world, "retrieval")
    log = tmp_path / "log"
    given = [arguments(world, tmp_path / "cache", one) for one in (SWEEP, second)]
    both = [start(one, log) for one in given]
    first, other = (finish(one) for one in both)
    done = log.read_text().splitlines()
    assert len(done) > 100 and len(set(done)) == len(done)
    for job in first.keys() & other.keys():
        assert first[job] == other[job]
    assert set(first) | set(other) >= {"fuser=rrf", "fuser=weighted"}


def test_the_second_fuser_encodes_nothing(world: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    read_world(world, "retrieval")
    bench.run(config.compose("bench", arguments(world, cache)))
    before = {path: path.stat().st_mtime_ns for path in (cache / "artifacts").rglob("*.*")}
    asked = []

    def ask(self: RunFolder, condition: str, item: str, outcome: Any) -> None:
        asked.append((self.path.parent.name, condition))
        put(self, condition, item, outcome)

    put = RunFolder.put
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunFolder, "put", ask)
        patched.setattr("egorag.encode.minilm.MiniLM.encode", lambda *_: pytest.fail("encoded"))
        bench.run(config.compose("bench", arguments(world, cache, "fuser=rrf")))
    assert {p: p.stat().st_mtime_ns for p in (cache / "artifacts").rglob("*.*")} == before
    assert {where for where, _ in asked} == {"runs"}  # the controls' rows are there, too


def test_interrupted_it_keeps_what_was_finished(world: Path, tmp_path: Path) -> None:
    read_world(world, "retrieval")
    cache = tmp_path / "cache"
    process = start(arguments(world, cache, "fuser=rrf,weighted,concatenated"))
    deadline = time.monotonic() + 100
    while not list(cache.glob("runs/*/record.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it was done before it could be interrupted")
    assert process.returncode == 130 and "Traceback" not in errors, errors
    kept = {path: path.read_bytes() for path in cache.glob("runs/*/record.json")}
    assert kept
    done = finish(start(arguments(world, cache, "fuser=rrf,weighted,concatenated")))
    assert len(done) == 3 and all("error" not in one for one in done.values())
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_job_that_fails_fails_alone(world: Path, tmp_path: Path) -> None:
    read_world(world, "retrieval")
    process = start(arguments(world, tmp_path / "cache", "k=0,3"))
    out, errors = process.communicate(timeout=100)
    jobs = {one["job"]: one for one in map(json.loads, out.splitlines())}
    assert "k must be" in jobs["k=0"]["error"] and jobs["k=3"]["items"]["run"] == 31
    assert process.returncode == 2 and "egorag bench, k=0: k must be" in errors
    assert "ndcg@3 of sample_world, jobs against k=3" in errors


def test_a_lock_that_another_holds_is_not_waited_for_unless_asked(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        script = (
            "import sys; from pathlib import Path; from egorag.evaluate.record import locked\n"
            "with locked(Path(sys.argv[1]), wait=False): pass"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "lock")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert BusyError.__name__ in done.stderr


def test_a_cache_that_cannot_be_written_is_told(world: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write .*file"):
        bench.run(config.compose("bench", arguments(world, tmp_path / "file")))


def test_a_full_disk_is_told_and_the_rows_before_it_are_kept(tmp_path: Path) -> None:
    from egorag.evaluate.record import Outcome

    class Full:
        def __init__(self, file: Any) -> None:
            self.file, self.room = file, 5

        def write(self, data: bytes) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            room, self.room = self.room, 0
            return int(self.file.write(data[:room]))

    with RunFolder.open(tmp_path) as folder:
        folder.put("main", "a", Outcome({}, {}, 0.0))
        folder._file = Full(folder._file)
        with pytest.raises(StoreError, match="the disk is full"):
            folder.put("main", "b", Outcome({}, {}, 0.0))
    assert list(read_rows(tmp_path)) == [("main", "a")]
    with RunFolder.open(tmp_path) as folder:
        folder.put("main", "b", Outcome({}, {}, 0.0))
    assert list(read_rows(tmp_path)) == [("main", "a"), ("main", "b")]


def test_what_varies_names_a_job() -> None:
    assert varied([["a=1", "b=x"], ["a=2", "b=x"]]) == ["a=1", "a=2"]
    assert varied([["a=1"]]) == ["job 0"]


def done(name: str, values: list[float], of: str = "toy") -> Done:
    items = tuple(Item(str(i), "?") for i in range(len(values)))
    rows = [Row(item, {"m": v}, {}, 0.0) for item, v in zip(items, values, strict=True)]
    dataset = Dataset(of, "retrieval", items, (Media("v"),), {"f": of})
    result = {"main": "m", "scores": plain_scores(summarise(rows, "m"))}
    return Done(name, dataset, Measurement(result, Path(), {"main": rows}))


def test_the_table_says_what_is_surely_better_than_the_first() -> None:
    base = np.random.default_rng(0).random(100)
    jobs = [
        done("first", list(base)),
        done("better\x1b[2J", list(base + 0.2)),
        done("elsewhere", list(base + 1), of="other"),
        done("worse", list(base - 0.2)),
        done("same", list(base)),
    ]
    told = table(jobs)
    lines = {line.split()[0]: line for line in told.splitlines() if line.startswith("  ")}
    assert lines["first"].endswith("]") and lines["elsewhere"].endswith("]")
    assert "+0.200" in lines["better"] and lines["better"].endswith(": surely better")
    assert "-0.200" in lines["worse"] and lines["worse"].endswith(": surely worse")
    assert lines["same"].endswith("NOT surely different")
    assert "m of other, jobs against elsewhere" in told and "\x1b" not in told
    assert table([]) == ""
