"""The process that talks to MLflow, started by `pipelines.tracking_process` and killed when late.

Reads lines of JSON from stdin: where to log to, then a run each; writes a line of JSON for each
run. What takes seconds is done before the first run comes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

VALUE_LIMIT = 6_000
"""Characters of a parameter's value that MLflow keeps; the whole is in the artifacts."""
_KEY_LIMIT = 250
_TAG_LIMIT = 5_000
_PARAMS_PER_BATCH = 100
_METRICS_PER_BATCH = 1_000
_BAD_IN_KEY = re.compile(r"[^\w\-. :/]")
_RETRY_SECONDS = 20.0
"""How long a failure to connect is believed to last."""
_PATIENCE_SECONDS = 2.0
# How urllib3 words what ended its attempts.
_TIMED_OUT = re.compile(r"(?:read timeout=|connect timeout=)([\d.]+)")
_RESPONSES = re.compile(r"too many (\d+) error responses")
_CAUSED_BY = re.compile(
    r"(Name or service not known|nodename nor servname|Temporary failure in name resolution"
    r"|Connection refused|Network is unreachable|No route to host|Connection reset by peer"
    r"|Remote end closed connection without response|certificate verify failed)"
)
_KEY = "gristmill.run_key"
_COMPLETE = "gristmill.complete"


def main() -> int:
    """Log the runs that come in on stdin."""
    # MLflow imports it where it is installed and does not need it: half a second.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    task = json.loads(sys.stdin.readline())
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        connection = Connection(task)
        connection.prepare()
        for line in sys.stdin:
            record = json.loads(line)
            try:
                client, experiment = connection.get()
                if os.getppid() != task["driver"]:
                    # It died; the record is pending, and another may be logging it by now.
                    return 1
                run_id, already = _patiently(client, experiment, record)
            except Exception as error:
                # Whatever it was, the driver has to be told.
                connection.failed(error)
                _answer(answers, record, error=_message(error))
            else:
                _answer(answers, record, mlflow_run_id=run_id, already=already)
    return 0


class Connection:
    """A client and an experiment, made when first needed; a failure is remembered for a while."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._made: tuple[MlflowClient, str] | None = None
        self._failure: Exception | None = None
        self._failed_at = 0.0

    def prepare(self) -> None:
        """Connect; what is wrong comes up again in `get`."""
        with contextlib.suppress(Exception):
            self.get()

    def get(self) -> tuple[MlflowClient, str]:
        """The client, and the id of the experiment.

        Raises:
            Exception: whatever MLflow raised, up to `_RETRY_SECONDS` ago.
        """
        if self._failure is not None and time.monotonic() - self._failed_at < _RETRY_SECONDS:
            raise self._failure
        if self._made is None:
            try:
                self._made = connect(self._task)
            except Exception as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
        return self._made

    def failed(self, error: Exception) -> None:
        """Remember a server that went away while a run was logged: no other run waits for it."""
        if error is not self._failure and _of_server(error) is not None:
            self._failure, self._failed_at = error, time.monotonic()


def connect(task: Mapping[str, Any]) -> tuple[MlflowClient, str]:
    """A client, and the id of the experiment, which is made when there is none.

    Raises:
        RuntimeError: the experiment was deleted in MLflow.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri, name, artifacts = task["tracking_uri"], task["experiment"], task["artifacts"]
    if uri.startswith("sqlite:///"):
        make_store(Path(uri.removeprefix("sqlite:///").partition("?")[0]))
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        place = Path(artifacts).as_uri() if artifacts else None
        try:
            return client, client.create_experiment(name, artifact_location=place)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise RuntimeError(
            f"the experiment {name!r} was deleted in MLflow; restore it, or name another one "
            "as `mlflow.experiment`"
        )
    return client, str(experiment.experiment_id)


def make_store(database: Path) -> None:
    """Make a new SQLite store, unless there is one: aside, then moved into place whole.

    MLflow makes its tables in some seventy steps, each of them written to disk, and cannot go on
    from half of them. Aside, nothing has to be safe before the end, which is many times faster,
    and neither a kill nor another process ever leaves half a store behind.
    """
    if str(database) in ("", ":memory:") or database.exists():
        return
    from mlflow import MlflowClient
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def trust_memory(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    database.parent.mkdir(parents=True, exist_ok=True)
    aside = database.with_name(f".{database.name}.{uuid.uuid4().hex}")
    event.listen(Engine, "connect", trust_memory)
    try:
        MlflowClient(tracking_uri=f"sqlite:///{aside}")
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        _put_in_place(aside, database)
    finally:
        event.remove(Engine, "connect", trust_memory)
        for path in database.parent.glob(f"{aside.name}*"):
            path.unlink(missing_ok=True)


def _put_in_place(aside: Path, database: Path) -> None:
    """Somebody else's store, made meanwhile, is as good and stays."""
    try:
        os.link(aside, database)
    except FileExistsError:
        return
    except OSError:
        # File systems without hard links.
        if not database.exists():
            aside.rename(database)


def log_run(client: MlflowClient, experiment: str, record: Mapping[str, Any]) -> tuple[str, bool]:
    """Log one run, or complete one that was begun: every step can be repeated.

    Returns:
        MLflow's run id, and whether all of it had been there already.
    """
    from mlflow.entities import Metric, Param, RunTag

    started = int(record["started_at"] * 1000)
    ended = int(record["ended_at"] * 1000)
    found = client.search_runs(
        [experiment], filter_string=f"tags.`{_KEY}` = '{record['run_key']}'", max_results=1
    )
    if found and found[0].data.tags.get(_COMPLETE) == "true":
        return found[0].info.run_id, True
    if found:
        run_id = found[0].info.run_id
    else:
        name = "/".join(filter(None, [record["stage"], record["strategy"], record["run_id"]]))
        run = client.create_run(
            experiment, start_time=started, tags={_KEY: record["run_key"]}, run_name=name
        )
        run_id = run.info.run_id

    params = [Param(key, value) for key, value in parameters(record).items()]
    for start in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=params[start : start + _PARAMS_PER_BATCH])
    metrics = [Metric(key, value, ended, 0) for key, value in figures(record).items()]
    metrics += [Metric(key, value, ended, step) for key, step, value in steps(record)]
    for start in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])
    values = {**tags(record), **_parent(client, experiment, record)}
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in values.items()])
    datasets = list(_datasets(record))
    if datasets:
        client.log_inputs(run_id, datasets=datasets)
    for part in ("configuration", "policy"):
        if record[part]:
            client.log_dict(run_id, record[part], f"{part}.json")
    client.log_dict(run_id, dict(record), "run.json")
    for entry in record.get("artifacts", ()):
        _log_file(client, run_id, entry)
    client.set_terminated(run_id, status(record), ended)
    client.set_tag(run_id, _COMPLETE, "true")
    return run_id, False


def status(record: Mapping[str, Any]) -> str:
    """How MLflow calls the run's end."""
    if record.get("interrupted"):
        return "KILLED"
    return "FAILED" if record["failed"] else "FINISHED"


def steps(record: Mapping[str, Any]) -> Iterator[tuple[str, int, float]]:
    """The record's series as (metric, step, value); only finite numbers."""
    for name, points in record.get("series", {}).items():
        for step, value in points:
            if value is not None and math.isfinite(value):
                yield valid_key(name), int(step), float(value)


def _parent(client: MlflowClient, experiment: str, record: Mapping[str, Any]) -> dict[str, str]:
    """The tag by which MLflow nests a run in another.

    Raises:
        RuntimeError: the other one is not in MLflow.
    """
    key = record.get("parent")
    if not key:
        return {}
    found = client.search_runs(
        [experiment], filter_string=f"tags.`{_KEY}` = '{key}'", max_results=1
    )
    if not found:
        raise RuntimeError("the run that this one is part of is not logged yet")
    return {"mlflow.parentRunId": found[0].info.run_id}


def _log_file(client: MlflowClient, run_id: str, entry: Mapping[str, str]) -> None:
    """Upload a file of the lake under its name in MLflow."""
    from pipelines.storage import Storage

    folder, _, name = entry["uri"].rpartition("/")
    place, _, shown = entry["path"].rpartition("/")
    with tempfile.TemporaryDirectory() as temporary:
        local = Path(temporary, shown)
        local.write_bytes(Storage.from_uri(folder).read_bytes(name))
        client.log_artifact(run_id, str(local), place or None)


def parameters(record: Mapping[str, Any]) -> dict[str, str]:
    """Parameters with dotted keys and values that fit; nothing is cut off silently."""
    result = {}
    for key, value in _flat(record["parameters"]):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text) > VALUE_LIMIT:
            text = f"{text[: VALUE_LIMIT - 40]}… (all of it: run.json)"
        result[valid_key(key)] = text
    return result


def figures(record: Mapping[str, Any]) -> dict[str, float]:
    """Overall figures, and those by data type as `figure/data_type`; only finite numbers."""
    values = dict(record["metrics"])
    for data_type, metrics in record["metrics_by_type"].items():
        values |= {f"{name}/{data_type}": value for name, value in metrics.items()}
    return {
        valid_key(key): float(value)
        for key, value in values.items()
        if value is not None and math.isfinite(value)
    }


def tags(record: Mapping[str, Any]) -> dict[str, str]:
    """The record's tags and those that say where the run belongs."""
    values = {
        "gristmill.pipeline": record["pipeline"],
        "gristmill.stage": record["stage"],
        "gristmill.run_id": record["run_id"],
        "gristmill.strategy": record["strategy"] or "",
        **record["tags"],
    }
    for entry in record["inputs"]:
        values[f"gristmill.input.{entry['name']}"] = f"{entry['uri']}@{entry['version']}"
    return {valid_key(key): str(value)[:_TAG_LIMIT] for key, value in values.items()}


def valid_key(key: str) -> str:
    """A key that MLflow accepts: `@` and the like become `_at_` and `_`, and it is cut to fit."""
    return _BAD_IN_KEY.sub("_", key.replace("@", "_at_"))[:_KEY_LIMIT].strip("/") or "_"


def _datasets(record: Mapping[str, Any]) -> Iterator[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for entry in record["inputs"]:
        source = json.dumps({"uri": entry["uri"], "delta_version": entry["version"]})
        dataset = Dataset(
            name=str(entry["name"])[:500],
            digest=f"v{entry['version']}"[:36],
            source_type="delta_table",
            source=source,
        )
        yield DatasetInput(dataset, [InputTag("mlflow.data.context", record["stage"])])


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        inner = _by_name(item) if isinstance(item, list) else item
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _by_name(items: list[Any]) -> Mapping[str, Any] | None:
    """A list of mappings with a `name` each, such as rules or sources, as a mapping by name."""
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    if None in names or len(set(map(str, names))) < len(names):
        return None
    return {
        str(name): {key: value for key, value in item.items() if key != "name"}
        for name, item in zip(names, items, strict=True)
    }


def _patiently(
    client: MlflowClient, experiment: str, record: Mapping[str, Any]
) -> tuple[str, bool]:
    """`log_run`, again where it failed at once: two runs that name the same input collide in
    MLflow's tables, and the second try finds it there."""
    started = time.monotonic()
    while True:
        try:
            return log_run(client, experiment, record)
        except Exception as error:
            if time.monotonic() - started > _PATIENCE_SECONDS or _of_server(error) is not None:
                raise
            time.sleep(0.5)


def _of_server(error: BaseException | None) -> str | None:
    """What went wrong between MLflow's client and the server; null when it was something else."""
    while error is not None:
        if isinstance(error, OSError) and type(error).__module__.startswith("requests"):
            text = str(error)
            if late := _TIMED_OUT.search(text):
                return f"it did not answer within {late[1]} s"
            if told := _CAUSED_BY.search(text):
                return f"it cannot be reached ({told[1]})"
            if codes := _RESPONSES.search(text):
                return f"it answers with HTTP status {codes[1]}"
            return f"it cannot be reached ({type(error).__name__})"
        error = error.__cause__ or error.__context__
    return None


def _message(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{error}; install it with: pip install 'gristmill[transform]'"
    if told := _of_server(error):
        return told
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:500]}"


def _answer(stream: Any, record: Mapping[str, Any], **answer: Any) -> None:
    print(json.dumps({"run_key": record["run_key"], **answer}), file=stream, flush=True)


if __name__ == "__main__":
    sys.exit(main())
