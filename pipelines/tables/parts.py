"""Part files: Parquet written by workers, made visible later by one commit."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.steps import step
from pipelines.storage import Storage

ROW_GROUP_BYTES = 4 << 20
"""A row group is closed once its rows exceed this many bytes in memory. It is the unit of
parallel reading, and bounds a reader's memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part file of a table, `path` relative to the table's folder."""

    path: str
    size_bytes: int
    rows: int
    min_seq: int
    max_seq: int
    min_document_id: str
    max_document_id: str

    def stats(self) -> str:
        """The statistics of a Delta add action, in JSON."""
        return json.dumps(
            {
                "numRecords": self.rows,
                "minValues": {"seq": self.min_seq, "document_id": self.min_document_id},
                "maxValues": {"seq": self.max_seq, "document_id": self.max_document_id},
                "nullCount": {"seq": 0, "document_id": 0},
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)


class PartWriter:
    """Writes one part file; opened by the first row, so that no rows leave no file.

    Args:
        table: the table's folder.
        path: the part's path relative to it.
        schema: Arrow schema; what is written must have it.
    """

    def __init__(self, table: Storage, path: str, schema: pa.Schema) -> None:
        self._table = table
        self._path = path
        self._schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._sink: pa.NativeFile | None = None
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._rows = 0
        self._seqs: list[int] = []
        self._ids: list[str] = []

    def write(self, rows: pa.Table) -> None:
        """Append `rows`. Rows of one document must come in one call or in consecutive ones."""
        if not rows.num_rows:
            return
        self._pending.append(rows.cast(self._schema))
        self._pending_bytes += rows.nbytes
        seq, ids = pc.min_max(rows["seq"]).as_py(), pc.min_max(rows["document_id"]).as_py()
        self._seqs += [seq["min"], seq["max"]]
        self._ids += [ids["min"], ids["max"]]
        if self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self._rows + sum(int(table.num_rows) for table in self._pending)

    def close(self) -> Part | None:
        """Finish the file; null when nothing was written."""
        self._flush()
        if self._writer is None or self._sink is None:
            return None
        with step("part-close"):
            self._writer.close()
            self._sink.close()
        size = self._table.size(self._path)
        if size is None:
            raise FileNotFoundError(f"part {self._table.uri}/{self._path} vanished after writing")
        return Part(
            path=self._path,
            size_bytes=size,
            rows=self._rows,
            min_seq=min(self._seqs),
            max_seq=max(self._seqs),
            min_document_id=min(self._ids),
            max_document_id=max(self._ids),
        )

    def abort(self) -> None:
        """Drop the file, if there is one yet. It was never visible to a reader."""
        self._pending = []
        if self._sink is not None:
            # What could not be written cannot be finished either; the first error is the one.
            with suppress(OSError, ValueError):
                if self._writer is not None:
                    self._writer.close()
            with suppress(OSError, ValueError):
                self._sink.close()
            self._table.delete(self._path)

    def _flush(self) -> None:
        if not self._pending:
            return
        rows = pa.concat_tables(self._pending)
        self._pending, self._pending_bytes = [], 0
        if self._writer is None:
            self._open()
        assert self._writer is not None
        size = max(1, int(rows.num_rows * ROW_GROUP_BYTES / max(rows.nbytes, 1)))
        with step("part-write"):
            self._writer.write_table(rows, row_group_size=size)
        self._rows += rows.num_rows

    def _open(self) -> None:
        filesystem, root = self._table.filesystem()
        path = f"{root}/{self._path}"
        with step("part-open"):
            if self._table.is_local:
                filesystem.create_dir(path.rpartition("/")[0])
            self._sink = filesystem.open_output_stream(path)
            self._writer = pq.ParquetWriter(
                self._sink, self._schema, compression="zstd", compression_level=1
            )
