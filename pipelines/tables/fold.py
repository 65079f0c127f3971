"""Folding a change log: what is still needed of its history, written anew, in one commit.

Of each document the newest row stays, and the rows at the commit that holds its content. What
readers see is the same before and after. A commit removes the old files from the table and adds
the new ones; the old ones stay on disk for whoever is reading them, until they are swept.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lineage import CommitConflict
from pipelines.steps import step
from pipelines.tables.lake import ChunkTable
from pipelines.tables.part_files import open_part
from pipelines.tables.parts import Part, PartWriter
from pipelines.tables.reading import newest, scan
from pipelines.tables.table import HORIZON, File, Table

Mask = Callable[[pa.Table], np.ndarray[Any, Any]]

TARGET_BYTES = 128 << 20
"""About how large a folded file gets; it ends where a file that went into it ends."""
SMALL_BYTES = TARGET_BYTES // 4
"""A smaller file is joined with others."""
WORTH_IT = 0.05
"""A larger file is written anew once this share of its rows is not needed."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold did."""

    horizon: int
    """Up to which `seq` the history was folded."""
    files_before: int
    files_after: int
    rows_before: int
    rows_after: int
    bytes_before: int
    bytes_after: int
    version: int | None


@dataclass(slots=True)
class Needed:
    """Per document, which of its rows are needed: arrays in the order of `ids`."""

    ids: pa.Array
    newest: np.ndarray[Any, Any]
    """`seq` of the newest row; -1 for a document that is gone and leaves nothing."""
    content: np.ndarray[Any, Any]
    """`seq` that holds the content; -1 without any."""

    def mask(self, rows: pa.Table) -> np.ndarray[Any, Any]:
        """Which of `rows` (with `document_id` and `seq`) are needed."""
        codes = self.codes(rows)
        seqs = rows["seq"].to_numpy()
        kept: np.ndarray[Any, Any] = (seqs == self.newest[codes]) | (seqs == self.content[codes])
        return kept

    def codes(self, rows: pa.Table) -> np.ndarray[Any, Any]:
        """The place of each row's document in the arrays."""
        found: np.ndarray[Any, Any] = pc.index_in(
            rows["document_id"].combine_chunks(), value_set=self.ids
        ).to_numpy()
        return found


def needed_rows(table: Table, horizon: int) -> Needed:
    """Work out from small columns what a table needs, if everything up to `horizon` was read."""
    chunked = isinstance(table, ChunkTable)
    columns = ["document_id", "seq", "op", *([] if chunked else ["content_seq"])]
    parts = [
        rows.filter(pc.not_equal(rows["op"], "chunk")).select(columns)
        for rows in scan(table, columns)
    ]
    rows = pa.concat_tables(parts)
    state = newest(rows)
    ids = state["document_id"].combine_chunks()
    seqs = state["seq"].to_numpy()
    ops = np.array(state["op"].to_pylist(), dtype=object)
    if chunked:
        upserts = newest(rows.filter(pc.equal(rows["op"], "upsert")))
        found = dict(
            zip(upserts["document_id"].to_pylist(), upserts["seq"].to_pylist(), strict=True)
        )
        content = np.array([found.get(i, -1) for i in ids.to_pylist()], dtype=np.int64)
        content[(ops == "delete") | (ops == "reject")] = -1
    else:
        content = pc.fill_null(state["content_seq"], -1).to_numpy().copy()
    tombstone = (ops == "delete") & (seqs <= horizon)
    return Needed(ids, np.where(tombstone, -1, seqs), content)


@dataclass(slots=True)
class _Selection:
    """Which files are to be written anew."""

    files: list[File] = field(default_factory=list)
    dropped: int = 0


def fold(table: Table, horizon: int) -> Folded | None:
    """Fold the history of `table` up to `horizon`; null when there is nothing to gain.

    Memory is bounded by the ids of the documents and one row group.

    Args:
        table: its snapshot is what is folded; what others append meanwhile stays as it is.
        horizon: up to which `seq` every consumer has read.

    Raises:
        CommitConflict: another fold came first; nothing changed.
    """
    old = [file for file in table.files if file.max_seq <= horizon]
    if not old:
        return None
    needed = needed_rows(table, horizon)
    selection = _select(table, old, needed)
    if not selection.dropped and len(selection.files) < 2:
        return None
    return rewrite(table, selection.files, needed.mask, max(horizon, table.horizon))


def join_files(table: Table) -> Folded | None:
    """Join the small files of a table of which every row is needed; null when there is nothing to.

    Raises:
        CommitConflict: another fold came first; nothing changed.
    """
    small = [file for file in table.files if file.size_bytes < SMALL_BYTES]
    return rewrite(table, small, _every, table.horizon) if len(small) > 1 else None


def _every(rows: pa.Table) -> np.ndarray[Any, Any]:
    return np.ones(rows.num_rows, dtype=bool)


def _select(table: Table, old: Sequence[File], needed: Needed) -> _Selection:
    """Choose files; where one with rows to drop stays, the tombstones above them stay as well."""
    selection = _Selection()
    paths = {file.path: file for file in old}
    kept_back = np.zeros(len(needed.ids), dtype=bool)
    for rows in scan(table, ["document_id", "seq"]):
        if not rows.num_rows or rows["file"][0].as_py() not in paths:
            continue
        file = paths[rows["file"][0].as_py()]
        unneeded = ~needed.mask(rows)
        drop = int(unneeded.sum())
        if file.size_bytes < SMALL_BYTES or drop >= WORTH_IT * file.rows:
            selection.files.append(file)
            selection.dropped += drop
        elif drop:
            kept_back[needed.codes(rows)[unneeded]] = True
    if kept_back.any():
        _keep_tombstones(table, needed, kept_back)
    return selection


def _keep_tombstones(table: Table, needed: Needed, documents: np.ndarray[Any, Any]) -> None:
    """Without its newest row, a document that is gone would be back by an older one."""
    for rows in scan(table, ["document_id", "seq", "op"]):
        heads = rows.filter(pc.equal(rows["op"], "delete"))
        codes = needed.codes(heads)
        stays = documents[codes]
        np.maximum.at(needed.newest, codes[stays], heads["seq"].to_numpy()[stays])


def rewrite(table: Table, files: Sequence[File], needed: Mask, horizon: int) -> Folded:
    """Replace `files` by the rows of them that are needed, in one commit.

    Args:
        table: whose files.
        files: visible ones.
        needed: of rows with all columns, which ones stay.
        horizon: up to which `seq` the history is folded now.

    Raises:
        CommitConflict: another fold came first; nothing changed.
    """
    parts = list(_write(table, files, needed))
    try:
        replace_files(table, files, parts, {HORIZON: horizon})
    except CommitConflict:
        # After any other error nobody knows whether the commit is there: the sweep decides.
        for part in parts:
            table.folder.delete(part.path)
        raise
    return Folded(
        horizon=horizon,
        files_before=len(files),
        files_after=len(parts),
        rows_before=sum(file.rows for file in files),
        rows_after=sum(part.rows for part in parts),
        bytes_before=sum(file.size_bytes for file in files),
        bytes_after=sum(part.size_bytes for part in parts),
        version=table.version,
    )


def _write(table: Table, files: Sequence[File], needed: Mask) -> Iterator[Part]:
    name = uuid.uuid4().hex
    writer: PartWriter | None = None
    written = number = 0
    with ExitStack() as stack:
        for file in files:
            if writer is None:
                path = f"data/{file.min_seq:012d}-fold-{name}-{number:05d}.parquet"
                writer = PartWriter(table.folder, path, table.schema)
                stack.callback(writer.abort)
                number += 1
            for rows in row_groups(table, file):
                writer.write(rows.filter(pa.array(needed(rows))))
            written += file.size_bytes
            if written >= TARGET_BYTES:
                part = writer.close()
                stack.pop_all()
                if part is not None:
                    yield part
                writer, written = None, 0
        if writer is not None:
            part = writer.close()
            stack.pop_all()
            if part is not None:
                yield part


def row_groups(table: Table, file: File) -> Iterator[pa.Table]:
    """A part file's rows with all columns, a row group at a time."""
    with open_part(table.folder, file.path) as parquet:
        for number in range(parquet.metadata.num_row_groups):
            rows = parquet.read_row_group(number)
            yield _as_schema(rows, table.schema)


def _as_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of an older minor version get the columns that they lack, empty."""
    columns = [
        rows[each.name].cast(each.type)
        if each.name in rows.schema.names
        else pa.nulls(rows.num_rows, each.type)
        for each in schema
    ]
    return pa.table(columns, schema=schema)


def replace_files(
    table: Table, files: Sequence[File], parts: Sequence[Part], transactions: dict[str, int]
) -> None:
    """One commit that takes `files` out of a table, puts `parts` in, and sets `transactions`.

    It is safe beside appends, which touch neither.

    Raises:
        CommitConflict: another commit with one of these transactions came first.
    """
    from deltalake.exceptions import CommitFailedError
    from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

    table.create()
    now = int(time.time() * 1000)
    actions: list[Any] = [
        RemoveAction(file.path, False, now, file.size_bytes, {}) for file in files
    ]
    actions += [
        AddAction(part.path, part.size_bytes, {}, now, False, part.stats()) for part in parts
    ]
    properties = CommitProperties(
        app_transactions=[Transaction(*each) for each in transactions.items()],
        custom_metadata={"gristmill": "fold"},
    )
    try:
        with step("fold"):
            table.opened().create_write_transaction(
                actions, "append", table.schema, commit_properties=properties
            )
    except CommitFailedError as error:
        raise CommitConflict(
            f"another upkeep of table {table.name!r} came first ({error}); nothing was changed, "
            "run the command again once it has finished"
        ) from error
    table.refresh()
