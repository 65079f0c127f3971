"""Tables of records as text, row by row: JSON lines and delimited values.

Each format lists its rows in a stream, and reads a single row again by its place.
"""

from __future__ import annotations

import csv
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from lineage.errors import ConfigError
from pipelines.ingest.sources.base import MAX_DOCUMENT_BYTES
from pipelines.ingest.sources.record_rows import Place, Row

_MAX_LINE_BYTES = 2 * MAX_DOCUMENT_BYTES
_csv_lock = threading.Lock()


class Table(Protocol):
    """A file of records."""

    def header(self) -> Sequence[str] | None:
        """The columns of every row; null where each row says for itself what it has.

        Raises:
            UnusableTable: the file as a whole is not of its format.
        """

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows in order, at least with `columns`; those a row lacks are not in its values.

        Raises:
            UnusableTable: the file as a whole is not of its format.
        """

    def row(self, place: Place, columns: Sequence[str]) -> Mapping[str, Any] | None:
        """The values of the row at `place`, null where no row can be read there now."""


class UnusableTable(ConfigError):
    """A file as a whole is not of its format."""


def open_table(path: str, name: str) -> Table:
    """The table in the file at `path`; `name` tells its format and is used in messages."""
    suffix = name.lower().rpartition(".")[2]
    if suffix == "parquet":
        from pipelines.ingest.sources.record_parquet import ParquetTable

        return ParquetTable(path, name)
    if suffix in ("jsonl", "ndjson"):
        return JsonLines(path)
    if suffix in ("csv", "tsv"):
        return Delimited(path, name, "\t" if suffix == "tsv" else None)
    raise UnusableTable(
        f"{name!r} is no table of records; supported are .parquet, .jsonl, .ndjson, .csv and .tsv"
    )


class JsonLines:
    """One JSON object a line. Empty lines are passed over."""

    def __init__(self, path: str) -> None:
        self._path = path

    def header(self) -> None:
        """See `Table.header`."""

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

    def header(self) -> Sequence[str]:
        """See `Table.header`."""
        if self._header is None:
            with open(self._path, "rb") as file:
                if self._delimiter is None:
                    line = file.readline(1 << 20).decode("utf-8-sig", "replace")
                    self._delimiter = max(",;\t|", key=line.count)
                    file.seek(0)
                first = next(_Records(file, 0, self._delimiter).read(), None)
            if first is None:
                raise self._unusable("is empty")
            _, cells, problem = first
            if problem is not None:
                raise self._unusable(f"has no header in UTF-8 that can be read ({problem[1]})")
            names = [cell.strip() for cell in cells]
            twice = [name for name, count in Counter(names).items() if count > 1 and name]
            if twice:
                raise self._unusable(f"has the column {twice[0]!r} twice")
            self._header = names
        return self._header

    def _unusable(self, why: str) -> ConfigError:
        return UnusableTable(
            f"the table {self._name!r} {why}; its first row names the columns, each once"
        )

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """See `Table.rows`."""
        header = self.header()
        with open(self._path, "rb") as file:
            records = _Records(file, 0, self._delimiter or ",")
            next(records.read(), None)
            for number, (offset, cells, problem) in enumerate(records.read(), 1):
                yield self._row(number, offset, cells, problem, header)

    def row(self, place: Place, columns: Sequence[str]) -> Mapping[str, Any] | None:
        """See `Table.row`."""
        header = self.header()
        with open(self._path, "rb") as file:
            file.seek(place.first)
            records = _Records(file, place.first, self._delimiter or ",")
            for offset, cells, problem in records.read():
                row = self._row(1, offset, cells, problem, header)
                return None if row.problem else row.values
        return None

    def _row(
        self,
        number: int,
        offset: int,
        cells: list[str],
        problem: tuple[str, str] | None,
        header: Sequence[str],
    ) -> Row:
        place = Place(offset)
        if problem is None and len(cells) != len(header):
            problem = "malformed", f"{len(cells)} values under {len(header)} columns"
        return Row(number, place, dict(zip(header, cells, strict=False)), problem)


class _Records:
    """Rows of a delimited file with the byte offset at which each begins.

    A row that cannot be read ends with its first line: a quote that is never closed costs one
    row, and not all that follow.
    """

    def __init__(self, file: BinaryIO, offset: int, delimiter: str) -> None:
        self._file = file
        self._offset = offset
        self._delimiter = delimiter
        self._first_line_end: int | None = None
        self._bad: str | None = None

    def read(self) -> Iterator[tuple[int, list[str], tuple[str, str] | None]]:
        """Offset, cells and problem of each row that is not empty."""
        with _csv_lock:
            # The module's default of 128 KiB is a setting of the whole process; only raise it.
            csv.field_size_limit(max(csv.field_size_limit(), _MAX_LINE_BYTES))
        reader = self._reader()
        while True:
            start, self._first_line_end, self._bad = self._offset, None, None
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield start, [], ("malformed", str(error))
                if self._first_line_end is not None and self._first_line_end < self._offset:
                    self._offset = self._first_line_end
                    self._file.seek(self._offset)
                reader = self._reader()
                continue
            if self._bad:
                yield start, [], ("malformed", self._bad)
            elif cells:
                yield start, cells, None

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._text(), delimiter=self._delimiter, strict=True)

    def _text(self) -> Iterator[str]:
        while line := self._file.readline(_MAX_LINE_BYTES):
            first = self._offset == 0
            self._offset += len(line)
            if self._first_line_end is None:
                self._first_line_end = self._offset
            try:
                yield line.decode("utf-8-sig" if first else "utf-8")
            except UnicodeDecodeError as error:
                self._bad = f"not UTF-8 at byte {error.start} of a line"
                yield line.decode("utf-8", "replace")
