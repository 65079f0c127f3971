"""What becomes of a comparison: a report as a file, and runs in MLflow."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.errors import ConfigError
from pipelines.config import Config
from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.records import records_of
from pipelines.evaluate.report.page import report
from pipelines.evaluate.results import FOLDER
from pipelines.storage import Storage
from pipelines.tracking import Publisher, TrackingFailed, record_run

_REPORTS = "reports"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a comparison can be looked at."""

    report: Path
    mlflow_run_id: str | None = None
    """Of the run of the whole."""
    notes: tuple[str, ...] = ()
    """What the reader should know: runs that could not be logged now."""


def report_folder(config: Config, given: Path | None = None) -> Path:
    """Where reports go: as given, as configured, or beside a local lake.

    Raises:
        ConfigError: it is not writable.
    """
    folder = report_place(config) if given is None else given.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"{config.path}: reports cannot be written to {folder} ({error.strerror}): check its "
            "rights, or name another folder with --report or `evaluation: {report: FOLDER}`"
        ) from error
    return folder


def report_place(config: Config) -> Path:
    """Where reports go when nothing else is said: as configured, or beside a local lake."""
    lake = Storage.from_uri(config.lake)
    if config.evaluation.report is not None:
        return Path(config.evaluation.report)
    return (Path(lake.uri) if lake.is_local else config.path).parent / _REPORTS


def publish(made: Comparison, folder: Path) -> Outcome:
    """Write the report into `folder` and into the lake, and log the comparison.

    A tracking server that is away costs a bounded time; what it was to be told is kept in the
    lake for `gristmill publish`.
    """
    page = report(made).encode("utf-8", "replace")
    path = folder / f"compare-{made.run_id}.html"
    write_whole(path, page)
    kept = Storage.from_uri(made.config.lake) / FOLDER / _REPORTS
    kept.make_folder()
    kept.write_bytes(f"{made.run_id}.html", page)
    uri = f"{kept.uri}/{made.run_id}.html"
    if made.config.mlflow is None:
        return Outcome(path)
    return _logged(made.config, records_of(made, uri), path)


def _logged(config: Config, records: list[Mapping[str, Any]] | Any, path: Path) -> Outcome:
    publisher = Publisher(config)
    try:
        for record in records:
            record_run(config.lake, record)
            publisher.send(record)
        results = publisher.results()
    finally:
        publisher.close()
    notes = dict.fromkeys(r.message for r in results if isinstance(r, TrackingFailed))
    whole = results[0] if results else None
    run_id = None if whole is None or isinstance(whole, TrackingFailed) else whole.mlflow_run_id
    return Outcome(path, run_id, tuple(notes))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        ConfigError: the folder is not writable.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}): check the rights of {path.parent}, or "
            "name another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
