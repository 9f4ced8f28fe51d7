"""Trackers: what MLflow is told, that it is asked for in time, and that it loses no run."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from worlds import WORLD, read_world

from egorag import bench, config
from egorag.errors import ConfigError, MissingPackageError
from egorag.evaluate.mlflow_tracker import PACKAGES, MLflow
from egorag.evaluate.record import read_record


class Client:
    """What is used of ``mlflow.MlflowClient``, as strict as MLflow 3 about names and numbers."""

    runs: dict[str, dict[str, Any]]
    uri: str
    broken = False

    def __init__(self, tracking_uri: str) -> None:
        type(self).uri = tracking_uri
        if self.broken:
            raise OSError("the database is locked")

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="1") if self.runs else None

    def create_experiment(self, name: str, artifact_location: str) -> str:
        assert artifact_location.startswith("file:///")
        return "1"

    def search_runs(self, experiments: list[str], told: str) -> list[str]:
        assert "attributes.status = 'FINISHED'" in told
        return [id for id, run in self.runs.items() if run["tags"]["egorag_record"] in told]

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        id = str(len(self.runs))
        self.runs[id] = {"tags": tags, "metrics": {}, "params": {}, "files": [], "done": False}
        return SimpleNamespace(info=SimpleNamespace(run_id=id, start_time=1))

    def log_batch(self, id: str, metrics: list[Any], params: list[Any]) -> None:
        assert len(metrics) <= 1000 and len(params) <= 100
        for name, value, _, _ in metrics:
            assert re.fullmatch(r"[A-Za-z0-9_\-. :/]+", name)
            self.runs[id]["metrics"][name] = value
        for name, value in params:
            assert len(value) <= 500
            self.runs[id]["params"][name] = value

    def log_artifact(self, id: str, path: str) -> None:
        self.runs[id]["files"].append(Path(path).name)

    def set_terminated(self, id: str) -> None:
        self.runs[id]["done"] = True


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    """A module of MLflow's name; the real one is no part of the tests' packages."""
    client = type("Fresh", (Client,), {"runs": {}})
    entities = {"Metric": lambda *of: of, "Param": lambda *of: of}
    for name, holds in {"mlflow": {"MlflowClient": client}, "mlflow.entities": entities}.items():
        module = ModuleType(name)
        vars(module).update(holds)
        monkeypatch.setitem(sys.modules, name, module)
    for name in PACKAGES[1:]:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    return client


@pytest.fixture
def run(world: Path, cache: Path, tmp_path: Path) -> Any:
    read_world(world, "retrieval")

    def one(*more: str) -> dict[str, Any]:
        size = ["benchmark.size=[160,90]", f"benchmark.seconds={WORLD['seconds']}"]
        given = ["benchmark=sample_world", f"benchmark.folder={world}", "benchmark.videos=2"]
        tracker = ["tracker=mlflow", f"tracker.folder={tmp_path / 'told'}", f"cache={cache}"]
        settings = [*given, *size, *tracker, "encoder=[subtitles]", "output=json", *more]
        return bench.run(config.compose("bench", settings)).data

    return one


def test_a_run_is_told_once_with_its_scores_and_files(mlflow: type[Client], run: Any) -> None:
    data = run()
    assert run()["record"] == data["record"]
    (told,) = mlflow.runs.values()
    assert told["done"] and told["files"] == ["record.json", "rows.jsonl", "items.jsonl"]
    score = data["scores"]["ndcg@10"]
    for name, bound in (("", "value"), ("/low", "low"), ("/high", "high")):
        assert told["metrics"][f"ndcg_at_10{name}"] == score[bound]
    assert told["metrics"]["random/mrr"] == data["controls"]["random"]["mrr"]["value"]
    assert told["params"]["k"] == "10" and told["params"]["benchmark.videos"] == "2"
    assert told["tags"]["egorag_key"] == read_record(Path(data["record"]))["key"]
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert mlflow.uri.startswith("sqlite:////") and mlflow.uri.endswith("told/mlflow.db")


def test_a_tracker_that_fails_loses_nothing(
    mlflow: type[Client], run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow.broken = True
    data = run("fresh=true")
    assert read_record(Path(data["record"]))["result"]["scores"] == data["scores"]
    assert "the tracker failed: OSError: the database is locked; the run is in" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("lacking", PACKAGES)
def test_a_missing_package_is_told_before_anything_runs(
    mlflow: type[Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    inside = {"mlflow": "mlflow.entities"}
    monkeypatch.setitem(sys.modules, inside.get(lacking, lacking), None)
    given = ["tracker=mlflow", f"benchmark.folder={tmp_path / 'none'}", f"cache={tmp_path / 'c'}"]
    with pytest.raises(MissingPackageError, match=rf"{lacking}.*pip install 'egorag\[mlflow\]'"):
        bench.run(config.compose("bench", given))
    assert not list(tmp_path.iterdir())


def test_a_wrong_setting_of_the_tracker_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no setting 'foldr'; did you mean 'folder'"):
        bench.run(config.compose("bench", ["tracker=mlflow", "tracker.foldr=x"]))
    assert MLflow().folder == "runs/mlflow"
