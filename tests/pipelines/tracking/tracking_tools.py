"""Records, a configuration, and a look into the store, for the tests of tracking."""

from __future__ import annotations

import json
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipelines.config import Config, MlflowConfig, SourceConfig
from pipelines.tracking import new_record

needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="mlflow-skinny is not installed"
)


def config(folder: Path, uri: str | None = None) -> Config:
    return Config(
        name="handbook",
        lake=str(folder / "lake"),
        sources=(SourceConfig(name="docs", uri=str(folder)),),
        mlflow=MlflowConfig(uri or f"sqlite:///{folder}/db/mlflow.db", "handbook"),
        path=folder / "gristmill.yaml",
    )


def record(run_id: str = "run-1", **options: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "pipeline": "handbook",
        "stage": "transform",
        "run_id": run_id,
        "strategy": "default",
        "started_at": 1_700_000_000.0,
        "ended_at": 1_700_000_012.5,
        "parameters": {"max_tokens": 512, "default": {"chunker": "fixed", "rules": ["a", "b"]}},
        "metrics": {"chunks": 12, "coverage": 1.0, "recall@5": None, "bad": float("nan")},
        "metrics_by_type": {"markdown": {"boundary_cleanliness": 0.5}, "c++": {"coverage": 1}},
        "tags": {"note": "first"},
        "inputs": [{"name": "documents", "uri": "/lake/documents", "version": 7}],
        "configuration": {"name": "handbook"},
        "policy": {"default": {"chunker": "fixed"}},
    }
    return new_record(**{**values, **options})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stored(folder: Path) -> list[dict[str, Any]]:
    """The runs in the SQLite store of `config(folder)`, by MLflow itself."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/db/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    found = []
    for run in client.search_runs(ids):
        artifacts = {}
        for entry in client.list_artifacts(run.info.run_id):
            path = client.download_artifacts(run.info.run_id, entry.path)
            artifacts[entry.path] = json.loads(Path(path).read_text())
        found.append(
            {
                "id": run.info.run_id,
                "name": run.info.run_name,
                "status": run.info.status,
                "start": run.info.start_time,
                "end": run.info.end_time,
                "params": run.data.params,
                "metrics": run.data.metrics,
                "tags": run.data.tags,
                "uri": run.info.artifact_uri,
                "artifacts": artifacts,
                "history": len(client.get_metric_history(run.info.run_id, "chunks")),
                "datasets": [
                    [
                        each.dataset.name,
                        each.dataset.digest,
                        json.loads(each.dataset.source),
                        [[tag.key, tag.value] for tag in each.tags],
                    ]
                    for each in run.inputs.dataset_inputs
                ],
            }
        )
    return found
