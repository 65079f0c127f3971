"""The documents that are rejected now, by whichever stage."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from lineage.errors import ConfigError
from lineage.records import REJECT_CLASSES, TRANSIENT_CLASSES
from pipelines.config import Config
from pipelines.queries.find import known_documents, require_documents


def rejects(
    config: Config, *, error_class: str | None = None, source: str | None = None
) -> dict[str, Any]:
    """`rejects`: one entry per rejected document and stage; `by_class`: their number.

    Raises:
        ConfigError: an unknown class or source, or a lake that was never ingested into.
    """
    if error_class is not None and error_class not in REJECT_CLASSES:
        from chunkers.suggest import unknown

        raise ConfigError(unknown("reject class", error_class, REJECT_CLASSES))
    if source is not None:
        config.source(source)
    lake = require_documents(config)
    columns = ("document_id", "source", "source_uri", "data_type", "op", "content_seq",
               "size_bytes", "error", "run_id", "written_at")  # fmt: skip
    documents = known_documents(lake, columns)
    rejected = documents.filter(pc.equal(documents["op"], "reject"))
    found = [_entry(row, row, None) for row in rejected.to_pylist()]
    for strategy in config.strategies:
        heads = lake.chunks(strategy.name).headers(columns=("error",))
        heads = heads.filter(pc.equal(heads["op"], "reject"))
        ids = {row["document_id"]: row for row in heads.to_pylist()}
        wanted = documents.filter(
            pc.is_in(documents["document_id"], heads["document_id"].combine_chunks())
        )
        for row in wanted.to_pylist():
            head = ids[row["document_id"]]
            # A withdrawal because of ingest's reject is listed above already.
            if row["op"] != "reject" and head["error"]:
                found.append(_entry(row, head, strategy.name))
    found = [
        entry
        for entry in found
        if error_class in (None, entry["error_class"]) and source in (None, entry["source"])
    ]
    found.sort(key=lambda e: (e["error_class"], e["source_uri"], e["strategy"] or ""))
    counts = Counter(entry["error_class"] for entry in found)
    return {"rejects": found, "by_class": dict(counts.most_common())}


def warned(config: Config, *, source: str | None = None) -> dict[str, Any]:
    """`warned`: one entry per document that was read, and of which the parser warned.

    Raises:
        ConfigError: an unknown source, or a lake that was never ingested into.
    """
    if source is not None:
        config.source(source)
    columns = ("document_id", "source", "source_uri", "data_type", "size_bytes", "content_seq",
               "parser", "warnings", "run_id", "written_at")  # fmt: skip
    documents = known_documents(require_documents(config), columns)
    told = documents.filter(
        pc.and_(pc.is_valid(documents["warnings"]), pc.is_valid(documents["content_seq"]))
    )
    found = [row for row in told.select(columns).to_pylist() if source in (None, row["source"])]
    return {"warned": sorted(found, key=lambda row: row["source_uri"])}


def _entry(document: dict[str, Any], row: dict[str, Any], strategy: str | None) -> dict[str, Any]:
    error = row["error"] or {}
    return {
        "document_id": document["document_id"],
        "source": document["source"],
        "source_uri": document["source_uri"],
        "size_bytes": document["size_bytes"],
        "stage": error.get("stage"),
        "strategy": strategy,
        "error_class": error.get("error_class") or "none",
        "message": error.get("message"),
        "attempts": error.get("attempts"),
        "transient": error.get("error_class") in TRANSIENT_CLASSES,
        # A reject of a chunk table withdraws what was there.
        "serves_old_content": strategy is None and document["content_seq"] is not None,
        "run_id": document["run_id"],
        "written_at": row["written_at"],
    }
