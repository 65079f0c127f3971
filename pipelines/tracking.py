"""Runs recorded in MLflow, without ever standing in a run's way.

A run's record is a JSON file in the lake first (`record_run`); from there it is logged to MLflow,
in a process of its own with a time limit, so that a server that refuses, hangs or stalls costs a
bounded time and never the run. What could not be logged stays pending for `gristmill publish`.
Nothing is logged twice: a run is looked up by its `run_key` first.

    >>> record = new_record(pipeline="handbook", stage="transform", run_id=run_id, metrics={…})
    ... # doctest: +SKIP
    >>> record_run(config.lake, record)  # doctest: +SKIP
    >>> publish(config, record)  # doctest: +SKIP
    Published(run_key='…', mlflow_run_id='…', already=False)
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lineage import ConfigError, fingerprint
from pipelines.tracking_process import TrackingProcess

if TYPE_CHECKING:
    from pipelines.config import Config, MlflowConfig
    from pipelines.storage import Storage

SERVER_SECONDS = 15.0
"""The most that logging a run to a server may take, MLflow's import included."""
FILE_SECONDS = 60.0
"""The same for a SQLite file, whose tables may have to be made first. It cannot hang for long."""
MORE_SECONDS = 5.0
"""Added for each further run that is logged in one go."""

_CONNECT_SECONDS = 3.0
_ASK_AGAIN_SECONDS = 30.0
"""After which a server that could not be reached is tried again."""
_RUNS = "_runs"
# What stands before an @ is a login on the web; elsewhere, as in abfss://container@account, only
# what holds a password.
_LOGIN = re.compile(r"(https?://)[^/@\s]+@|(?<=://)[^/@\s:]*:[^/@\s]+@")
_PENDING = "pending"
_KEYS = (
    "run_key", "pipeline", "stage", "run_id", "strategy", "started_at", "ended_at", "failed",
    "parameters", "metrics", "metrics_by_type", "tags", "inputs", "configuration", "policy",
)  # fmt: skip
"""Without these there is nothing to log."""


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
    cause: str = ""
    """What was wrong with MLflow; runs that failed together share it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A pending record that is damaged; it stays where it is, and stops no other."""

    name: str
    """Of the file, in `_runs/pending` of the lake."""
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
    parent: str | None = None,
    series: Mapping[str, Sequence[Sequence[float]]] | None = None,
    artifacts: Sequence[Mapping[str, str]] = (),
    interrupted: bool = False,
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
        parent: the `run_key` of the run that this one is part of; it has to be logged before.
        series: metric → (step, value) pairs.
        artifacts: files of the lake: mappings with `path`, its name in MLflow, and `uri`.
        interrupted: whether it was ended before its end; it is then not `failed`.
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
        "parent": parent,
        "series": {name: [list(point) for point in each] for name, each in (series or {}).items()},
        "artifacts": [dict(entry) for entry in artifacts],
        "interrupted": interrupted,
    }


def record_run(lake_uri: str, record: Mapping[str, Any], *, to_publish: bool = True) -> str:
    """Keep a run's record in the lake.

    Args:
        lake_uri: where.
        record: of `new_record`.
        to_publish: whether it is pending until it is logged to MLflow. Where no MLflow is
            configured it is not: it is there for comparisons with later runs.

    Returns:
        Path or URI of the JSON file.
    """
    folder = _runs(lake_uri) / _PENDING if to_publish else _runs(lake_uri)
    folder.make_folder()
    data = json.dumps(record, indent=1, ensure_ascii=False, default=str)
    # A lone surrogate, as from a file name, has no place in UTF-8.
    folder.write_bytes(_name(record), data.encode("utf-8", "backslashreplace"))
    return f"{folder.uri}/{_name(record)}"


class Publisher:
    """Logs runs to MLflow while the caller goes on; `results` waits for what is not done yet.

    Never raises because of MLflow. Nothing is started before the first `start` or `send`.
    """

    def __init__(self, config: Config) -> None:
        self._lake = config.lake
        self._mlflow = config.mlflow
        self._records: list[Mapping[str, Any]] = []
        self._process: TrackingProcess | None = None
        self._problem = ""
        self._asked_at = 0.0
        self._seconds = 0.0
        self._sent_at = 0.0

    def start(self) -> None:
        """Begin with what takes seconds, before there is a run to log: imports, a fresh store."""
        if self._mlflow is None or self._process is not None:
            return
        now = time.monotonic()
        if self._problem and now - self._asked_at < _ASK_AGAIN_SECONDS:
            return
        self._asked_at = now
        self._problem = unreachable(self._mlflow)
        if self._problem:
            return
        try:
            self._process = TrackingProcess(_task(self._mlflow))
        except OSError as error:
            self._problem = f"the process that logs it did not start: {error}"

    def send(self, record: Mapping[str, Any]) -> None:
        """Log a run that `record_run` has kept; without `mlflow` in the config it stays pending."""
        if self._mlflow is None:
            return
        self.start()
        self._records.append(record)
        self._seconds += MORE_SECONDS if len(self._records) > 1 else _limit(self._mlflow)
        self._sent_at = time.monotonic()
        if self._process is not None:
            self._process.send(record)

    def results(self) -> list[Published | TrackingFailed]:
        """What became of each run, in the order of `send`; waits for a bounded time, and ends."""
        answers: dict[str, dict[str, Any]] = {}
        if self._process is not None:
            answers, problem = self._process.answers(self._sent_at + self._seconds)
            self._process = None
            self._problem = problem or f"it did not answer within {self._seconds:.0f} s"
        records, self._records = self._records, []
        return [self._result(record, answers.get(record["run_key"])) for record in records]

    def close(self) -> None:
        """Give up what is not logged yet; its records stay pending."""
        self._problem = self._problem or "the command ended before"
        if self._process is not None:
            self._process.close()
            self._process = None

    def _result(
        self, record: Mapping[str, Any], answer: Mapping[str, Any] | None
    ) -> Published | TrackingFailed:
        assert self._mlflow is not None
        answer = answer or {"error": self._problem}
        if "error" in answer:
            shown = redacted(self._mlflow.tracking_uri)
            cause = f"MLflow at {shown}: {answer['error']}"
            return TrackingFailed(
                record["run_key"],
                f"the run could not be logged to {cause}. Its record is kept in the lake; log it "
                "later with `gristmill publish CONFIG`",
                cause,
            )
        _mark_published(self._lake, record, answer["mlflow_run_id"])
        return Published(record["run_key"], answer["mlflow_run_id"], answer["already"])


def publish(config: Config, record: Mapping[str, Any]) -> Published | TrackingFailed | None:
    """Log one run to MLflow. Never raises because of MLflow, and takes a bounded time.

    Returns:
        What became of it; null when the configuration has no `mlflow`: then it stays pending.
    """
    done = _publish(config, [record])
    return done[0] if done else None


def publish_pending(config: Config) -> list[Published | TrackingFailed | Unreadable]:
    """Log all pending runs, oldest first, as far as it goes; damaged records come last.

    Raises:
        ConfigError: the configuration has no `mlflow` while there are pending runs.
    """
    records, unreadable = _pending(config.lake)
    if records and config.mlflow is None:
        raise ConfigError(
            f"{len(records)} runs wait to be published, and {config.path} has no `mlflow`; add for "
            f"example mlflow: {{tracking_uri: sqlite:///.gristmill/mlflow.db, "
            f"experiment: {config.name}}}"
        )
    return [*_publish(config, records), *unreadable]


def pending(lake_uri: str) -> list[dict[str, Any]]:
    """The records that are not in MLflow yet, oldest first, without damaged ones."""
    return _pending(lake_uri)[0]


def read_record(folder: Storage, name: str) -> dict[str, Any]:
    """A run's record, as `new_record` made it.

    Raises:
        ValueError: the file is damaged.
    """
    record = json.loads(folder.read_bytes(name))
    if not isinstance(record, dict):
        raise ValueError("it holds no mapping")
    missing = [key for key in _KEYS if key not in record]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    return record


def _pending(lake_uri: str) -> tuple[list[dict[str, Any]], list[Unreadable]]:
    folder = _runs(lake_uri) / _PENDING
    records, unreadable = [], []
    for name in folder.list():
        if not name.endswith(".json") or name[0] == ".":
            continue
        try:
            records.append(read_record(folder, name))
        except ValueError as error:
            unreadable.append(
                Unreadable(
                    name,
                    f"{folder.uri}/{name}: is no record of a run ({error}); delete it: what it "
                    "held cannot be sent",
                )
            )
    records.sort(key=lambda record: (record["started_at"], record["run_key"]))
    return records, unreadable


def _publish(
    config: Config, records: Sequence[Mapping[str, Any]]
) -> list[Published | TrackingFailed]:
    publisher = Publisher(config)
    try:
        for record in records:
            publisher.send(record)
        return publisher.results()
    finally:
        publisher.close()


def _mark_published(lake_uri: str, record: Mapping[str, Any], mlflow_run_id: str) -> None:
    """Move the record out of the pending ones. A crash in between leaves it pending: the next
    `publish` finds the run in MLflow and adds nothing."""
    runs = _runs(lake_uri)
    runs.make_folder()
    data = json.dumps({**record, "mlflow_run_id": mlflow_run_id}, indent=1, default=str)
    runs.write_bytes(_name(record), data.encode("utf-8", "backslashreplace"))
    (runs / _PENDING).delete(_name(record))


def _task(mlflow: MlflowConfig) -> dict[str, Any]:
    """Where a worker logs to."""
    return {
        "tracking_uri": mlflow.tracking_uri,
        "experiment": mlflow.experiment,
        "artifacts": _artifacts(mlflow),
    }


def _limit(mlflow: MlflowConfig) -> float:
    return FILE_SECONDS if mlflow.tracking_uri.startswith("sqlite:") else SERVER_SECONDS


def unreachable(mlflow: MlflowConfig) -> str:
    """Why a server cannot be reached, found out without starting anything; empty if it can."""
    from urllib.request import getproxies, proxy_bypass

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


def redacted(text: str) -> str:
    """`text` without the names and passwords that URIs in it may hold."""
    return _LOGIN.sub(lambda found: f"{found[1] or ''}***@", text)


def _runs(lake_uri: str) -> Storage:
    from pipelines.storage import Storage

    return Storage.from_uri(lake_uri) / _RUNS


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['run_id']}-{record['stage']}-{record['run_key'][:8]}.json"
