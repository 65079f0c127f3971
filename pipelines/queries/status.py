"""What is in a lake, and how far each stage is behind the one before it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from pipelines.config import Config, SinkConfig, StrategyConfig
from pipelines.tables import Lake, newest_documents
from pipelines.tables.lake import ChunkTable
from pipelines.upkeep.sinks import left_behind


def status(config: Config) -> dict[str, Any]:
    """Tables, counts and positions, as plain values; see the keys."""
    lake = Lake(config.lake)
    documents = _documents(config, lake)
    strategies = {s.name: _strategy(lake, s) for s in config.strategies}
    sinks = {sink.name: sink_status(lake, sink) for sink in config.sinks}
    return {
        "name": config.name,
        "lake": config.lake,
        "documents": documents,
        "strategies": strategies,
        "sinks": sinks,
        "warnings": _warnings(config, lake, documents, strategies, sinks),
    }


def _documents(config: Config, lake: Lake) -> dict[str, Any]:
    table = lake.documents
    columns = ["source", "op", "content_seq", "data_type", "acl", "warnings", "error"]
    rows = newest_documents(table, columns)
    live = rows.filter(pc.not_equal(rows["op"], "delete"))
    rejected = live.filter(pc.equal(live["op"], "reject"))
    return {
        "exists": table.exists,
        "version": table.version,
        "seq": table.seq,
        "current": live.num_rows,
        "deleted": rows.num_rows - live.num_rows,
        "rejected": rejected.num_rows,
        "warned": pc.sum(
            pc.and_(pc.is_valid(live["warnings"]), pc.is_valid(live["content_seq"]))
        ).as_py()
        or 0,
        "by_op": _count(rows["op"]),
        "by_source": _count(live["source"]),
        "by_data_type": _count(live.filter(pc.is_valid(live["content_seq"]))["data_type"]),
        "by_acl": _count(pc.struct_field(live["acl"], "state")),
        "rejected_by_class": _count(pc.struct_field(rejected["error"], "error_class")),
    }


def _strategy(lake: Lake, strategy: StrategyConfig) -> dict[str, Any]:
    table = lake.chunks(strategy.name)
    result: dict[str, Any] = {
        "exists": table.exists,
        "version": table.version,
        "seq": table.seq,
        "position": None,
        "behind": lake.documents.seq,
        "documents": 0,
        "chunks": 0,
        "tokens": 0,
        "rejected": 0,
        "by_data_type": {},
        "by_rule": {},
    }
    if not table.exists:
        return result
    position = table.position(strategy.consumer())
    result["position"] = position
    result["behind"] = lake.documents.seq - (position or 0)
    return result | _chunks(table)


def _chunks(table: ChunkTable) -> dict[str, Any]:
    from pipelines.tables.reading import scan

    heads = table.headers()
    live = heads.filter(pc.is_valid(heads["upsert_seq"]))
    rules = pc.struct_field(live["lineage"], "rule")
    current = dict(
        zip(live["document_id"].to_pylist(), live["upsert_seq"].to_pylist(), strict=True)
    )
    chunks: Counter[str] = Counter()
    tokens = 0
    names = ["document_id", "seq", "op", "data_type", "chunk_count", "token_count"]
    for rows in scan(table, names):
        upserts = rows.filter(pc.equal(rows["op"], "upsert"))
        for row in upserts.select(names).to_pylist():
            if current.get(row["document_id"]) == row["seq"]:
                chunks[row["data_type"]] += row["chunk_count"]
                tokens += row["token_count"] or 0
    return {
        "documents": live.num_rows,
        "chunks": sum(chunks.values()),
        "tokens": tokens,
        "rejected": pc.sum(pc.equal(heads["op"], "reject")).as_py() or 0,
        "by_data_type": dict(chunks.most_common()),
        "by_rule": _count(rules),
    }


def sink_status(lake: Lake, sink: SinkConfig) -> dict[str, Any]:
    """How far a sink is behind its chunk table; a null position means that it is empty."""
    from pipelines.load.open import open_sink

    table = lake.chunks(sink.strategy)
    position = open_sink(sink, table.identity).position() if table.exists else None
    return {
        "kind": sink.kind,
        "uri": sink.uri,
        "strategy": sink.strategy,
        "position": position,
        "behind": table.seq - (position or 0),
    }


def _warnings(
    config: Config,
    lake: Lake,
    documents: dict[str, Any],
    strategies: dict[str, dict[str, Any]],
    sinks: dict[str, dict[str, Any]],
) -> list[str]:
    if not documents["exists"]:
        return [f"nothing was ingested yet: run `gristmill run {config.path}`"]
    warnings = []
    configured = {source.name for source in config.sources}
    for name, count in documents["by_source"].items():
        if name not in configured:
            warnings.append(
                f"source {name!r} is not in the config, and its {count} documents stay as they are"
            )
    for name in (lake.storage / "chunks").folders():
        if name not in strategies:
            warnings.append(f"strategy {name!r} is not in the config, and its chunks stay")
    for name in left_behind(config):
        warnings.append(f"sink {name!r} is not in the config, and keeps what it holds")
    unknown = documents["by_acl"].get("unknown", 0)
    if unknown:
        warnings.append(
            f"nobody can find {unknown} of the documents, which have no readable ACL: add "
            "_acl.yaml files, or set `acl: {default: …}` on their source"
        )
    for name, value in strategies.items():
        if value["behind"]:
            warnings.append(
                f"commits that strategy {name!r} is behind: {value['behind']}; run "
                f"`gristmill transform {config.path}`"
            )
    for name, value in sinks.items():
        if value["position"] is None:
            warnings.append(
                f"sink {name!r} is empty or was lost: run `gristmill load {config.path}`"
            )
        elif value["behind"]:
            warnings.append(
                f"commits that sink {name!r} is behind: {value['behind']}; run "
                f"`gristmill load {config.path}`"
            )
    return warnings


def _count(column: Any) -> dict[str, int]:
    """Values and how often each occurs, the most frequent first."""
    return dict(Counter("none" if v is None else v for v in column.to_pylist()).most_common())
