"""What is installed, what is missing and what that costs, and whether the stores answer."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any, Literal

from lineage.errors import GristmillError, MissingExtra
from pipelines.config import Config
from pipelines.queries.reach import check_lake, readable

State = Literal["ok", "missing", "warning", "failed"]
PATIENCE_SECONDS = 15.0
"""How long a store may take to answer."""

_BASE = ("click", "numpy", "pyarrow", "pyromark", "PyYAML", "rich", "sentencex", "tiktoken",
         "tree-sitter")  # fmt: skip
_EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "ingest": (
        ("apache-beam", "deltalake", "charset-normalizer", "lxml", "selectolax", "pypdfium2",
         "python-calamine"),
        "the ingest stage does not run here",
    ),
    "transform": (
        ("apache-beam", "deltalake", "mlflow-skinny", "sqlalchemy", "alembic"),
        "the transform stage does not run here, and run records cannot be published",
    ),
    "load": (
        ("apache-beam", "deltalake", "lancedb"),
        "the load stage and search do not run here",
    ),
    "azure": (
        ("azure-identity", "azure-storage-blob"),
        "Azure Blob containers cannot be sources",
    ),
    "unstructured": (
        ("unstructured",),
        "`parser: unstructured` cannot be chosen, and DOC, PPT, MSG and what else only it reads "
        "are rejected",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    detail: str
    cure: str | None = None


def doctor(config: Config | None) -> dict[str, Any]:
    """All checks; with a config also whether its stores answer, each within bounded time."""
    checks = [*_installation()]
    if config is not None:
        checks += _stores(config)
    return {
        "checks": [asdict(check) for check in checks],
        "ok": not any(check.state == "failed" for check in checks),
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _installation() -> Iterator[Check]:
    system = f"{platform.system()} {platform.machine()}"
    yield Check("python", "ok", f"{platform.python_version()} on {system}")
    yield Check("gristmill", "ok", _version("gristmill") or "not installed as a package")
    missing = [name for name in _BASE if _version(name) is None]
    yield Check(
        "base", "failed" if missing else "ok",
        f"{', '.join(missing)} missing" if missing else _versions(_BASE),
        "pip install gristmill" if missing else None,
    )  # fmt: skip
    for extra, (distributions, cost) in _EXTRAS.items():
        missing = [name for name in distributions if not _installed(name)]
        if missing:
            cure = f"pip install 'gristmill[{extra}]'"
            yield Check(extra, "missing", f"{', '.join(missing)} missing: {cost}", cure)
        else:
            yield Check(extra, "ok", _versions(distributions))
    yield from _optional_parts()


def _installed(distribution: str) -> bool:
    # The full MLflow serves as well as its small part.
    names = {"mlflow-skinny": ("mlflow-skinny", "mlflow")}.get(distribution, (distribution,))
    return any(_version(name) is not None for name in names)


def _versions(distributions: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {found}" for name in distributions if (found := _version(name)))


def _optional_parts() -> Iterator[Check]:
    office = shutil.which("soffice") or shutil.which("libreoffice")
    yield (
        Check("LibreOffice", "ok", office)
        if office
        else Check(
            "LibreOffice", "missing", "DOC and PPT files are rejected (missing_dependency)",
            "install LibreOffice so that `soffice` is on the PATH",
        )
    )  # fmt: skip
    if _version("unstructured"):
        model = _version("en-core-web-sm")
        yield (
            Check("unstructured's language model", "ok", f"en-core-web-sm {model}")
            if model
            else Check(
                "unstructured's language model", "missing",
                "en-core-web-sm is not installed; a rule-based stand-in splits sentences, so "
                "unstructured tells titles from text less well (the parser's version says which)",
                "install the spaCy model en-core-web-sm into the image",
            )
        )  # fmt: skip
    yield (
        Check("gigatoken", "ok", f"{_version('gigatoken')}")
        if importlib.util.find_spec("gigatoken")
        else Check("gigatoken", "missing", "optional: tokens are counted 4 to 6 times more slowly")
    )
    grammars = _grammars()
    yield (
        Check("tree-sitter grammars", "ok", ", ".join(grammars))
        if grammars
        else Check(
            "tree-sitter grammars", "missing", "code is split by lines instead of definitions"
        )
    )


def _grammars() -> list[str]:
    from importlib.metadata import packages_distributions

    prefix = "tree_sitter_"
    names = [name for name in packages_distributions() if name.startswith(prefix)]
    return sorted(name.removeprefix(prefix) for name in names)


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
    if uri.startswith("sqlite:///"):
        path = uri.removeprefix("sqlite:///")
        if not os.path.exists(path):
            return Check("mlflow", "ok", f"{uri} will be made by the first run")
    from mlflow.tracking import MlflowClient

    experiment = MlflowClient(tracking_uri=uri).get_experiment_by_name(config.mlflow.experiment)
    known = "is there" if experiment else "will be made by the first run"
    return Check("mlflow", "ok", f"{uri} answers; experiment {config.mlflow.experiment!r} {known}")
