"""What has happened to one document: the rows that the tables hold of it, oldest first.

Folding a table (`gristmill compact`) forgets rows that newer ones have made void.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lineage import Acl
from pipelines.tables import Lake, Table
from pipelines.tables.reading import scan
from pipelines.upkeep import loads

_VERSION = (
    "seq", "op", "content_seq", "source_version", "content_sha256", "size_bytes",
    "source_modified_at", "parser", "warnings", "acl", "labels", "error", "run_id", "written_at",
)  # fmt: skip
_HEADER = ("seq", "op", "chunk_count", "token_count", "lineage", "acl", "error", "written_at")
_DID = {
    "upsert": "read the content",
    "acl": "changed rights or labels",
    "touch": "saw a new version of equal content",
}


def versions(lake: Lake, document_id: str) -> list[dict[str, Any]]:
    """Every row of a document in the documents table, large columns aside."""
    found = []
    for row in _rows(lake.documents, document_id, _VERSION):
        row["labels"] = dict(row["labels"] or ())
        row["parser"] = row["parser"] if (row["parser"] or {}).get("name") else None
        row["error"] = row["error"] if (row["error"] or {}).get("error_class") else None
        found.append(row)
    return found


def headers(lake: Lake, strategy: str, document_id: str) -> list[dict[str, Any]]:
    """Every header row of a document in a strategy's chunk table."""
    return [
        row for row in _rows(lake.chunks(strategy), document_id, _HEADER) if row["op"] != "chunk"
    ]


def chunk_commits(lake: Lake, strategy: str, document_id: str, chunk_id: str) -> list[int]:
    """The commits that wrote the chunk: its id survives edits elsewhere in the document."""
    table = lake.chunks(strategy)
    rows = _rows(table, document_id, ("seq", "op", "chunk_id"))
    return [row["seq"] for row in rows if row["chunk_id"] == chunk_id]


def runs_of_chunk(
    lake: Lake, strategy: str, chunk: dict[str, Any], sinks: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Every run that made this chunk what it is: `stage`, `run_id`, `at`, `seq`, `did`.

    Ingest runs that read the content it came from, or changed its rights or source version since;
    transform runs that wrote it, or passed changed rights on to it; load runs that put that into
    a sink, named by `sink` (null for the others).
    """
    document_id, lineage = chunk["document_id"], chunk["lineage"] or {}
    wrote = chunk_commits(lake, strategy, document_id, chunk["chunk_id"])
    found = []
    table = lake.chunks(strategy).identity
    loaded = {sink: loads.of(lake.storage.uri, sink) for sink in sinks}
    heads = [head for head in headers(lake, strategy, document_id) if head["seq"] >= wrote[0]]
    contents = {
        (head["lineage"] or {}).get("content_seq") for head in heads if head["seq"] in wrote
    } | {lineage.get("content_seq")}
    oldest = min((seq for seq in contents if seq is not None), default=0)
    for row in versions(lake, document_id):
        if row["seq"] in contents or (row["seq"] >= oldest and row["op"] in ("acl", "touch")):
            found.append(_run("ingest", row["run_id"], row, _DID.get(row["op"], row["op"])))
    for head in heads:
        run_id = (head["lineage"] or {}).get("transform_run_id")
        if head["seq"] in wrote:
            again = head["seq"] != wrote[0]
            found.append(_run("transform", run_id, head, "kept it" if again else "made it"))
        elif head["op"] == "acl":
            found.append(_run("transform", run_id, head, "passed rights or labels on"))
        else:
            continue
        found += _loads(loaded, table, head, made=head["seq"] in wrote)
    return sorted(found, key=lambda run: (run["at"], run["stage"], run["seq"]))


def _run(stage: str, run_id: str | None, row: dict[str, Any], did: str) -> dict[str, Any]:
    acl = Acl.from_dict(row["acl"])
    return {
        "stage": stage, "run_id": run_id, "at": row["written_at"], "seq": row["seq"], "did": did,
        "acl": acl.fingerprint, "sink": None,
    }  # fmt: skip


def _loads(
    loaded: Mapping[str, Sequence[loads.Load]], table: str, head: dict[str, Any], *, made: bool
) -> Iterator[dict[str, Any]]:
    """The loads, of those of each sink, that brought what a header says into it."""
    for sink, known in loaded.items():
        for number, load in enumerate(loads.of_commit(known, table, head["seq"])):
            what = "loaded it into" if made else "set rights or labels in"
            did = f"{what} {sink}{' again' if number else ''}"
            at = datetime.fromisoformat(load.at)
            yield _run("load", load.run_id, head, did) | {"at": at, "sink": sink}


def _rows(table: Table, document_id: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    if not table.exists:
        return []
    parts = []
    for rows in scan(table, ["document_id", *columns]):
        kept = rows.filter(pc.equal(rows["document_id"], document_id))
        if kept.num_rows:
            parts.append(kept.select([name for name in columns if name in kept.column_names]))
    if not parts:
        return []
    found = pa.concat_tables(parts, promote_options="default").to_pylist()
    return sorted(found, key=lambda row: row["seq"])
