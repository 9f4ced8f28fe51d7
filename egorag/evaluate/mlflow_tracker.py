"""``tracker=mlflow``: finished runs in an MLflow database of this machine; nothing leaves it."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.errors import MissingPackageError
from egorag.evaluate.record import ITEMS, RECORD, ROWS
from egorag.evaluate.tracking import metrics, parameters

AT_ONCE = 100
"""Parameters or metrics of one call; MLflow takes no more parameters."""
LONGEST = 500
"""Characters of a parameter; old databases take no more. The record has it whole."""
PACKAGES = ("mlflow", "sqlalchemy", "alembic")


@dataclass(frozen=True)
class MLflow:
    """Scores with their intervals, the settings, and the run's files.

    MLflow's names take neither ``@`` nor ``|``: ``ndcg@10`` is ``ndcg_at_10`` there, and
    ``accuracy|evidence`` is ``accuracy_given_evidence``. Its telemetry is switched off.

    Attributes:
        folder: holds ``mlflow.db`` and the copies of the files.
        experiment: under which the runs are listed.
    """

    folder: str = "runs/mlflow"
    experiment: str = "egorag"

    def check(self) -> None:
        """See ``Tracker``."""
        _offline()
        for name in PACKAGES:
            try:
                # A folder called mlflow in the present one could be imported, its parts could not.
                importlib.import_module("mlflow.entities" if name == "mlflow" else name)
            except ImportError as error:
                raise MissingPackageError(
                    f"tracker=mlflow needs the package {name}, which is missing ({error}): "
                    "pip install 'egorag[mlflow]'"
                ) from error

    def track(self, folder: Path, record: Mapping[str, Any]) -> None:
        """See ``Tracker``."""
        _offline()
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        home = Path(self.folder).absolute()
        home.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
        known = client.get_experiment_by_name(self.experiment)
        files = (home / "files").as_uri()
        experiment = (
            client.create_experiment(self.experiment, artifact_location=files)
            if known is None
            else known.experiment_id
        )
        told = f"tags.egorag_record = '{record['sha256']}' and attributes.status = 'FINISHED'"
        if client.search_runs([experiment], told):
            return
        name = f"{record['result']['benchmark']} {record['key'][:8]}"
        tags = {"egorag_record": record["sha256"], "egorag_key": record["key"]}
        run = client.create_run(experiment, run_name=name, tags=tags)
        id, now = run.info.run_id, run.info.start_time
        params = [Param(key, text[:LONGEST]) for key, text in parameters(record["config"])]
        scores = [Metric(_name(key), value, now, 0) for key, value in metrics(record)]
        for start in range(0, max(len(params), len(scores)), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            client.log_batch(id, metrics=scores[part], params=params[part])
        for file in (RECORD, ROWS, ITEMS):
            client.log_artifact(id, str(folder / file))
        client.set_terminated(id)


def _offline() -> None:
    """Before MLflow is imported."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


def _name(metric: str) -> str:
    said = metric.replace("@", "_at_").replace("|", "_given_")
    return re.sub(r"[^\w\-. :/]", "_", said, flags=re.ASCII)
