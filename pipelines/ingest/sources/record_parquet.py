"""Tables of records in Parquet, read a few hundred rows at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.ingest.sources.record_rows import Place, Row
from pipelines.ingest.sources.record_tables import UnusableTable

_BATCH_ROWS = 256
_BATCHES_KEPT = 8


class ParquetTable:
    """A Parquet file; see `pipelines.ingest.sources.record_tables.Table`."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._lock = threading.Lock()
        self._batches: OrderedDict[tuple[int, int], list[dict[str, Any]]] = OrderedDict()
        self._cursor: tuple[int, int, Iterator[Any]] | None = None

    def header(self) -> Sequence[str]:
        """See `Table.header`."""
        import pyarrow as pa

        try:
            with self._open() as file:
                names: list[str] = file.schema_arrow.names
                return names
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """See `Table.rows`."""
        import pyarrow as pa

        try:
            with self._open() as file:
                present = _present(file, columns)
                number = 0
                for group in range(file.num_row_groups):
                    index = 0
                    for batch in file.iter_batches(_BATCH_ROWS, [group], present):
                        for values in _plain(batch):
                            number += 1
                            yield Row(number, Place(group, index), values)
                            index += 1
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> Exception:
        if isinstance(error, PermissionError):
            return error
        return UnusableTable(
            f"the table {self._name!r} cannot be read as Parquet: {error}; write it again"
        )

    def row(self, place: Place, columns: Sequence[str]) -> Mapping[str, Any] | None:
        """See `Table.row`. Reading in the order of the rows is cheap."""
        import pyarrow as pa

        number, within = divmod(place.second, _BATCH_ROWS)
        with self._lock:
            try:
                batch = self._batch(place.first, number, columns)
            except (pa.ArrowException, OSError, IndexError):
                return None
        return batch[within] if within < len(batch) else None

    def _batch(self, group: int, number: int, columns: Sequence[str]) -> list[dict[str, Any]]:
        wanted = (group, number)
        if wanted not in self._batches:
            if self._cursor is None or self._cursor[0] != group or self._cursor[1] > number:
                file = self._open()
                present = _present(file, columns)
                self._cursor = (group, 0, file.iter_batches(_BATCH_ROWS, [group], present))
            _, at, batches = self._cursor
            for batch in batches:
                at += 1
                self._cursor = (group, at, batches)
                if at > number:
                    self._batches[wanted] = _plain(batch)
                    break
            else:
                raise IndexError(number)
            while len(self._batches) > _BATCHES_KEPT:
                self._batches.popitem(last=False)
        return self._batches[wanted]

    def _open(self) -> Any:
        import pyarrow.parquet as pq

        # pre_buffer would read whole row groups ahead.
        return pq.ParquetFile(self._path, pre_buffer=False)


def _present(file: Any, columns: Sequence[str]) -> list[str]:
    names = file.schema_arrow.names
    return [column for column in columns if column in names]


def _plain(batch: Any) -> list[dict[str, Any]]:
    """Rows as Python values; times to the microsecond, which is as fine as those are."""
    import pyarrow as pa

    for number, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            coarse = pa.timestamp("us", field.type.tz)
            values = batch.column(number).cast(coarse, safe=False)
            batch = batch.set_column(number, field.with_type(coarse), values)
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows
