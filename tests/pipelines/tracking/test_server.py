"""Whole transforms against a real MLflow server, and against places where none answers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tracking_tools import free_port, needs_mlflow, stored

from pipelines import tracking, tracking_process
from pipelines.tracking import Published, pending, publish_pending

ROOT = Path(__file__).parents[3]
PROSE = "# Leave\n\nEveryone has thirty days. They are agreed on with the team.\n\n" * 8

pytestmark = [pytest.mark.slow, needs_mlflow, pytest.mark.xdist_group("mlflow")]


def checked(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server, in an environment of its own: it needs far more than logging does."""
    folder = tmp_path_factory.mktemp("server")
    python = folder / "venv/bin/python"
    checked("uv", "venv", "--python", sys.executable, folder / "venv")
    checked("uv", "pip", "install", "--python", python, "--constraint", ROOT / "requirements.lock",
            f"mlflow=={version('mlflow-skinny')}")  # fmt: skip
    port = free_port()
    log = folder / "server.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [python, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/server.db",
             "--artifacts-destination", str(folder / "artifacts")],
            cwd=folder, stdout=output, stderr=output, start_new_session=True,
            env={
                **os.environ,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                # Seven more processes, for evaluations on the server, which nothing here asks for.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
        )  # fmt: skip
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine MLflow's import, and a first answer, take longer than a run waits."""
    monkeypatch.setattr(tracking, "SERVER_SECONDS", 200.0)
    monkeypatch.setitem(tracking_process._ENVIRONMENT, "MLFLOW_HTTP_REQUEST_TIMEOUT", "100")


def runs(uri: str, experiment: str, filter_string: str = "") -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], filter_string)) if found else []


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv makes the server's environment in time")
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("patient")
def test_a_transform_is_found_on_a_real_server(project: Any, server: str) -> None:
    project.settings["mlflow"] = {"tracking_uri": server, "experiment": "real"}
    project.write("a.md", PROSE)
    project.write("b.csv", "name,town\nAnn,Ostwick\nBob,Larkmoor\n")
    project.ingest()
    summary = project.transform(run_id="run-of-the-test")
    assert summary.notes == ()
    (run,) = runs(server, "real", "tags.`gristmill.run_id` = 'run-of-the-test'")
    assert run.info.run_id == summary.mlflow_run_id("default")
    assert (run.info.status, run.info.run_name) == ("FINISHED", "transform/default/run-of-the-test")
    params = run.data.params
    strategy = project.config.strategies[0]
    assert params["max_tokens"] == "64"
    assert params["strategy_fingerprint"] == strategy.fingerprint()
    assert params["policy.default.chunker"] == strategy.policy.default.chunker
    assert params["policy.rules.tables.use.chunker"] == "table"
    assert params["config.sources.docs.acl.default"] == "public"
    assert params["config.sinks.index.kind"] == "lancedb"
    metrics = run.data.metrics
    assert metrics["documents"] == metrics["documents/markdown"] + metrics["documents/table"] == 2
    assert metrics["coverage"] == metrics["coverage/markdown"] == metrics["coverage/table"] == 1
    assert {"size_compliance/markdown", "boundary_cleanliness/table"} <= set(metrics)
    documents = project.lake.documents
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.digest == f"v{documents.version}"
    assert run.data.tags["gristmill.input.documents"] == (
        f"{documents.folder.uri}@{documents.version}"
    )

    assert project.transform().tracking.under_way is False
    assert len(runs(server, "real")) == 1


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv makes the server's environment in time")
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("patient")
def test_what_was_kept_reaches_the_server_once(project: Any, server: str) -> None:
    project.settings["mlflow"] = {
        "tracking_uri": f"http://127.0.0.1:{free_port()}", "experiment": "kept",
    }  # fmt: skip
    project.write("a.md", PROSE)
    code, summary, errors = project.call("run", str(project.config_path), "--json")
    assert code == 0, errors
    assert summary["stages"]["transform"]["mlflow_run_id"] is None
    assert "could not be logged to MLflow" in errors
    project.settings["mlflow"]["tracking_uri"] = server
    for sent in (1, 0):
        code, answer, errors = project.call("publish", str(project.config_path), "--json")
        assert (code, len(answer["published"]), answer["failed"]) == (0, sent, [])
        (run,) = runs(server, "kept")
        assert run.data.tags["gristmill.run_id"] == summary["run_id"]


@pytest.mark.parametrize("place", ["refused", "hanging", "folder", "device"])
def test_a_run_ends_without_mlflow(project: Any, hanging: int, tmp_path: Path, place: str) -> None:
    uri = {
        "refused": f"http://127.0.0.1:{free_port()}",
        "hanging": f"http://127.0.0.1:{hanging}",
        "folder": "sqlite:////proc/no/such/mlflow.db",
        "device": "sqlite:////dev/full",
    }[place]
    project.settings["mlflow"] = {"tracking_uri": uri, "experiment": "x"}
    project.write("a.md", PROSE)
    project.ingest()
    summary = project.transform()
    (note,) = summary.notes
    assert f"the run could not be logged to MLflow at {uri}: " in note
    assert "gristmill publish" in note
    assert summary.mlflow_run_id("default") is None
    assert len(pending(project.config.lake)) == 1

    project.settings["mlflow"]["tracking_uri"] = f"sqlite:///{tmp_path}/db/mlflow.db"
    assert [type(result) for result in publish_pending(project.config)] == [Published]
    assert publish_pending(project.config) == []
    assert len(stored(tmp_path)) == 1
