"""What is installed, what is missing and what that costs, and whether the stores answer."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any

from lineage.errors import GristmillError, MissingExtra
from pipelines.config import Config
from pipelines.object_store import readable
from pipelines.queries.installation import Check, installation
from pipelines.queries.reach import check_lake
from pipelines.tracking import redacted, unreachable

PATIENCE_SECONDS = 15.0
"""How long a store may take to answer."""


def doctor(config: Config | None) -> dict[str, Any]:
    """All checks; with a config also whether its stores answer, each within bounded time."""
    checks = [*installation()]
    if config is not None:
        checks += _stores(config)
    return {
        "checks": [asdict(check) for check in checks],
        "ok": not any(check.state == "failed" for check in checks),
    }


def _stores(config: Config) -> Iterator[Check]:
    yield Check("config", "ok", str(config.path))
    azure = [u for u in (config.lake, *(s.uri for s in config.sources)) if _is_azure(u)]
    if azure:
        yield _azure_credentials()
    yield _answer("lake", partial(_lake, config))
    for source in config.sources:
        yield _answer(f"source {source.name}", partial(_source, source))
    for sink in config.sinks:
        yield _answer(f"sink {sink.name}", partial(_sink, config, sink))
    if config.mlflow:
        yield _answer("mlflow", partial(_mlflow, config))


def _is_azure(uri: str) -> bool:
    return uri.partition("://")[0].lower() in ("az", "azure", "abfs", "abfss", "adl")


def _azure_credentials() -> Check:
    names = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME",
             "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_CLIENT_ID")  # fmt: skip
    found = [name for name in names if os.environ.get(name)]
    if found:
        return Check("azure credentials", "ok", f"{', '.join(found)} in the environment")
    return Check(
        "azure credentials", "warning",
        "nothing in the environment: the signed-in identity is used",
        "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and sign in",
    )  # fmt: skip


def _answer(name: str, question: Callable[[], Check]) -> Check:
    """The check that `question` gives, or that it failed or did not answer in time."""
    found: list[Check | BaseException] = []

    def ask() -> None:
        try:
            found.append(question())
        except Exception as error:
            found.append(error)

    # A daemon: one that never answers must not keep the command from ending.
    thread = threading.Thread(target=ask, name=f"doctor {name}", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    if not found:
        return Check(
            name, "failed", f"no answer within {PATIENCE_SECONDS:g} s",
            "check the address, the network and the credentials",
        )  # fmt: skip
    answer = found[0]
    if isinstance(answer, Check):
        return answer
    if isinstance(answer, MissingExtra):
        return Check(name, "missing", str(answer))
    if isinstance(answer, ModuleNotFoundError):
        return Check(name, "missing", f"{answer.name} is not installed, so it was not asked")
    kind = "" if isinstance(answer, GristmillError) else f"{type(answer).__name__}: "
    return Check(name, "failed", f"{kind}{readable(answer)[:600]}")


def _lake(config: Config) -> Check:
    from pipelines.tables import Lake

    check_lake(config, write=True)
    table = Lake(config.lake).documents
    if not table.exists:
        return Check("lake", "ok", f"{config.lake} is empty: nothing was ingested yet")
    return Check("lake", "ok", f"{config.lake}, documents at version {table.version}")


def _source(source: Any) -> Check:
    from pipelines.ingest.sources import open_source

    first = list(islice(open_source(source).list(), 1))
    name = f"source {source.name}"
    if not first:
        return Check(name, "warning", f"{source.uri} lists no document")
    acl = first[0].acl
    if acl.state == "unknown" and ": " in acl.origin:
        return Check(
            name, "warning", f"{first[0].uri} answers, but nobody may read it: {acl.origin}"
        )
    return Check(name, "ok", f"{source.uri} answers: {first[0].uri}")


def _sink(config: Config, sink: Any) -> Check:
    from pipelines.queries.status import sink_status
    from pipelines.tables import Lake

    value = sink_status(Lake(config.lake), sink)
    name = f"sink {sink.name}"
    if value["position"] is None:
        return Check(name, "ok", f"{sink.uri}: nothing was loaded yet")
    return Check(name, "ok", f"{sink.uri}: loaded up to commit {value['position']}")


def _mlflow(config: Config) -> Check:
    assert config.mlflow is not None
    # Before the import, which reads them: no telemetry, and a server that is away fails fast.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    uri = config.mlflow.tracking_uri
    problem = unreachable(config.mlflow)
    if problem:
        return Check(
            "mlflow", "failed", f"{redacted(uri)}: {problem}",
            "start the server, or correct `mlflow.tracking_uri`; runs are kept for "
            "`gristmill publish` meanwhile",
        )  # fmt: skip
    # Of its retries it would speak to the terminal.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    if uri.startswith("sqlite:///"):
        path = uri.removeprefix("sqlite:///")
        if not os.path.exists(path):
            return Check("mlflow", "ok", f"{uri} will be made by the first run")
    from mlflow.tracking import MlflowClient

    experiment = MlflowClient(tracking_uri=uri).get_experiment_by_name(config.mlflow.experiment)
    known = "is there" if experiment else "will be made by the first run"
    return Check(
        "mlflow", "ok", f"{redacted(uri)} answers; experiment {config.mlflow.experiment!r} {known}"
    )
