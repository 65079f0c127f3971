"""Applying a slice of a load to a sink: rights and deletions, or documents' chunks in merges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from lineage import Acl, TerminalError
from pipelines.beam import Lent, ProgressHandle
from pipelines.budget import BudgetExceeded
from pipelines.load.rows import CHUNK_COLUMNS
from pipelines.load.sink import Delete, LeaseLike, Narrow, Replace, SetAcl, Sink

if TYPE_CHECKING:
    from pipelines.config import SinkConfig
    from pipelines.load.vectors import Vectorizer
    from pipelines.tables.lake import ChunkTable

MERGE_BYTES = 32 << 20
"""A merge is closed once its chunk rows exceed this many bytes in memory …"""
MERGE_DOCUMENTS = 500
"""… or this many documents. Larger merges were not faster, and hold more memory; merges of one
document are tens of times slower."""
_ROW_BYTES = 500
"""About what a chunk's row takes besides its text."""

_CURE = (
    "it was changed by something else than gristmill, or files of it are missing. Restore it, "
    "or delete its folder and run `gristmill transform`"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A slice of a load."""

    headers: pa.Table
    """Documents in the columns of `pipelines.load.plan.COLUMNS`."""
    kind: Literal["rights", "narrow", "replace"]
    """Set the documents' ACLs, only narrow them, or replace their chunks."""
    delete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a worker needs to open the two ends by itself."""

    table: Lent[ChunkTable]
    """The snapshot that the load was planned on: a fold may come in between."""
    sink: SinkConfig
    origin: str
    lease: LeaseLike
    progress: ProgressHandle
    vectors: Lent[Vectorizer] | None = None


def apply_unit(unit: Unit, table: ChunkTable, sink: Sink, target: Target) -> None:
    """Apply one unit."""
    headers = unit.headers
    if unit.kind == "replace":
        vectors = target.vectors.get() if target.vectors else None
        apply_replacements(headers, table, sink, target.lease, target.progress, vectors)
    elif unit.kind == "narrow":
        apply_narrowing(headers, sink, target.lease)
    else:
        apply_revocations(unit.delete, headers, sink, target.lease)
        target.progress.advance(len(unit.delete))


def apply_revocations(
    delete: Iterable[str], headers: pa.Table, sink: Sink, lease: LeaseLike
) -> None:
    """Delete documents, and set the ACL and labels of those in `headers`."""
    lease.check()
    rights = [
        SetAcl(identifier, acl, labels) for identifier, (acl, labels) in _rights(headers).items()
    ]
    sink.apply([*(Delete(identifier) for identifier in delete), *rights])


def apply_narrowing(headers: pa.Table, sink: Sink, lease: LeaseLike) -> None:
    """Take from what the sink holds of the documents in `headers` whom they no longer permit."""
    lease.check()
    sink.apply([Narrow(identifier, acl) for identifier, (acl, _) in _rights(headers).items()])


def apply_replacements(
    headers: pa.Table,
    table: ChunkTable,
    sink: Sink,
    lease: LeaseLike,
    progress: ProgressHandle,
    vectors: Vectorizer | None = None,
    *,
    merge_bytes: int | None = None,
    merge_documents: int | None = None,
) -> None:
    """Replace the chunks of the documents in `headers`, in merges of bounded size.

    The bounds are `MERGE_BYTES` and `MERGE_DOCUMENTS` unless given. With `vectors`, chunks get
    their vectors first; once the budget allows no more, `vectors.stopped` says so and the rest is
    left.

    Raises:
        TerminalError: the chunk table does not hold as many chunks as a header says; what was
            merged before stays, and the position does not move.
    """
    rights = _rights(headers)
    most_bytes = merge_bytes or MERGE_BYTES
    most_documents = merge_documents or MERGE_DOCUMENTS
    merge: list[Replace] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if merge and (vectors is None or vectors.stopped is None):
            complete = merge if vectors is None else _with_vectors(merge, vectors)
            lease.check()
            sink.apply(complete)
            progress.advance(len(complete))
        merge.clear()
        size = 0

    for identifier, rows in documents(headers, table):
        if vectors is not None and vectors.stopped is not None:
            break
        # The table's slices share their row group's memory: a copy of the bytes is what counts.
        # Text is nearly all of it, and asking one column is many times faster than asking all.
        taken = rows["text"].nbytes + _ROW_BYTES * rows.num_rows
        if merge and (len(merge) >= most_documents or size + taken > most_bytes):
            flush()
        merge.append(Replace(identifier, rows, *rights[identifier]))
        size += taken
    flush()


def _with_vectors(merge: list[Replace], vectors: Vectorizer) -> list[Replace]:
    """As many of the changes as the budget allows, with their vectors."""
    try:
        return vectors.add(merge)
    except BudgetExceeded as error:
        if len(merge) == 1:
            vectors.stopped = str(error)
            return []
    half = len(merge) // 2
    first = _with_vectors(merge[:half], vectors)
    return first if vectors.stopped else first + _with_vectors(merge[half:], vectors)


def documents(headers: pa.Table, table: ChunkTable) -> Iterator[tuple[str, pa.Table]]:
    """Each document's chunk rows, complete, one document after the other.

    The rows of a document stand together in one part file but may go over several row groups.
    Their number is checked against the header, when that is the one of the chunking itself.
    """
    ids, seqs, ops, counts = (
        headers[name].to_pylist() for name in ("document_id", "upsert_seq", "op", "chunk_count")
    )
    expected = {
        identifier: count
        for identifier, op, count in zip(ids, ops, counts, strict=True)
        if op == "upsert"
    }
    left = {
        identifier: seq
        for identifier, seq in zip(ids, seqs, strict=True)
        if expected.get(identifier) != 0
    }
    grouped = _grouped(table.chunk_batches(dict(left), CHUNK_COLUMNS) if left else iter(()))
    for identifier, rows in grouped:
        if left.pop(identifier, None) is None:
            raise TerminalError(
                f"table {table.name!r} holds the chunks of document {identifier} in two places; "
                f"{_CURE}"
            )
        _check_count(table, identifier, rows.num_rows, expected)
        yield identifier, rows
    empty = table.schema.empty_table().select(CHUNK_COLUMNS)
    for identifier in left:
        _check_count(table, identifier, 0, expected)
    for identifier in ids:
        if identifier in left or expected.get(identifier) == 0:
            yield identifier, empty


def _grouped(batches: Iterable[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """Join the rows of each document, which follow each other."""
    open_id: str | None = None
    parts: list[pa.Table] = []
    for batch in batches:
        for identifier, rows in _runs(batch):
            if open_id is not None and identifier != open_id:
                yield open_id, pa.concat_tables(parts)
                parts = []
            open_id = identifier
            parts.append(rows)
    if open_id is not None:
        yield open_id, pa.concat_tables(parts)


def _runs(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Cut a table where `document_id` changes."""
    ids = rows["document_id"].to_pylist()
    start = 0
    for row in range(1, len(ids) + 1):
        if row == len(ids) or ids[row] != ids[start]:
            yield ids[start], rows.slice(start, row - start)
            start = row


def _rights(headers: pa.Table) -> dict[str, tuple[Acl, dict[str, str]]]:
    acls: dict[str, Acl] = {}
    rights = {}
    for identifier, acl, labels in zip(
        *(headers[name].to_pylist() for name in ("document_id", "acl", "labels")), strict=True
    ):
        # Few different ACLs stand for many documents, but each has an origin of its own.
        key = repr(acl)
        if key not in acls:
            acls[key] = Acl.from_dict(acl)
        rights[identifier] = (acls[key], dict(labels or ()))
    return rights


def _check_count(
    table: ChunkTable, identifier: str, found: int, expected: Mapping[str, int]
) -> None:
    if found != expected.get(identifier, found):
        raise TerminalError(
            f"table {table.name!r} holds {found} chunks of document {identifier} where its header "
            f"says {expected[identifier]}; {_CURE}"
        )
