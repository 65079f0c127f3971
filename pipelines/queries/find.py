"""Finding documents and chunks of a lake by what a person has at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lineage.errors import ConfigError, TerminalError
from lineage.schemas import DOCUMENT_LARGE, DOCUMENTS
from pipelines.config import Config
from pipelines.facts import document_key, source_roots
from pipelines.tables import Lake, iter_chunks, newest_documents

SMALL_COLUMNS = tuple(name for name in DOCUMENTS.names if name not in DOCUMENT_LARGE)
_SHORTEST_PREFIX = 4
_SHOWN = 10


def require_documents(config: Config) -> Lake:
    """The lake; raises ConfigError when nothing was ever ingested into it."""
    lake = Lake(config.lake)
    if not lake.documents.exists:
        raise ConfigError(
            f"there is no documents table in the lake {config.lake}. Run "
            f"`gristmill ingest {config.path}` first, or correct `lake`."
        )
    return lake


def known_documents(lake: Lake, columns: Sequence[str] = SMALL_COLUMNS) -> pa.Table:
    """The newest row of each document that was not deleted, small columns only."""
    rows = newest_documents(lake.documents, list(dict.fromkeys([*columns, "op"])))
    return rows.filter(pc.not_equal(rows["op"], "delete"))


def find_document(config: Config, target: str, *, deleted: bool = False) -> dict[str, Any] | None:
    """The newest row of the document that `target` means; null when it means none.

    `target` is a document id or the beginning of one, a source URI, a local path, or a key
    relative to its source's root. With `deleted`, documents that were deleted are found, too.

    Raises:
        ConfigError: it means several documents; the message lists them.
    """
    lake = Lake(config.lake)
    if not lake.documents.exists:
        return None
    columns = ("document_id", "source", "source_uri")
    rows = newest_documents(lake.documents, columns) if deleted else known_documents(lake, columns)
    roots = source_roots(config.sources)
    uri = Path(target).absolute().as_uri() if "://" not in target else target
    exact: list[str] = []
    looser: list[str] = []
    names: dict[str, str] = {}
    for identifier, source, source_uri in zip(
        *(rows[name].to_pylist() for name in ("document_id", "source", "source_uri")), strict=True
    ):
        names[identifier] = source_uri
        if identifier == target or source_uri in (target, uri):
            exact.append(identifier)
        elif document_key(source_uri, roots.get(source)) == target or (
            len(target) >= _SHORTEST_PREFIX and identifier.startswith(target)
        ):
            looser.append(identifier)
    found = exact or looser
    if not found:
        return None
    if len(found) > 1:
        listed = "\n".join(f"  {i}  {names[i]}" for i in found[:_SHOWN])
        raise ConfigError(f"{target!r} means {len(found)} documents; name one by its id:\n{listed}")
    return document_row(lake, found[0])


def document_row(lake: Lake, document_id: str) -> dict[str, Any]:
    """The newest row of a document, small columns, as plain values.

    Raises:
        TerminalError: the lake knows no such document.
    """
    rows = newest_documents(lake.documents, SMALL_COLUMNS)
    rows = rows.filter(pc.equal(rows["document_id"], document_id))
    if not rows.num_rows:
        raise TerminalError(f"the lake {lake.storage.uri} knows no document {document_id!r}")
    row: dict[str, Any] = rows.to_pylist()[0]
    row["labels"] = dict(row["labels"] or ())
    return row


def find_chunk(
    config: Config, prefix: str, strategy: str | None = None
) -> tuple[str, dict[str, Any]]:
    """The strategy and the row of the current chunk whose id begins with `prefix`.

    Raises:
        ConfigError: the prefix is too short or means several chunks.
        TerminalError: no current chunk's id begins so.
    """
    if len(prefix) < _SHORTEST_PREFIX:
        raise ConfigError(
            f"{prefix!r} is too short: give at least {_SHORTEST_PREFIX} characters of the chunk id"
        )
    lake = require_documents(config)
    names = [config.strategy(strategy).name] if strategy else [s.name for s in config.strategies]
    found: list[tuple[str, str, str]] = []
    for name in names:
        if not lake.chunks(name).exists:
            continue
        for rows in iter_chunks(lake, name, ["chunk_id", "document_id"]):
            hits = rows.filter(pc.starts_with(rows["chunk_id"], prefix.lower()))
            found += [(name, r["chunk_id"], r["document_id"]) for r in hits.to_pylist()]
    if not found:
        raise TerminalError(
            f"no current chunk of {', '.join(names)} has an id beginning with {prefix!r}. "
            f"{_history(lake, names, prefix)}"
        )
    if len(found) > 1:
        listed = "\n".join(f"  {chunk}  {name}" for name, chunk, _ in found[:_SHOWN])
        raise ConfigError(f"{prefix!r} begins the ids of {len(found)} chunks; give more:\n{listed}")
    name, chunk, document = found[0]
    return name, _chunk_row(lake, name, chunk, document)


def _chunk_row(lake: Lake, strategy: str, chunk_id: str, document_id: str) -> dict[str, Any]:
    table = lake.chunks(strategy)
    heads = table.headers()
    head = heads.filter(pc.equal(heads["document_id"], document_id)).to_pylist()[0]
    for rows in table.chunk_batches({document_id: head["upsert_seq"]}):
        for row in rows.filter(pc.equal(rows["chunk_id"], chunk_id)).to_pylist():
            # ACL and labels are the document's current ones, not those of when it was chunked.
            return {**row, "acl": head["acl"], "labels": dict(head["labels"] or ())}
    raise TerminalError(f"chunk {chunk_id} disappeared while it was read: run the command again")


def _history(lake: Lake, names: Sequence[str], prefix: str) -> str:
    """Whether there once was such a chunk."""
    from pipelines.tables.reading import scan

    for name in names:
        for rows in scan(lake.chunks(name), ["chunk_id", "document_id", "seq"]):
            hits = rows.filter(
                pc.fill_null(pc.starts_with(rows["chunk_id"], prefix.lower()), False)
            )
            if hits.num_rows:
                hit = hits.slice(0, 1).to_pylist()[0]
                return (
                    f"{hit['chunk_id']} was written by commit {hit['seq']} of {name!r} and has "
                    f"been replaced or withdrawn since; its document is {hit['document_id']}."
                )
    return "Take it from `gristmill search` or `gristmill export`."
