"""Stages in this process, and what readers see of tables and index after them.

What readers see goes without run ids, times and commit numbers: each view is a mapping from
document id to a value that says everything about one document.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from typing import Any

import pytest

from pipelines.tables import read_chunks, read_documents

State = dict[str, Any]


def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse and chunk in this process: no processes to start, and steps that a hook sees."""
    parse = importlib.import_module("pipelines.ingest.work").parse_pool
    chunk = importlib.import_module("pipelines.transform.work").chunk_pool
    # Whatever parses says which function does; what only prepares processes is not needed here.
    monkeypatch.setattr("pipelines.ingest.work.parse_pool", lambda _, *given: parse(0, *given))
    monkeypatch.setattr("pipelines.transform.work.chunk_pool", lambda *_, **__: chunk(0))


def eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the steps of a pipeline one after the other, without a runner.

    Building and translating a pipeline takes ten times as long as a few small documents do.
    """
    monkeypatch.setattr("pipelines.beam.run_pipeline", lambda build, _: build(Eager([])))
    monkeypatch.setattr("pipelines.load.pipeline.run_pipeline", lambda build, _: build(Eager([])))


class Eager:
    """A collection that applies a transform as soon as it is named."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __or__(self, named: Any) -> Eager:
        import apache_beam as beam

        transform = getattr(named, "transform", named)
        if isinstance(transform, beam.Create):
            return Eager(list(transform.values))
        if isinstance(transform, beam.Reshuffle):
            return self
        if isinstance(transform, beam.CombineGlobally):
            return Eager([transform.fn(self.values)])
        if isinstance(transform, beam.ParDo):
            transform.fn.setup()
            done = [out for value in self.values for out in transform.fn.process(value)]
            transform.fn.teardown()
            return Eager(done)
        found: Eager = transform.expand(self)
        return found


def documents_of(project: Any) -> State:
    """The current documents."""
    columns = ["document_id", "source_uri", "op", "text", "acl", "labels", "title", "data_type",
               "content_sha256", "error"]  # fmt: skip
    lake = project.lake
    if not lake.documents.exists:
        return {}
    return {
        row["document_id"]: (
            row["source_uri"],
            row["error"]["error_class"] if row["op"] == "reject" else None,
            row["text"],
            _acl(row["acl"]),
            tuple(sorted(row["labels"] or ())),
            row["title"],
            row["data_type"],
            row["content_sha256"],
        )
        for row in read_documents(lake, columns).to_pylist()
    }


def chunks_of(project: Any, strategy: str = "default") -> State:
    """The current chunks of each document, in order."""
    lake = project.lake
    if not lake.chunks(strategy).exists:
        return {}
    found: dict[str, list[Any]] = defaultdict(list)
    for row in read_chunks(lake, strategy).to_pylist():
        found[row["document_id"]].append(
            (
                row["ordinal"],
                row["chunk_id"],
                row["start"],
                row["end"],
                row["text"],
                row["context"],
                _acl(row["acl"]),
                tuple(sorted(row["labels"] or ())),
                row["lineage"]["content_sha256"],
                row["lineage"]["source_uri"],
            )
        )
    return {key: tuple(sorted(rows)) for key, rows in found.items()}


def index_of(project: Any, folder: str = "state/index") -> State:
    """The rows of the index for each document, in order, read by LanceDB itself."""
    import lancedb

    if not (project.root / folder / "chunks.lance").exists():
        return {}
    found: dict[str, list[Any]] = defaultdict(list)
    table = lancedb.connect(project.root / folder).open_table("chunks")
    for row in table.search().limit(1_000_000).to_list():
        found[row["document_id"]].append(
            (
                row["ordinal"],
                row["chunk_id"],
                row["start"],
                row["end"],
                row["text"],
                row["acl_state"],
                *(tuple(row[name]) for name in ("allow_users", "allow_groups", "deny_users")),
                tuple(row["labels"]),
                row["content_sha256"],
            )
        )
    return {key: tuple(sorted(rows)) for key, rows in found.items()}


def everything(project: Any) -> dict[str, State]:
    """All three."""
    return {
        "documents": documents_of(project),
        "chunks": chunks_of(project),
        "index": index_of(project),
    }


def _acl(value: dict[str, Any]) -> tuple[Any, ...]:
    return (value["state"], value["fingerprint"])
