"""A run made again from its record: equal, or what differs; and records that were changed."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from worlds import WORLD, read_world

from egorag import bench, config
from egorag.errors import ConfigError
from egorag.evaluate.record import read_record
from egorag.evaluate.rerun import rerun, rerun_text


@pytest.fixture(scope="module")
def run_folder(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was made in a folder of its own, with relative paths."""
    read_world(world, "retrieval")
    there = tmp_path_factory.mktemp("made") / "there"
    shutil.copytree(world, there / "runs" / "sample_world")
    with contextlib.chdir(there):
        return there / bench.run(settings()).data["record"]


@pytest.fixture
def made(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, from the folder in which it was made."""
    monkeypatch.chdir(run_folder.parents[3])
    return run_folder


def settings(*more: str) -> dict[str, Any]:
    size = ["benchmark.size=[160,90]", f"benchmark.seconds={WORLD['seconds']}"]
    given = [*size, "benchmark.videos=2", "encoder=[subtitles,minilm]", "output=json", *more]
    return config.compose("bench", given)


def test_with_the_cache_and_without_it_the_run_is_equal_to_the_last_digit(
    made: Path, tmp_path: Path
) -> None:
    for cache in (made.parents[1], tmp_path / "empty"):
        data = rerun(made, cache)
        assert data["same"] and data["rows"] > 60, data["differs"]
        assert data["differs"] == []
        told = rerun_text({**data, "surroundings": []})
        assert told.startswith(f"equal to the last digit: {data['rows']} rows")
    assert json.loads(Path(data["record"], "record.json").read_text())["cost"]["indexed_now"]


def test_from_another_folder_the_files_of_the_run_are_found(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    shutil.copytree(made.parents[1] / "artifacts", elsewhere / "mine" / "artifacts")
    data = bench.run(settings(f"rerun={made}", "cache=mine")).data
    assert data["same"], data["differs"]
    assert (elsewhere / "mine" / "reruns").is_dir() and list(elsewhere.iterdir()) == [
        elsewhere / "mine"
    ]


def test_where_a_run_was_made_is_told_when_that_is_gone(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = read_world(world, "boundaries").media[0].path
    assert source is not None
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    shutil.copy(source, "mine.mp4")
    asked = {"query": "I", "relevant": [{"video": "mine.mp4", "start": 0, "end": 5}]}
    Path("mine.jsonl").write_text(json.dumps(asked))
    own = ["benchmark=custom", "benchmark.questions=mine.jsonl", "benchmark.media=."]
    made = bench.run(config.compose("bench", [*own, "encoder=[subtitles]", "output=json"]))
    record = (there / made.data["record"]).rename(tmp_path / "record")
    assert rerun(record, tmp_path / "cache")["same"]
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(there)
    with pytest.raises(ConfigError, match=r"mine\.jsonl.*made in '.*there', which is not there"):
        rerun(record, tmp_path / "cache")


def test_what_differs_is_told(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from egorag.evaluate import measure

    monkeypatch.setattr(measure, "code", lambda: "another")
    real = measure.environment()
    packages = {**real["packages"], "numpy": "0.1"}
    monkeypatch.setattr(measure, "environment", lambda: {**real, "packages": packages})
    data = rerun(made, made.parents[1])
    surroundings = " ".join(data["surroundings"])
    assert "code: was" in surroundings and "packages.numpy: was" in surroundings
    assert "not as it was" in rerun_text(data)


def test_numbers_that_differ_are_told_and_the_exit_code_is_1(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from egorag.evaluate.run import Session

    rank = Session.search
    monkeypatch.setattr(Session, "search", lambda self, item: rank(self, item)[1:])
    done = bench.run(settings(f"rerun={made}"))
    assert done.exit_code == 1 and not done.data["same"]
    assert done.text.startswith("NOT equal") and "main of item" in done.text


@pytest.mark.parametrize("file", ["record.json", "rows.jsonl"])
def test_a_changed_file_is_found(made: Path, file: str) -> None:
    path = made / file
    text = path.read_text()
    assert '"sha256"' in (made / "record.json").read_text()
    path.write_text(text.replace("1.0", "0.5", 1))
    assert path.read_text() != text
    with pytest.raises(ConfigError, match=rf"{file}.* was changed since .*fresh=true"):
        rerun(made, made.parents[1])
    with pytest.raises(ConfigError, match="fresh=true"):
        bench.run(settings())
    assert bench.run(settings("fresh=true")).data["record"]
    assert rerun(made, made.parents[1])["same"]


def test_the_record_tells_where_and_from_what_the_run_was_made(made: Path) -> None:
    record = read_record(made)
    assert record["folder"] == str(made.parents[3])
    assert record["config"]["seed"] == 0
    revision = record["revision"]
    assert revision is None or (len(revision["commit"]) == 40 and revision["changed"] in (0, 1))
    assert record["cost"]["indexing_seconds"] > 0
    assert set(record["environment"]["machine"]) == {"system", "processor", "cores"}
