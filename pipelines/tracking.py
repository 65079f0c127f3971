"""Runs recorded in MLflow, without ever standing in a run's way.

A run's record is a JSON file in the lake first (`record_run`); from there it is logged to MLflow
(`publish`), in a process of its own with a time limit, so that a server that refuses, hangs or
stalls costs a bounded time and never the run. What could not be logged stays pending for
`gristmill publish`. Nothing is logged twice: a run is looked up by its `run_key` first.

    >>> record = new_record(pipeline="handbook", stage="transform", run_id=run_id, metrics={…})
    ... # doctest: +SKIP
    >>> record_run(config.lake, record)  # doctest: +SKIP
    >>> publish(config, record)  # doctest: +SKIP
    Published(run_key='…', mlflow_run_id='…', already=False)
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from lineage import ConfigError, fingerprint

if TYPE_CHECKING:
    from pipelines.config import Config, MlflowConfig
    from pipelines.storage import Storage

SERVER_SECONDS = 20.0
"""The most that logging a run to a server may take, MLflow's import included."""
FILE_SECONDS = 60.0
"""The same for a SQLite file, whose tables may have to be made first. It cannot hang for long."""
MORE_SECONDS = 5.0
"""Added for each further run that is logged in one go."""

_CONNECT_SECONDS = 3.0
_RUNS = "_runs"
_PENDING = "pending"
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}


@dataclass(frozen=True, slots=True)
class Published:
    """A run that is in MLflow."""

    run_key: str
    mlflow_run_id: str
    already: bool = False
    """It had been logged before; nothing was added."""


@dataclass(frozen=True, slots=True)
class TrackingFailed:
    """A run that could not be logged; its record stays pending."""

    run_key: str
    message: str


def new_record(
    *,
    pipeline: str,
    stage: str,
    run_id: str,
    strategy: str | None = None,
    started_at: float,
    ended_at: float | None = None,
    failed: bool = False,
    parameters: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float | int | None] | None = None,
    metrics_by_type: Mapping[str, Mapping[str, float | int | None]] | None = None,
    tags: Mapping[str, str] | None = None,
    inputs: Sequence[Mapping[str, Any]] = (),
    configuration: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A run's record, as `record_run` keeps it.

    Args:
        pipeline: the configuration's name.
        stage: `transform` and the like.
        run_id: of the run; together with stage and strategy it makes the `run_key`.
        strategy: whose figures these are.
        started_at: seconds since the epoch.
        ended_at: likewise; now by default.
        failed: whether the stage ended with an error.
        parameters: what the figures depend on; nested mappings become dotted keys in MLflow.
        metrics: overall figures; null ones are left out.
        metrics_by_type: data type → figures, logged as `figure/data_type`.
        tags: further tags.
        inputs: the tables read: mappings with `name`, `uri` and `version` (of the Delta table).
        configuration: the whole configuration, without secrets.
        policy: the chunking policy.
    """
    return {
        "format": 1,
        "run_key": fingerprint([pipeline, stage, run_id, strategy]),
        "pipeline": pipeline,
        "stage": stage,
        "run_id": run_id,
        "strategy": strategy,
        "started_at": started_at,
        "ended_at": time.time() if ended_at is None else ended_at,
        "failed": failed,
        "parameters": dict(parameters or {}),
        "metrics": dict(metrics or {}),
        "metrics_by_type": {name: dict(values) for name, values in (metrics_by_type or {}).items()},
        "tags": dict(tags or {}),
        "inputs": [dict(entry) for entry in inputs],
        "configuration": dict(configuration or {}),
        "policy": dict(policy or {}),
    }


def record_run(lake_uri: str, record: Mapping[str, Any]) -> str:
    """Keep a run's record in the lake, pending.

    Returns:
        Path or URI of the JSON file.
    """
    folder = _runs(lake_uri) / _PENDING
    folder.make_folder()
    data = json.dumps(record, indent=1, ensure_ascii=False, default=str)
    # A lone surrogate, as from a file name, has no place in UTF-8.
    folder.write_bytes(_name(record), data.encode("utf-8", "backslashreplace"))
    return f"{folder.uri}/{_name(record)}"


def publish(config: Config, record: Mapping[str, Any]) -> Published | TrackingFailed | None:
    """Log one run to MLflow. Never raises because of MLflow, and takes a bounded time.

    Returns:
        What became of it; null when the configuration has no `mlflow`: then it stays pending.
    """
    done = _publish(config, [record])
    return done[0] if done else None


def publish_pending(config: Config) -> list[Published | TrackingFailed]:
    """Log all pending runs, oldest first, as far as it goes.

    Raises:
        ConfigError: the configuration has no `mlflow` while there are pending runs.
    """
    records = pending(config.lake)
    if records and config.mlflow is None:
        raise ConfigError(
            f"{len(records)} runs wait to be published, and {config.path} has no `mlflow`; add for "
            f"example mlflow: {{tracking_uri: sqlite:///.gristmill/mlflow.db, "
            f"experiment: {config.name}}}"
        )
    return _publish(config, records)


def pending(lake_uri: str) -> list[dict[str, Any]]:
    """The records that are not in MLflow yet, oldest first."""
    folder = _runs(lake_uri) / _PENDING
    names = [name for name in folder.list() if name.endswith(".json") and name[0] != "."]
    records = [json.loads(folder.read_bytes(name)) for name in names]
    return sorted(records, key=lambda record: (record["started_at"], record["run_key"]))


def _publish(
    config: Config, records: Sequence[Mapping[str, Any]]
) -> list[Published | TrackingFailed]:
    if config.mlflow is None or not records:
        return []
    problem = _unreachable(config.mlflow)
    answers, problem = ({}, problem) if problem else _log(config.mlflow, records)
    results: list[Published | TrackingFailed] = []
    for record in records:
        run_key = record["run_key"]
        answer = answers.get(run_key, {"error": problem})
        if "error" in answer:
            shown = _redacted(config.mlflow.tracking_uri)
            results.append(
                TrackingFailed(
                    run_key,
                    f"the run could not be logged to MLflow at {shown}: {answer['error']}. Its "
                    "record is kept in the lake; log it later with `gristmill publish CONFIG`",
                )
            )
            continue
        _mark_published(config.lake, record, answer["mlflow_run_id"])
        results.append(Published(run_key, answer["mlflow_run_id"], answer["already"]))
    return results


def _mark_published(lake_uri: str, record: Mapping[str, Any], mlflow_run_id: str) -> None:
    """Move the record out of the pending ones. A crash in between leaves it pending: the next
    `publish` finds the run in MLflow and adds nothing."""
    runs = _runs(lake_uri)
    runs.make_folder()
    data = json.dumps({**record, "mlflow_run_id": mlflow_run_id}, indent=1, default=str)
    runs.write_bytes(_name(record), data.encode("utf-8", "backslashreplace"))
    (runs / _PENDING).delete(_name(record))


def _log(
    mlflow: MlflowConfig, records: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], str]:
    """Answers by run key, and what to say of the runs without one."""
    seconds = _limit(mlflow) + MORE_SECONDS * (len(records) - 1)
    task = {
        "tracking_uri": mlflow.tracking_uri,
        "experiment": mlflow.experiment,
        "artifacts": _artifacts(mlflow),
        "records": list(records),
    }
    package_root = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH", "")]))
    try:
        process = subprocess.Popen(
            # -P: what stands in the current folder is not ours to import.
            [sys.executable, "-P", "-m", "pipelines.tracking_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path},
            start_new_session=True,
        )
    except OSError as error:
        return {}, f"the process that logs it did not start: {error}"
    late = False
    try:
        output, errors = process.communicate(json.dumps(task, default=str).encode(), seconds)
    except subprocess.TimeoutExpired:
        late = True
        _kill(process)
        output, errors = process.communicate()
    except BaseException:
        _kill(process)
        process.wait()
        raise
    answers = {}
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith("{") and line.endswith("}"):
            answer = json.loads(line)
            answers[answer.pop("run_key")] = answer
    if late:
        return answers, f"no answer within {seconds:.0f} seconds"
    last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
    return answers, f"the process that logs it ended with code {process.returncode}: {last[0]}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()


def _limit(mlflow: MlflowConfig) -> float:
    return FILE_SECONDS if mlflow.tracking_uri.startswith("sqlite:") else SERVER_SECONDS


def _unreachable(mlflow: MlflowConfig) -> str:
    """Why a server cannot be reached, found out without starting anything; empty if it can."""
    parts = urlsplit(mlflow.tracking_uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    if parts.scheme in getproxies() and not proxy_bypass(parts.hostname):
        return ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname, port), timeout=_CONNECT_SECONDS):
            return ""
    except (OSError, ValueError) as error:
        return f"cannot connect: {error}"


def _artifacts(mlflow: MlflowConfig) -> str | None:
    """Where artifacts of a SQLite store go: beside it. A server decides for itself."""
    prefix = "sqlite:///"
    if not mlflow.tracking_uri.startswith(prefix):
        return None
    database = Path(mlflow.tracking_uri.removeprefix(prefix).partition("?")[0])
    return str(database.absolute().with_name(f"{database.stem}-artifacts"))


def _redacted(uri: str) -> str:
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}"))


def _runs(lake_uri: str) -> Storage:
    from pipelines.storage import Storage

    return Storage.from_uri(lake_uri) / _RUNS


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['run_id']}-{record['stage']}-{record['run_key'][:8]}.json"
