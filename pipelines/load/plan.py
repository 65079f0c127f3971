"""What a load has to do, worked out from header rows alone: pure, and small in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

WITHDRAWN = ("delete", "reject")
"""Headers after which a document has no chunks."""

RIGHTS_CHUNKS = 20_000
"""Chunks in one update of ACLs: a sink may have to write their rows anew, text included."""

COLUMNS = ("document_id", "op", "upsert_seq", "chunk_count", "acl", "labels")


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of a load, in the order of application. All tables have `COLUMNS`."""

    delete: tuple[str, ...]
    """Ids of documents that lose their chunks."""
    set_acl: pa.Table
    """Documents whose ACL or labels changed, and nothing else."""
    replace: pa.Table
    """Documents whose chunks changed, ordered by where their chunks are."""

    @property
    def documents(self) -> int:
        """How many documents the load touches."""
        return len(self.delete) + self.set_acl.num_rows + self.replace.num_rows

    def replacements(self, size: int) -> Iterator[pa.Table]:
        """`replace` in slices of about `size` documents.

        A slice does not end within a commit of the chunk table unless that commit alone is
        larger: every part file is read for one slice rather than for several.
        """
        seqs = self.replace["upsert_seq"].to_pylist()
        start = 0
        boundary = 0
        for row in range(1, len(seqs) + 1):
            if row < len(seqs) and seqs[row] == seqs[row - 1]:
                continue
            # A commit ends at `row`.
            if row - start > size and boundary > start:
                yield self.replace.slice(start, boundary - start)
                start = boundary
            while row - start > size:
                yield self.replace.slice(start, size)
                start += size
            boundary = row
        if start < len(seqs):
            yield self.replace.slice(start)


def make_plan(headers: pa.Table, held: frozenset[str] | None = None) -> Plan:
    """Turn the newest header rows into changes.

    Args:
        headers: `ChunkTable.headers`: after the sink's position, or all of them for a resync.
        held: for a resync the ids of all documents that the sink holds. Everything is replaced
            then, and what the table does not have any more is deleted.
    """
    rows = headers.select(COLUMNS)
    withdrawn = pc.is_in(rows["op"], value_set=pa.array(WITHDRAWN))
    gone = rows.filter(withdrawn)["document_id"].to_pylist()
    live = rows.filter(pc.invert(withdrawn))
    changed = pc.is_valid(live["upsert_seq"])
    replace = live.filter(changed)
    if held is not None:
        # A header without any content cannot be replaced: it goes, like one that is unknown.
        gone = sorted(held.difference(replace["document_id"].to_pylist()))
        set_acl = live.slice(0, 0)
    else:
        set_acl = live.filter(pc.invert(changed))
    replace = replace.sort_by([("upsert_seq", "ascending"), ("document_id", "ascending")])
    return Plan(delete=tuple(gone), set_acl=set_acl, replace=replace)


def rights_parts(rows: pa.Table, chunks: int | None = None) -> Iterator[pa.Table]:
    """`rows` in slices of about as many `chunks` (by default `RIGHTS_CHUNKS`), in their order."""
    most = chunks or RIGHTS_CHUNKS
    start = held = 0
    for row, count in enumerate(rows["chunk_count"].to_pylist()):
        # A document without chunks is a row to look for all the same.
        weight = max(count or 0, 1)
        if row > start and held + weight > most:
            yield rows.slice(start, row - start)
            start, held = row, 0
        held += weight
    if start < rows.num_rows:
        yield rows.slice(start)
