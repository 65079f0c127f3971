"""Taking a document out of a change log, its history and its files on disk included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lineage import Acl
from pipelines.steps import step
from pipelines.storage import Storage
from pipelines.tables import ChunkTable, PartWriter, Table
from pipelines.tables.fold import rewrite, row_groups
from pipelines.tables.reading import scan
from pipelines.tables.table import File


def rows_of(table: Table, document_id: str, columns: list[str]) -> Iterator[pa.Table]:
    """All rows that a table has of a document, current or not."""
    for file in holding(table, document_id):
        for rows in row_groups(table, file):
            yield rows.filter(pc.equal(rows["document_id"], document_id)).select(columns)


def holding(table: Table, document_id: str) -> list[File]:
    """The visible files that have rows of a document."""
    found = []
    files = {file.path: file for file in table.files}
    for rows in scan(table, ["document_id"]):
        if pc.any(pc.equal(rows["document_id"], document_id)).as_py():
            found.append(files[rows["file"][0].as_py()])
    return found


def erase_from(table: Table, document_id: str, consumer: str, run_id: str) -> int:
    """Leave of a document one empty `delete` row, and no file on disk that ever held more.

    The row takes the table's next number, so a run that is under way cannot commit what it made of
    the document; and readers that come later learn that it is gone. Files are removed at once,
    from under whoever is reading them.

    Returns:
        How many rows were erased.

    Raises:
        CommitConflict: a stage committed meanwhile; run it again.
    """
    table.refresh()
    before = [
        row
        for rows in rows_of(table, document_id, ["seq", "op", *_hints(table)])
        for row in rows.to_pylist()
    ]
    rest = [row for row in before if not _is_empty(row)]
    if rest or not before:
        _bury(table, document_id, consumer, run_id)
    if rest:
        newest = table.seq

        def kept(rows: pa.Table) -> np.ndarray[Any, Any]:
            """Every row of other documents, and of this one the newest."""
            others = pc.not_equal(rows["document_id"], document_id)
            mask: np.ndarray[Any, Any] = others.to_numpy() | (rows["seq"].to_numpy() == newest)
            return mask

        rewrite(table, holding(table, document_id), kept, table.horizon)
    for batch in list(table.manifests.all()):
        # No recorded batch may bring it back; its parts go below.
        if batch.seq <= table.seq:
            table.manifests.drop(batch.batch_id)
    _remove_files(table, document_id)
    return len(rest)


def _hints(table: Table) -> list[str]:
    return ["lineage"] if isinstance(table, ChunkTable) else ["source_uri"]


def _is_empty(row: Mapping[str, Any]) -> bool:
    """Whether a row is one that an earlier erasure left."""
    uri = row["source_uri"] if "source_uri" in row else (row["lineage"] or {}).get("source_uri")
    return row["op"] == "delete" and uri == ""


def _bury(table: Table, document_id: str, consumer: str, run_id: str) -> None:
    """Commit a `delete` row that says nothing but the document's id."""
    batch = table.begin(consumer, table.position(consumer) or 0, run_id)
    values: dict[str, Any] = {
        "document_id": document_id,
        "seq": batch.seq,
        "op": "delete",
        "acl": Acl.unknown("forgotten").as_dict(),
        "labels": [],
        "written_at": datetime.now(UTC),
    }
    if isinstance(table, ChunkTable):
        values |= {"chunk_count": 0, "lineage": {"source_uri": "", "transform_run_id": run_id}}
    else:
        values |= {"source": "", "source_uri": "", "run_id": run_id}
    writer = PartWriter(table.folder, table.part_path(batch, "forget"), table.schema)
    writer.write(pa.Table.from_pylist([values], schema=table.schema))
    part = writer.close()
    assert part is not None
    batch = replace(batch, parts=(part,))
    table.manifests.write(batch)
    table.commit(batch)


def _remove_files(table: Table, document_id: str) -> None:
    """Remove every file that the table does not refer to and that has rows of the document."""
    visible = {file.path for file in table.files}
    for name in (table.folder / "data").files():
        path = f"data/{name}"
        if path in visible or not name.endswith(".parquet"):
            continue
        if _may_hold(table.folder, path, document_id):
            with step("erase"):
                table.folder.delete(path)


def _may_hold(folder: Storage, path: str, document_id: str) -> bool:
    filesystem, root = folder.filesystem()
    try:
        with pq.ParquetFile(f"{root}/{path}", filesystem=filesystem) as parquet:
            for group in range(parquet.metadata.num_row_groups):
                ids = parquet.read_row_group(group, columns=["document_id"])["document_id"]
                if pc.any(pc.equal(ids, document_id)).as_py():
                    return True
    except (pa.ArrowInvalid, OSError):
        # A file that was never finished cannot be asked, and nobody needs it.
        return True
    return False
