"""Where else than in tables and sinks a document may have left traces, and how they are removed.

Each eraser is a function of what is to be erased and answers what it did, place by place. A new
kind of place is one more function in `ERASERS`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.config import Config
from pipelines.facts import document_key, source_roots
from pipelines.steps import step
from pipelines.storage import Storage
from pipelines.tables import Lake

_FRAGMENT = 40
_MOST_FRAGMENTS = 5000
_KNOWN_FOLDERS = ("documents", "chunks", "vectors", "_batches", "_sinks", "_forgotten", "_usage")
_LARGEST_FILE = 256 << 20


@dataclass(frozen=True, slots=True)
class Trace:
    """What a document looks like in other places."""

    document_id: str
    uris: tuple[str, ...]
    chunk_ids: tuple[str, ...]
    texts: tuple[str, ...]
    """All texts of chunks that it ever had, as they were embedded."""

    def needles(self, *, ids: bool = True) -> list[bytes]:
        """What to look for in files of any kind, as plain, JSON and HTML text.

        Args:
            ids: its own id and those of its chunks as well, which are hashes and say nothing by
                themselves: they tell a file that speaks of it.
        """
        fragments = {
            " ".join(line.split())[:_FRAGMENT]
            for text in self.texts
            for line in text.splitlines()
            if len(" ".join(line.split())) >= _FRAGMENT
        }
        hashes = [self.document_id, *self.chunk_ids] if ids else []
        plain = [*hashes, *self.uris, *sorted(fragments)]
        forms = {
            form.encode()
            for text in plain[:_MOST_FRAGMENTS]
            for form in (text, html.escape(text), json.dumps(text)[1:-1])
        }
        return sorted(forms)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one place."""

    place: str
    erased: bool
    detail: str


Eraser = Callable[[Config, Trace], Iterator[Outcome]]


def erase_vectors(config: Config, trace: Trace) -> Iterator[Outcome]:
    """Vectors of its chunks' texts, and of whatever else was embedded for it: its sentences, the
    chunks of strategies that were only tried."""
    folder = Lake(config.lake).vectors
    if not folder.exists():
        return
    from pipelines.embedding.cache import VectorCache, text_key

    keys = sorted({text_key(text) for text in trace.texts})
    with step("erase"):
        removed = VectorCache(folder).forget(keys, trace.document_id)
    yield Outcome("vectors", True, f"{removed} vectors of its texts, and the files they were in")


def erase_lake_tables(config: Config, trace: Trace) -> Iterator[Outcome]:
    """Rows of any other Delta table in the lake that name the document or one of its chunks."""
    from deltalake import DeltaTable

    lake = Storage.from_uri(config.lake)
    for name in _delta_folders(lake):
        folder = lake / name
        delta = DeltaTable(folder.uri, storage_options=folder.delta_options())
        columns = {field.name for field in delta.schema().fields}
        terms = []
        if "document_id" in columns:
            terms.append(f"document_id = '{trace.document_id}'")
        if "chunk_id" in columns and trace.chunk_ids:
            among = ", ".join(f"'{identifier}'" for identifier in trace.chunk_ids)
            terms.append(f"chunk_id IN ({among})")
        if not terms:
            yield Outcome(name, False, "a table without document_id or chunk_id: look yourself")
            continue
        with step("erase"):
            counts = delta.delete(" OR ".join(terms))
            delta.vacuum(
                retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True
            )
            _cut_log(folder, delta)
        yield Outcome(name, True, f"{counts.get('num_deleted_rows', 0)} rows, and their history")


def erase_files(config: Config, trace: Trace) -> Iterator[Outcome]:
    """Reports and records in the lake that hold a piece of it: the whole file goes."""
    lake = Storage.from_uri(config.lake)
    needles = trace.needles()
    tables = set(_delta_folders(lake))
    removed = 0
    for top in lake.folders():
        if top in _KNOWN_FOLDERS or top in tables:
            continue
        for name, size in (lake / top).files().items():
            if any(f"{top}/{name}".startswith(f"{table}/") for table in tables):
                continue
            if size > _LARGEST_FILE:
                yield Outcome(f"{top}/{name}", False, f"{size} bytes: look yourself")
            elif _holds((lake / top).read_bytes(name), needles):
                with step("erase"):
                    (lake / top).delete(name)
                removed += 1
    yield Outcome("reports and records in the lake", True, f"{removed} files removed")


def erase_reports(config: Config, trace: Trace) -> Iterator[Outcome]:
    """Reports of comparisons and views in the folder where they go by default."""
    from pipelines.evaluate.publish import report_place

    folder, needles, removed = report_place(config), trace.needles(), 0
    for pattern in ("compare-*.html", "view-*.html"):
        for path in folder.glob(pattern):
            if _holds(path.read_bytes(), needles):
                with step("erase"):
                    path.unlink(missing_ok=True)
                removed += 1
    if removed:
        yield Outcome(str(folder), True, f"{removed} reports removed")


def erase_mlflow(config: Config, trace: Trace) -> Iterator[Outcome]:
    """Artifacts and tags of the experiment's runs that hold a piece of it."""
    if config.mlflow is None:
        return
    place = f"MLflow experiment {config.mlflow.experiment!r}"
    database = config.mlflow.tracking_uri.removeprefix("sqlite:///")
    if database != config.mlflow.tracking_uri and not Path(database).exists():
        return
    try:
        removed, kept = _erase_from_mlflow(config, trace)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        yield Outcome(place, False, f"not reachable ({type(error).__name__}: {reason})")
        return
    yield Outcome(place, True, f"{removed} artifacts and tags removed")
    for name in kept:
        yield Outcome(f"{place}, {name}", False, "holds a piece of it and cannot be removed here")


def name_outside_files(config: Config, trace: Trace) -> Iterator[Outcome]:
    """Evidence files that the configuration names: a person wrote them, and a person edits them.

    They may name the document by its key within its source, which is too common a text to look for
    anywhere else.
    """
    roots = source_roots(config.sources).values()
    keys = {document_key(uri, root) for uri in trace.uris for root in roots}
    needles = [*trace.needles(), *(json.dumps(key).encode() for key in sorted(keys))]
    named = [(config.path.parent / value).expanduser() for value in _paths(config.raw)]
    for path in dict.fromkeys([*map(Path, config.evaluation.evidence), *named]):
        try:
            holds = path.is_file() and path.stat().st_size <= _LARGEST_FILE and path != config.path
            if holds and _holds(path.read_bytes(), needles):
                yield Outcome(str(path), False, "mentions the document; edit it yourself")
        except OSError:
            continue


ERASERS: tuple[Eraser, ...] = (
    erase_vectors,
    erase_lake_tables,
    erase_files,
    erase_reports,
    erase_mlflow,
    name_outside_files,
)


def _delta_folders(lake: Storage) -> list[str]:
    """Folders of the lake that are Delta tables of other kinds, also one level down."""
    found = []
    for top in lake.folders():
        if top in _KNOWN_FOLDERS:
            continue
        if (lake / top / "_delta_log").exists():
            found.append(top)
            continue
        below = (f"{top}/{name}" for name in (lake / top).folders())
        found += [name for name in below if (lake / name / "_delta_log").exists()]
    return found


def _cut_log(folder: Storage, delta: Any) -> None:
    """Remove the log up to now: its statistics may quote the smallest and largest values."""
    delta.update_incremental()
    delta.create_checkpoint()
    log = folder / "_delta_log"
    for name in log.list():
        number = name.partition(".")[0]
        if number.isdecimal() and int(number) < delta.version():
            log.delete(name)


def _holds(data: bytes, needles: Sequence[bytes]) -> bool:
    return any(needle in data for needle in needles)


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value and "://" not in value and "\n" not in value and len(value) < 500:
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _paths(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item)


def _erase_from_mlflow(config: Config, trace: Trace) -> tuple[int, list[str]]:
    """How many artifacts and tags were removed, and the names of what could not be."""
    import os
    import tempfile

    assert config.mlflow is not None
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    needles, said = trace.needles(), trace.needles(ids=False)
    client = MlflowClient(tracking_uri=config.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name(config.mlflow.experiment)
    removed = 0
    kept: list[str] = []
    token: str | None = None
    while experiment is not None:
        runs = client.search_runs([experiment.experiment_id], run_view_type=3, page_token=token)
        for run in runs:
            for tag, value in run.data.tags.items():
                if _holds(value.encode(), said):
                    with step("erase"):
                        client.delete_tag(run.info.run_id, tag)
                    removed += 1
            # MLflow never changes a parameter: the run has to go, with `mlflow gc` after it.
            kept += [
                f"parameter {name} of run {run.info.run_id}"
                for name, value in run.data.params.items()
                if _holds(value.encode(), said)
            ]
            repository = get_artifact_repository(run.info.artifact_uri)
            for path in list(_artifact_paths(repository, None)):
                with tempfile.TemporaryDirectory() as folder:
                    local = Path(repository.download_artifacts(path, folder))
                    if not _holds(local.read_bytes(), needles):
                        continue
                try:
                    with step("erase"):
                        repository.delete_artifacts(path)
                    removed += 1
                except Exception:
                    kept.append(f"{run.info.run_id}/{path}")
        token = runs.token
        if not token:
            break
    return removed, kept


def _artifact_paths(repository: Any, folder: str | None) -> Iterator[str]:
    for each in repository.list_artifacts(folder):
        if each.is_dir:
            yield from _artifact_paths(repository, each.path)
        else:
            yield each.path
