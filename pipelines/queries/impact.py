"""What came of a document, and what it came from: its versions, chunks, strategies and sinks."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from lineage import Acl, TerminalError
from pipelines.config import Config, SinkConfig
from pipelines.facts import document_key, source_roots
from pipelines.queries import history
from pipelines.queries.find import (
    document_row,
    find_document,
    known_documents,
    require_documents,
)
from pipelines.queries.status import sink_status
from pipelines.tables import Lake
from pipelines.upkeep import loads


def impact(config: Config, target: str) -> dict[str, Any]:
    """Everything that depends on the document that `target` means, and that it depends on.

    Args:
        config: the pipeline.
        target: as for `find_document`; documents that were deleted are found, too. Or a file of
            rights (`_acl.yaml`, `NAME.acl.yaml`): then the answer is `acl_file` and the
            `documents` whose rights come from it.

    Raises:
        ConfigError: nothing was ingested yet, or `target` means several documents.
        TerminalError: the lake knows no such document.
    """
    lake = require_documents(config)
    found = find_document(config, target, deleted=True)
    if found is None:
        governed = _governed(config, lake, target)
        if governed is not None:
            return governed
        raise TerminalError(
            f"the lake {config.lake} knows no document {target!r}. Name it by its URI, by its key "
            "within its source, or by its id; `gristmill export` lists them"
        )
    document = document_row(lake, found["document_id"])
    rows = history.versions(lake, document["document_id"])
    return {
        "document_id": document["document_id"],
        "uri": document["source_uri"],
        "state": document["op"],
        "title": document["title"],
        "from": _upstream(config, document),
        "versions": [_version(row) for row in rows],
        "strategies": {
            name: _strategy(config, lake, name, document)
            for name in _strategies(config, lake)
            if lake.chunks(name).exists
        },
        "sinks": _sinks(config, lake, document),
        "runs": sorted({row["run_id"] for row in rows if row["run_id"]}),
    }


def _governed(config: Config, lake: Lake, target: str) -> dict[str, Any] | None:
    """The documents whose rights come from the ACL file that `target` means; null for none."""
    roots = source_roots(config.sources)
    uri = Path(target).absolute().as_uri() if "://" not in target else target
    keys = {source: {target, document_key(uri, root)} for source, root in roots.items()}
    rows = known_documents(lake, ("document_id", "source", "source_uri", "op", "acl"))
    found = []
    for row in rows.select(["document_id", "source", "source_uri", "op", "acl"]).to_pylist():
        origin = row["acl"]["origin"] or ""
        written, _, path = origin.partition(":")
        # After the path may stand its version, what it was translated by, or what is wrong.
        path = re.split(r"@| names:|: ", path)[0]
        if written == "sidecar" and path in keys.get(row["source"], {target}):
            found.append(
                {"document_id": row["document_id"], "uri": row["source_uri"],
                 "state": row["op"], "acl": row["acl"]}
            )  # fmt: skip
    if not found:
        return None
    return {"acl_file": target, "documents": sorted(found, key=lambda one: one["uri"])}


def _upstream(config: Config, document: dict[str, Any]) -> dict[str, Any]:
    """What has to change for the document to change."""
    configured = {source.name: source for source in config.sources}
    source = configured.get(document["source"])
    parser = document["parser"] or {}
    acl = Acl.from_dict(document["acl"])
    return {
        "source": document["source"],
        "key": document_key(
            document["source_uri"], source_roots(config.sources).get(document["source"])
        ),
        "configured": source is not None,
        "source_uri": source.uri if source is not None else None,
        "version": document["source_version"],
        "sha256": document["content_sha256"],
        "parser": {"name": parser["name"], "version": parser["version"]}
        if parser.get("name")
        else None,
        "warnings": document["warnings"] or [],
        "acl": {"state": acl.state, "origin": acl.origin, "as_of": document["acl_as_of"]},
        "labels": document["labels"],
    }


def _version(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "seq": row["seq"], "op": row["op"], "content_seq": row["content_seq"],
        "version": row["source_version"], "sha256": row["content_sha256"],
        "size_bytes": row["size_bytes"], "modified_at": row["source_modified_at"],
        "parser": row["parser"], "warnings": row["warnings"] or [], "acl": row["acl"],
        "error": row["error"],
        "run_id": row["run_id"], "written_at": row["written_at"],
    }  # fmt: skip


def _strategies(config: Config, lake: Lake) -> list[str]:
    """Those of the configuration, then those that are only in the lake."""
    configured = [strategy.name for strategy in config.strategies]
    left = [name for name in (lake.storage / "chunks").folders() if name not in configured]
    return configured + left


def _strategy(config: Config, lake: Lake, name: str, document: dict[str, Any]) -> dict[str, Any]:
    heads = history.headers(lake, name, document["document_id"])
    upserts = [head["seq"] for head in heads if head["op"] == "upsert"]
    gone = not heads or heads[-1]["op"] in ("delete", "reject")
    table = lake.chunks(name)
    chunks: list[dict[str, Any]] = []
    if upserts and not gone:
        columns = ["chunk_id", "document_id", "seq", "op", "ordinal", "start", "end", "token_count"]
        for rows in table.chunk_batches({document["document_id"]: upserts[-1]}, columns):
            chunks += [
                {key: row[key] for key in ("chunk_id", "ordinal", "start", "end", "token_count")}
                for row in rows.to_pylist()
            ]
    configured = {strategy.name: strategy for strategy in config.strategies}
    position = table.position(configured[name].consumer()) if name in configured else None
    lineage = (heads[-1]["lineage"] or {}) if heads else {}
    return {
        "configured": name in configured,
        "up_to_date": bool(heads) and (position or 0) >= document["seq"],
        "rule": lineage.get("rule"),
        "chunker": lineage.get("chunker"),
        "chunks": sorted(chunks, key=lambda chunk: chunk["ordinal"]),
        "commits": [
            {
                "seq": head["seq"], "op": head["op"], "chunks": head["chunk_count"],
                "document_seq": (head["lineage"] or {}).get("document_seq"),
                "run_id": (head["lineage"] or {}).get("transform_run_id"),
                "written_at": head["written_at"],
            }
            for head in heads
        ],
    }  # fmt: skip


def _sinks(config: Config, lake: Lake, document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    result = {}
    for sink in config.sinks:
        heads = history.headers(lake, sink.strategy, document["document_id"])
        at = sink_status(lake, sink)
        newest = heads[-1]["seq"] if heads else 0
        last = _last_load(lake, sink, newest) if newest else None
        result[sink.name] = {
            "kind": sink.kind,
            "uri": sink.uri,
            "strategy": sink.strategy,
            "position": at["position"],
            "up_to_date": (at["position"] or 0) >= newest > 0,
            "run_id": last.run_id if last else None,
            "loaded_at": datetime.fromisoformat(last.at) if last else None,
        }
    return result


def _last_load(lake: Lake, sink: SinkConfig, seq: int) -> loads.Load | None:
    """The load that last brought a commit of the strategy's chunks into the sink."""
    origin = lake.chunks(sink.strategy).identity
    done = loads.of_commit(loads.of(lake.storage.uri, sink.name), origin, seq)
    return done[-1] if done else None
