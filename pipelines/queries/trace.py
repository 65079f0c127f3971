"""A chunk's whole lineage: back to the source's bytes, and what made it on the way."""

from __future__ import annotations

from typing import Any

from lineage.records import embedded_text
from pipelines.config import Config
from pipelines.facts import document_facts, document_key, source_roots
from pipelines.queries.find import document_row, find_chunk
from pipelines.queries.history import runs_of_chunk
from pipelines.queries.passage import byte_span, content, passage, places
from pipelines.queries.status import sink_status
from pipelines.shapes import read_shapes
from pipelines.tables import Lake


def trace(config: Config, chunk_id: str, strategy: str | None = None) -> dict[str, Any]:
    """Everything about the chunk whose id is or begins with `chunk_id`.

    `source.bytes` are the bytes of the source file that the text is, half-open, where it is
    such; `places` the pages, boxes (points from the top left corner) and locators that it stands
    at; `warnings` what the parser warned of when it read the document; `chunker.parameters` are
    given where the configuration still has the rule that made it; `history` has every run that
    touched it, and `passage` its text between what is around it.
    `checks` says whether the promises hold for this chunk right now: its text is the span of the
    document's text, it is within its cap, and its rights are the document's.

    Raises:
        ConfigError: the id is too short or means several chunks.
        TerminalError: there is no such current chunk.
    """
    from chunkers.counting import count_tokens

    name, chunk = find_chunk(config, chunk_id, strategy)
    lake = Lake(config.lake)
    document = document_row(lake, chunk["document_id"])
    lineage = chunk["lineage"] or {}
    roots = source_roots(config.sources)
    found = content(lake, chunk["document_id"], lineage.get("content_seq"))
    text, blocks = found or (None, [])
    encoding = lineage.get("encoding") or config.strategy(name).encoding
    tokens = count_tokens(embedded_text(chunk["context"] or "", chunk["text"]), encoding)
    policy = config.strategy(name).policy
    shape = None
    if policy.needs_shape and document["content_seq"] is not None:
        contents = {chunk["document_id"]: document["content_seq"]}
        shape = read_shapes(lake.documents, contents).get(chunk["document_id"])
    sinks = [sink for sink in config.sinks if sink.strategy == name]
    history = runs_of_chunk(lake, name, chunk, [sink.name for sink in sinks])
    return {
        "chunk_id": chunk["chunk_id"],
        "strategy": name,
        "text": chunk["text"],
        "context": chunk["context"],
        "position": {
            key: chunk[key]
            for key in ("start", "end", "ordinal", "level", "granularity", "parent_chunk_id",
                        "overlap_chars", "page_first", "page_last")
        },
        "parents": parents_of(lake, name, chunk),
        "heading_path": chunk["heading_path"],
        "size": {"tokens": chunk["token_count"], "max_tokens": chunk["max_tokens"],
                 "characters": len(chunk["text"]), "encoding": encoding},
        "source": {
            "name": document["source"],
            "key": document_key(document["source_uri"], roots.get(document["source"])),
            "uri": lineage.get("source_uri"),
            "version": lineage.get("source_version"),
            "sha256": lineage.get("content_sha256"),
            "modified_at": document["source_modified_at"],
            "span_of_source": document["text_is_source"],
            "bytes": None
            if text is None
            else byte_span(document, text, chunk["start"], chunk["end"]),
        },
        "places": places(blocks, chunk["start"], chunk["end"]),
        "document": {
            key: document[key]
            for key in ("document_id", "title", "media_type", "data_type", "language", "size_bytes",
                        "source_encoding", "bom_bytes")
        } | {"seq": lineage.get("document_seq"), "content_seq": lineage.get("content_seq")},
        "parser": lineage.get("parser"),
        "warnings": document["warnings"] or [],
        "chunker": {
            "name": lineage.get("chunker"),
            "version": lineage.get("chunker_version"),
            "rule": lineage.get("rule"),
            "parameters_hash": lineage.get("parameters_hash"),
            "parameters": _parameters(config, name, lineage),
            "rule_now": policy.route(document_facts(document, roots, shape)).rule,
        },
        "acl": chunk["acl"],
        "labels": chunk["labels"],
        "quality": chunk["quality"],
        "runs": {
            "ingest": lineage.get("ingest_run_id"),
            "transform": lineage.get("transform_run_id"),
            "load": {run["sink"]: run["run_id"] for run in history if run["stage"] == "load"},
            "written_at": chunk["written_at"],
        },
        "history": history,
        "sinks": {
            sink.name: (sink_status(lake, sink)["position"] or 0) >= chunk["seq"]
            for sink in sinks
        },
        "passage": None if text is None else passage(text, chunk["start"], chunk["end"]),
        "checks": {
            "text_is_span": text is not None
            and text[chunk["start"] : chunk["end"]] == chunk["text"],
            "within_cap": tokens <= chunk["max_tokens"] and tokens == chunk["token_count"],
            "acl_is_documents": (chunk["acl"] or {}).get("fingerprint")
            == (document["acl"] or {}).get("fingerprint"),
            "source_unchanged": lineage.get("source_version") == document["source_version"],
        },
    }  # fmt: skip


def _parameters(config: Config, strategy: str, lineage: dict[str, Any]) -> dict[str, Any] | None:
    """The parameters behind a parameters hash, if the configuration still leads to it."""
    from chunkers.registry import build

    settings = config.strategy(strategy)
    wanted = lineage.get("parameters_hash")
    for rule in (settings.policy.default, *settings.policy.rules):
        route = rule.route()
        chunker = build(route.chunker, route.parameters, max_tokens=settings.max_tokens)
        found = route.parameters_hash(settings.encoding, settings.max_tokens, chunker.version)
        if found == wanted:
            return {"chunker": route.chunker, **route.parameters}
    return None


def parents_of(lake: Lake, strategy: str, chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """The larger chunks around a chunk, the nearest first."""
    if chunk["parent_chunk_id"] is None:
        return []
    columns = ["chunk_id", "document_id", "parent_chunk_id", "level", "granularity", "start", "end",
               "token_count", "text"]  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for rows in lake.chunks(strategy).chunk_batches({chunk["document_id"]: chunk["seq"]}, columns):
        found |= {row["chunk_id"]: row for row in rows.to_pylist()}
    parents: list[dict[str, Any]] = []
    above = chunk["parent_chunk_id"]
    while above in found and len(parents) < len(found):
        parents.append(found[above])
        above = found[above]["parent_chunk_id"]
    return parents
