"""Reading tables of records row by row: JSON lines, delimited text, Parquet.

Each format lists its rows in a stream, and reads a single row again by its place.
"""

from __future__ import annotations

import csv
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from lineage.errors import ConfigError
from pipelines.ingest.sources.base import MAX_DOCUMENT_BYTES
from pipelines.ingest.sources.record_rows import Place, Row

_MAX_LINE_BYTES = 2 * MAX_DOCUMENT_BYTES
_BATCH_ROWS = 256
_BATCHES_KEPT = 8
_csv_lock = threading.Lock()


class Table(Protocol):
    """A file of records."""

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows in order. A column that a row lacks is missing from its values.

        Raises:
            ConfigError: the file as a whole is not of its format, or lacks `columns[0]`.
        """

    def row(self, place: Place, columns: Sequence[str]) -> Mapping[str, Any] | None:
        """The values of the row at `place`, null where no row can be read there now."""


def open_table(path: str, name: str) -> Table:
    """The table in the file at `path`; `name` tells its format and is used in messages."""
    suffix = name.lower().rpartition(".")[2]
    if suffix == "parquet":
        return ParquetTable(path, name)
    if suffix in ("jsonl", "ndjson"):
        return JsonLines(path)
    if suffix in ("csv", "tsv"):
        return Delimited(path, name, "\t" if suffix == "tsv" else None)
    raise ConfigError(
        f"{name!r} is no table of records; supported are .parquet, .jsonl, .ndjson, .csv and .tsv"
    )


class JsonLines:
    """One JSON object a line. Empty lines are passed over."""

    def __init__(self, path: str) -> None:
        self._path = path

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """See `Table.rows`."""
        with open(self._path, "rb") as file:
            number = 0
            for offset, line in _lines(file):
                if line is not None and not line.strip():
                    continue
                number += 1
                yield _json_row(number, Place(offset), line)

    def row(self, place: Place, columns: Sequence[str]) -> Mapping[str, Any] | None:
        """See `Table.row`."""
        with open(self._path, "rb") as file:
            file.seek(place.first)
            for offset, line in _lines(file, place.first):
                row = _json_row(1, Place(offset), line)
                return None if row.problem else row.values
        return None


def _lines(file: BinaryIO, offset: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their byte offsets; null for one that is too long to be held."""
    while line := file.readline(_MAX_LINE_BYTES):
        start, whole = offset, True
        offset += len(line)
        while not line.endswith(b"\n"):
            rest = file.readline(_MAX_LINE_BYTES)
            if not rest:
                break
            whole = False
            offset += len(rest)
            line = rest
        if start == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        yield start, line if whole else None


def _json_row(number: int, place: Place, line: bytes | None) -> Row:
    if line is None:
        reason = f"a line of more than {_MAX_LINE_BYTES} bytes"
        return Row(number, place, {}, ("limit_size", reason))
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        return Row(number, place, {}, ("malformed", f"not UTF-8 at byte {error.start} of the line"))
    except ValueError as error:
        return Row(number, place, {}, ("malformed", f"not valid JSON: {error}"))
    except RecursionError:
        return Row(number, place, {}, ("limit_depth", "JSON nested too deeply"))
    if not isinstance(value, dict):
        reason = f"a JSON {type(value).__name__} instead of an object"
        return Row(number, place, {}, ("malformed", reason))
    return Row(number, place, value)


class Delimited:
    """Comma or tab separated values with a header row; quoted values may hold line ends.

    Without a given delimiter it is the most frequent of comma, semicolon, tab and bar in the
    header.
    """

    def __init__(self, path: str, name: str, delimiter: str | None) -> None:
        self._path = path
        self._name = name
        self._delimiter = delimiter
        self._header: list[str] | None = None

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """See `Table.rows`."""
        header = self._read_header()
        if columns[0] not in header:
            raise ConfigError(_no_column(self._name, columns[0], header))
        with open(self._path, "rb") as file:
            records = _Records(file, 0, self._delimiter or ",")
            next(records.read(), None)
            for number, (offset, cells, problem) in enumerate(records.read(), 1):
                yield self._row(number, offset, cells, problem, header)

    def row(self, place: Place, columns: Sequence[str]) -> Mapping[str, Any] | None:
        """See `Table.row`."""
        header = self._read_header()
        with open(self._path, "rb") as file:
            file.seek(place.first)
            records = _Records(file, place.first, self._delimiter or ",")
            for offset, cells, problem in records.read():
                row = self._row(1, offset, cells, problem, header)
                return None if row.problem else row.values
        return None

    def _read_header(self) -> list[str]:
        if self._header is None:
            with open(self._path, "rb") as file:
                if self._delimiter is None:
                    line = file.readline(1 << 20).decode("utf-8-sig", "replace")
                    self._delimiter = max(",;\t|", key=line.count)
                    file.seek(0)
                found = next(_Records(file, 0, self._delimiter).read(), None)
            if found is None or found[2]:
                why = "is empty" if found is None else f"has no header: {found[2][1]}"
                raise ConfigError(
                    f"the table {self._name!r} {why}; its first row names the columns"
                )
            self._header = [cell.strip() for cell in found[1]]
        return self._header

    def _row(
        self,
        number: int,
        offset: int,
        cells: list[str],
        problem: tuple[str, str] | None,
        header: list[str],
    ) -> Row:
        place = Place(offset)
        if problem is None and len(cells) != len(header):
            problem = "malformed", f"{len(cells)} values under {len(header)} columns"
        return Row(number, place, dict(zip(header, cells, strict=False)), problem)


class _Records:
    """Rows of a delimited file with the byte offset at which each begins."""

    def __init__(self, file: BinaryIO, offset: int, delimiter: str) -> None:
        self._file = file
        self._offset = offset
        self._delimiter = delimiter
        self._start = offset
        self._bad: str | None = None

    def read(self) -> Iterator[tuple[int, list[str], tuple[str, str] | None]]:
        """Offset, cells and problem of each row that is not empty."""
        with _csv_lock:
            # The module's default of 128 KiB is a setting of the whole process; only raise it.
            csv.field_size_limit(max(csv.field_size_limit(), _MAX_LINE_BYTES))
        reader = csv.reader(self._text(), delimiter=self._delimiter, strict=True)
        while True:
            self._start, self._bad = self._offset, None
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._start, [], ("malformed", str(error))
                reader = csv.reader(self._text(), delimiter=self._delimiter, strict=True)
                continue
            if self._bad:
                yield self._start, [], ("malformed", self._bad)
            elif cells:
                yield self._start, cells, None

    def _text(self) -> Iterator[str]:
        while line := self._file.readline(_MAX_LINE_BYTES):
            first = self._offset == 0
            self._offset += len(line)
            try:
                yield line.decode("utf-8-sig" if first else "utf-8")
            except UnicodeDecodeError as error:
                self._bad = f"not UTF-8 at byte {error.start} of a line"
                yield line.decode("utf-8", "replace")


class ParquetTable:
    """A Parquet file, read a few hundred rows at a time."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._lock = threading.Lock()
        self._batches: OrderedDict[tuple[int, int], list[dict[str, Any]]] = OrderedDict()
        self._cursor: tuple[int, int, Iterator[Any]] | None = None

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """See `Table.rows`."""
        import pyarrow as pa

        try:
            with self._open() as file:
                present = self._present(file, columns)
                number = 0
                for group in range(file.num_row_groups):
                    index = 0
                    for batch in file.iter_batches(_BATCH_ROWS, [group], present):
                        for values in batch.to_pylist():
                            number += 1
                            yield Row(number, Place(group, index), values)
                            index += 1
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(
                f"the table {self._name!r} cannot be read as Parquet: {error}; write it again"
            ) from error

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
                present = self._present(file, columns)
                self._cursor = (group, 0, file.iter_batches(_BATCH_ROWS, [group], present))
            _, at, batches = self._cursor
            for batch in batches:
                at += 1
                self._cursor = (group, at, batches)
                if at > number:
                    self._batches[wanted] = batch.to_pylist()
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

    def _present(self, file: Any, columns: Sequence[str]) -> list[str]:
        names = file.schema_arrow.names
        if columns[0] not in names:
            raise ConfigError(_no_column(self._name, columns[0], names))
        return [column for column in columns if column in names]


def _no_column(name: str, column: str, present: Sequence[str]) -> str:
    shown = ", ".join(present[:12]) + (" …" if len(present) > 12 else "")
    return (
        f"the table {name!r} has no column {column!r}; it has {shown}. Name the right one under "
        "`records`, for example `records: {key: id, text: body}`"
    )
