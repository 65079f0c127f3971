from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lineage import ConfigError
from pipelines import tracking, tracking_worker
from pipelines.config import Config, MlflowConfig, SourceConfig
from pipelines.tracking import (
    Published,
    Publisher,
    TrackingFailed,
    new_record,
    pending,
    publish,
    publish_pending,
    record_run,
)

HAS_MLFLOW = find_spec("mlflow") is not None
needs_mlflow = pytest.mark.skipif(not HAS_MLFLOW, reason="mlflow-skinny is not installed")


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


def stored(folder: Path) -> list[Any]:
    """The runs in the SQLite store, by MLflow itself, in a process of its own."""
    script = """
        import json, sys
        from mlflow import MlflowClient
        client = MlflowClient(sys.argv[1])
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        found = []
        for run in client.search_runs(ids):
            artifacts = {}
            for entry in client.list_artifacts(run.info.run_id):
                path = client.download_artifacts(run.info.run_id, entry.path)
                artifacts[entry.path] = json.load(open(path))
            found.append({
                "id": run.info.run_id, "name": run.info.run_name, "status": run.info.status,
                "start": run.info.start_time, "end": run.info.end_time,
                "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags,
                "uri": run.info.artifact_uri, "artifacts": artifacts,
                "history": len(client.get_metric_history(run.info.run_id, "chunks")),
                "datasets": [
                    [d.dataset.name, d.dataset.digest, json.loads(d.dataset.source),
                     [[tag.key, tag.value] for tag in d.tags]]
                    for d in run.inputs.dataset_inputs
                ],
            })
        print(json.dumps(found))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), f"sqlite:///{folder}/db/mlflow.db"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@needs_mlflow
def test_a_run_is_recorded_then_logged_whole_and_once(tmp_path: Path) -> None:
    settings, run = config(tmp_path), record()
    path = record_run(settings.lake, run)
    assert json.loads(Path(path).read_text())["metrics"]["chunks"] == 12
    assert [entry["run_key"] for entry in pending(settings.lake)] == [run["run_key"]]

    first = publish(settings, run)
    assert isinstance(first, Published), first
    assert not first.already
    assert pending(settings.lake) == []
    kept = json.loads((tmp_path / "lake/_runs" / Path(path).name).read_text())
    assert kept["mlflow_run_id"] == first.mlflow_run_id

    # The driver died before it could mark the record: it is found again, nothing is added.
    record_run(settings.lake, run)
    assert publish_pending(settings) == [Published(run["run_key"], first.mlflow_run_id, True)]
    assert pending(settings.lake) == []

    (logged,) = stored(tmp_path)
    assert logged["id"] == first.mlflow_run_id
    assert logged["name"] == "transform/default/run-1"
    assert (logged["status"], logged["start"], logged["end"]) == (
        "FINISHED", 1_700_000_000_000, 1_700_000_012_500
    )  # fmt: skip
    assert logged["params"] == {
        "max_tokens": "512", "default.chunker": "fixed", "default.rules": '["a", "b"]'
    }  # fmt: skip
    assert logged["metrics"] == {
        "chunks": 12, "coverage": 1, "boundary_cleanliness/markdown": 0.5, "coverage/c__": 1
    }  # fmt: skip
    assert logged["tags"]["gristmill.run_id"] == "run-1"
    assert logged["tags"]["gristmill.input.documents"] == "/lake/documents@7"
    assert logged["tags"]["note"] == "first"
    assert logged["datasets"] == [
        ["documents", "v7", {"uri": "/lake/documents", "delta_version": 7},
         [["mlflow.data.context", "transform"]]]
    ]  # fmt: skip
    assert logged["artifacts"]["configuration.json"] == {"name": "handbook"}
    assert logged["artifacts"]["policy.json"] == {"default": {"chunker": "fixed"}}
    assert logged["artifacts"]["run.json"]["run_id"] == "run-1"
    assert logged["uri"].startswith((tmp_path / "db/mlflow-artifacts").as_uri())


@needs_mlflow
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
def test_pending_runs_are_published_in_one_go(tmp_path: Path) -> None:
    away = config(tmp_path, f"http://127.0.0.1:{free_port()}")
    for n in range(3):
        run = record(f"run-{n}", started_at=100.0 - n, ended_at=101.0)
        record_run(away.lake, run)
        assert isinstance(publish(away, run), TrackingFailed)
    assert [run["run_id"] for run in pending(away.lake)] == ["run-2", "run-1", "run-0"]
    assert all(isinstance(result, TrackingFailed) for result in publish_pending(away))
    back = config(tmp_path)
    assert [type(result) for result in publish_pending(back)] == [Published] * 3
    assert publish_pending(back) == []
    assert len(stored(tmp_path)) == 3


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
def test_deleted_experiment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    tracking_worker.make_store(tmp_path / "db/mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/db/mlflow.db")
    client.delete_experiment(client.create_experiment("handbook"))
    result = publish(config(tmp_path), record())
    assert isinstance(result, TrackingFailed)
    assert "'handbook' was deleted in MLflow" in result.message


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def hanging() -> Iterator[int]:
    """A server that accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]


@pytest.fixture
def failing() -> Iterator[int]:
    """A server that answers everything with 500."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def failed_within(settings: Config, run: dict[str, Any], seconds: float) -> TrackingFailed:
    record_run(settings.lake, run)
    start = time.monotonic()
    result = publish(settings, run)
    assert time.monotonic() - start < seconds
    assert isinstance(result, TrackingFailed)
    assert "gristmill publish CONFIG" in result.message
    assert [entry["run_key"] for entry in pending(settings.lake)] == [run["run_key"]]
    return result


def test_refused_costs_nothing(tmp_path: Path) -> None:
    settings = config(tmp_path, f"http://user:secret@127.0.0.1:{free_port()}")
    result = failed_within(settings, record(), 2)
    assert "cannot connect" in result.message
    assert "secret" not in result.message


@needs_mlflow
def test_hanging_server_costs_a_bounded_time(tmp_path: Path, hanging: int) -> None:
    failed_within(config(tmp_path, f"http://127.0.0.1:{hanging}"), record(), 16)


def test_time_limit_ends_whatever_hangs(
    tmp_path: Path, hanging: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "SERVER_SECONDS", 0.5)
    result = failed_within(config(tmp_path, f"http://127.0.0.1:{hanging}"), record(), 5)
    assert "no answer within 0 seconds" in result.message or "within 1 s" in result.message


@needs_mlflow
def test_server_that_answers_with_errors(tmp_path: Path, failing: int) -> None:
    failed_within(config(tmp_path, f"http://127.0.0.1:{failing}"), record(), 16)


@needs_mlflow
def test_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("a file where a folder should be")
    result = publish(config(tmp_path), record())
    assert isinstance(result, TrackingFailed)
    assert "File exists" in result.message or "Not a directory" in result.message


def test_without_mlflow_the_record_waits(tmp_path: Path) -> None:
    settings = Config("h", str(tmp_path / "lake"), (), path=tmp_path / "c.yaml")
    run = record()
    assert publish_pending(settings) == []
    record_run(settings.lake, run)
    assert publish(settings, run) is None
    with pytest.raises(ConfigError, match=r"1 runs wait .* has no `mlflow`"):
        publish_pending(settings)


def test_run_key_says_which_run_of_what(tmp_path: Path) -> None:
    keys = {
        record()["run_key"],
        record("run-2")["run_key"],
        record(strategy="other")["run_key"],
        record(stage="evaluate")["run_key"],
        record(pipeline="other")["run_key"],
    }
    assert len(keys) == 5
    assert record()["run_key"] == record(metrics={})["run_key"]


def test_odd_text_is_kept(tmp_path: Path) -> None:
    run = record(tags={"file": "a\ud800b"}, configuration={"path": Path("/x")})
    record_run(str(tmp_path), run)
    (kept,) = pending(str(tmp_path))
    assert kept["configuration"] == {"path": "/x"}


def test_nothing_of_this_imports_mlflow() -> None:
    script = "import sys, pipelines.tracking; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_long_parameters_say_that_they_were_cut() -> None:
    values = tracking_worker.parameters(
        record(parameters={"rules": "x" * 7000, "fits": "y" * 6000})
    )
    assert len(values["rules"]) <= 6000
    assert values["rules"].endswith("… (all of it: run.json)")
    assert values["fits"] == "y" * 6000


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("recall@5", "recall_at_5"),
        ("boundary_cleanliness/markdown", "boundary_cleanliness/markdown"),
        ("coverage/c++ %", "coverage/c__ _"),
        ("x" * 300, "x" * 250),
        ("", "_"),
    ],
)
def test_keys(key: str, expected: str) -> None:
    assert tracking_worker.valid_key(key) == expected


def test_named_things_become_parameters_of_their_own() -> None:
    rules = [{"name": "md", "when": {"path": "*.md"}}, {"name": "none"}]
    odd = [{"name": "a"}, {"name": "a"}]
    values = tracking_worker.parameters(
        record(parameters={"policy": {"default": {"chunker": "fixed"}, "rules": rules}, "odd": odd})
    )
    assert values == {
        "policy.default.chunker": "fixed",
        "policy.rules.md.when.path": "*.md",
        "policy.rules.none": "{}",
        "odd": '[{"name": "a"}, {"name": "a"}]',
    }


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
def test_the_caller_goes_on_while_a_run_is_logged(tmp_path: Path) -> None:
    settings, runs = config(tmp_path), [record("run-1"), record("run-2")]
    publisher = Publisher(settings)
    start = time.monotonic()
    publisher.start()
    for run in runs:
        record_run(settings.lake, run)
        publisher.send(run)
    assert time.monotonic() - start < 1
    results = publisher.results()
    assert [type(result) for result in results] == [Published] * 2
    assert [result.run_key for result in results] == [run["run_key"] for run in runs]
    assert publisher.results() == []
    assert pending(settings.lake) == []


def test_what_was_given_up_stays_pending(tmp_path: Path, hanging: int) -> None:
    settings, run = config(tmp_path, f"http://127.0.0.1:{hanging}"), record()
    publisher = Publisher(settings)
    record_run(settings.lake, run)
    publisher.send(run)
    publisher.close()
    (result,) = publisher.results()
    assert isinstance(result, TrackingFailed)
    assert "the command ended before" in result.message
    assert len(pending(settings.lake)) == 1
