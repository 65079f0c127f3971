"""The process that talks to MLflow, started by `pipelines.tracking` and killed when late.

Reads a task in JSON from stdin, and writes one line of JSON a run to stdout as it gets on.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mlflow import MlflowClient

_T = TypeVar("_T")

VALUE_LIMIT = 6_000
"""Characters of a parameter's value that MLflow keeps; the whole is in the artifacts."""
_KEY_LIMIT = 250
_TAG_LIMIT = 5_000
_PARAMS_PER_BATCH = 100
_METRICS_PER_BATCH = 1_000
_BAD_IN_KEY = re.compile(r"[^\w\-. :/]")
_KEY = "gristmill.run_key"
_COMPLETE = "gristmill.complete"


def main() -> int:
    """Log the runs of the task on stdin."""
    task = json.load(sys.stdin)
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        try:
            client, experiment = _patiently(task, lambda: connect(task))
        except Exception as error:
            # Whatever it was, it concerns all runs alike, and the driver has to be told.
            for record in task["records"]:
                _answer(answers, record, error=_message(error))
            return 0
        for record in task["records"]:
            try:
                run_id, already = log_run(client, experiment, record)
            except Exception as error:
                _answer(answers, record, error=_message(error))
            else:
                _answer(answers, record, mlflow_run_id=run_id, already=already)
    return 0


def connect(task: Mapping[str, Any]) -> tuple[MlflowClient, str]:
    """A client, and the id of the experiment, which is made when there is none.

    Raises:
        RuntimeError: the experiment was deleted in MLflow.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri, name, artifacts = task["tracking_uri"], task["experiment"], task["artifacts"]
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///").partition("?")[0]).parent.mkdir(
            parents=True, exist_ok=True
        )
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
    for start in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags(record).items()])
    datasets = list(_datasets(record))
    if datasets:
        client.log_inputs(run_id, datasets=datasets)
    for part in ("configuration", "policy"):
        if record[part]:
            client.log_dict(run_id, record[part], f"{part}.json")
    client.log_dict(run_id, dict(record), "run.json")
    client.set_terminated(run_id, "FAILED" if record["failed"] else "FINISHED", ended)
    client.set_tag(run_id, _COMPLETE, "true")
    return run_id, False


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
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _patiently(task: Mapping[str, Any], action: Callable[[], _T]) -> _T:
    """Two processes that make the tables of one fresh SQLite store at once: one of them fails,
    and finds them made when it tries again."""
    attempts = 4 if task["tracking_uri"].startswith("sqlite:") else 1
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except ImportError:
            raise
        except Exception:
            if attempt == attempts:
                raise
            time.sleep(0.5 * attempt)
    raise AssertionError("unreachable")


def _message(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{error}; install it with: pip install 'gristmill[transform]'"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:500]}"


def _answer(stream: Any, record: Mapping[str, Any], **answer: Any) -> None:
    print(json.dumps({"run_key": record["run_key"], **answer}), file=stream, flush=True)


if __name__ == "__main__":
    sys.exit(main())
