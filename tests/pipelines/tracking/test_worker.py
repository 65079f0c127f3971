from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tracking_tools import config, needs_mlflow, record, stored

from pipelines import tracking, tracking_worker
from pipelines.tracking import (
    Published,
    TrackingFailed,
    publish,
    record_run,
)


@needs_mlflow
@pytest.mark.usefixtures("store")
def test_half_logged_run_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    settings, run = config(tmp_path), record(failed=True)
    assert settings.mlflow is not None
    task = {
        "tracking_uri": settings.mlflow.tracking_uri,
        "experiment": "handbook",
        "artifacts": tracking._artifacts(settings.mlflow),
    }
    client, experiment = tracking_worker.connect(task)

    class Dying:
        """Stops at the n-th call that writes."""

        def __init__(self, left: int) -> None:
            self.left = left

        def __getattr__(self, name: str) -> Any:
            if name != "search_runs":
                self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return getattr(client, name)

    for calls in range(10):
        try:
            tracking_worker.log_run(Dying(calls), experiment, run)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            continue
        break
    assert calls >= 6
    record_run(settings.lake, run)
    result = publish(settings, run)
    assert isinstance(result, Published)
    assert result.already
    (logged,) = stored(tmp_path)
    assert logged["status"] == "FAILED"
    assert logged["history"] == 1
    assert len(logged["datasets"]) == 1
    assert logged["metrics"]["boundary_cleanliness/markdown"] == 0.5


@needs_mlflow
@pytest.mark.slow
def test_four_processes_and_a_fresh_store(tmp_path: Path) -> None:
    settings = config(tmp_path)
    runs = [record(f"run-{n}") for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda run: publish(settings, run), runs))
    assert [type(result) for result in results] == [Published] * 4, results
    assert len(stored(tmp_path)) == 4


@needs_mlflow
@pytest.mark.usefixtures("store")
def test_deleted_experiment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/db/mlflow.db")
    client.delete_experiment(client.create_experiment("handbook"))
    result = publish(config(tmp_path), record())
    assert isinstance(result, TrackingFailed)
    assert "'handbook' was deleted in MLflow" in result.message


@needs_mlflow
def test_killed_while_making_the_store_leaves_none(tmp_path: Path) -> None:
    script = f"""
        import os, sys
        from pathlib import Path
        import alembic.command
        upgrade = alembic.command.upgrade
        def deadly(*arguments, **options):
            upgrade(*arguments, **options)
            os.kill(os.getpid(), 9)
        alembic.command.upgrade = deadly
        from pipelines.tracking_worker import make_store
        make_store(Path({str(tmp_path)!r}) / "db/mlflow.db")
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert died.returncode == -9
    assert not (tmp_path / "db/mlflow.db").exists()
    assert isinstance(publish(config(tmp_path), record()), Published)
    assert len(stored(tmp_path)) == 1


@needs_mlflow
@pytest.mark.usefixtures("store")
def test_a_driver_that_died_logs_nothing_more(tmp_path: Path) -> None:
    settings = config(tmp_path)
    assert settings.mlflow is not None
    task = {**tracking._task(settings.mlflow), "driver": -1}
    lines = f"{json.dumps(task)}\n{json.dumps(record())}\n"
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.tracking_worker"],
        input=lines, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert stored(tmp_path) == []


@needs_mlflow
def test_a_server_that_goes_away_is_asked_by_one_run_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It answered at first; while a run is logged it no longer does."""
    requests = pytest.importorskip("requests")

    def away(*given: Any) -> Any:
        tried.append(given)
        try:
            raise requests.exceptions.ConnectionError("[Errno 111] Connection refused')")
        except OSError:
            raise RuntimeError("API request failed with exception HTTPConnectionPool") from None

    tried: list[Any] = []
    monkeypatch.setattr(tracking_worker, "log_run", away)
    monkeypatch.setattr(tracking_worker, "connect", lambda _: (None, "1"))
    connection = tracking_worker.Connection({})
    told = []
    for n in range(3):
        try:
            tracking_worker._patiently(*connection.get(), record(f"run-{n}"))
        except RuntimeError as error:
            connection.failed(error)
            told.append(tracking_worker._message(error))
    assert told == ["it cannot be reached (Connection refused)"] * 3
    assert len(tried) == 1
