"""The Delta table of feedback: append-only, a row for each piece, anchored to a span."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pyarrow as pa

from lineage import CommitConflict
from pipelines.storage import Storage
from pipelines.tables import PartWriter, Table
from pipelines.tables.reading import rows_where, scan

VERSION = "1.0"

SCHEMA = pa.schema(
    [
        ("feedback_id", pa.string()),
        ("document_id", pa.string()),
        ("seq", pa.int64()),
        ("pipeline", pa.string()),
        ("query", pa.string()),
        ("query_class", pa.string()),
        ("kind", pa.string()),
        ("grade", pa.float64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("quote", pa.string()),
        ("text_sha256", pa.string()),
        ("source_uri", pa.string()),
        ("content_seq", pa.int64()),
        ("chunk_id", pa.string()),
        ("strategy", pa.string()),
        ("user", pa.string()),
        ("groups", pa.list_(pa.string())),
        ("given_at", pa.timestamp("us", tz="UTC")),
        ("run_id", pa.string()),
    ]
)
"""`[start, end)` are code points of the text that the document had at `content_seq`, whose hash is
`text_sha256`; `quote` is that stretch, for finding it again in a later text."""

_TRIES = 8
_PAUSE_SECONDS = 0.05
"""Doubled after each try, and then by chance between nothing and that."""


def feedback_table(lake: str | Storage) -> Table:
    """The table in a lake; opening does no I/O."""
    storage = lake if isinstance(lake, Storage) else Storage.from_uri(lake)
    return Table(
        "feedback", storage / "feedback", storage / "_batches" / "feedback", SCHEMA, VERSION
    )


def read_rows(table: Table, columns: Sequence[str] = SCHEMA.names) -> list[dict[str, Any]]:
    """All rows, in the order in which they were given."""
    names = list(dict.fromkeys([*columns, "seq"]))
    rows = [row for part in scan(table, names) for row in part.select(names).to_pylist()]
    return sorted(rows, key=lambda row: row["seq"])


def rows_about(table: Table, queries: Collection[str]) -> list[dict[str, Any]]:
    """The rows of these queries, in the order in which they were given."""
    rows = [
        row
        for file in table.files
        for part in rows_where(table, file, "query", queries, SCHEMA.names)
        for row in part.to_pylist()
    ]
    return sorted(rows, key=lambda row: row["seq"])


def append(
    table: Table,
    pipeline: str,
    make: Callable[[Table], Sequence[dict[str, Any]]],
    run_id: str,
) -> list[dict[str, Any]]:
    """Add rows as one commit; of several writers each gets its turn.

    Args:
        table: where to.
        pipeline: in whose name.
        make: the rows for the table as it is; called again when another writer was first.
        run_id: of this addition.

    Returns:
        The rows that were added, with their `seq`.

    Raises:
        CommitConflict: others were first, several times in a row.
    """
    for attempt in range(_TRIES):
        table.refresh()
        made = make(table)
        if not made:
            return []
        batch = table.begin(f"feedback:{pipeline}", table.seq + 1, run_id)
        rows = [{**row, "seq": batch.seq, "run_id": run_id} for row in made]
        writer = PartWriter(table.folder, table.part_path(batch, "00000"), SCHEMA)
        writer.write(pa.Table.from_pylist(rows, schema=SCHEMA))
        part = writer.close()
        assert part is not None
        batch = dataclasses.replace(batch, parts=(part,))
        table.manifests.write(batch)
        try:
            table.commit(batch)
        except CommitConflict:
            table.manifests.drop(batch.batch_id)
            table.folder.delete(part.path)
            if attempt == _TRIES - 1:
                raise
            time.sleep(random.uniform(0, _PAUSE_SECONDS * 2**attempt))
        else:
            return rows
    return []
