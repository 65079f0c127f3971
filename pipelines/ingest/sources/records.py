"""A table of records as a source: every row is a document.

A row's key is in its key column; its version is a hash of its text, title, media type and time,
so a row that only moves, or whose ACL or labels change, keeps its version.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lineage.acl import Acl
from lineage.errors import ConfigError, GristmillError
from pipelines.config import RecordsConfig
from pipelines.config.place import ConfigPlace
from pipelines.ingest.sources import acls, keys, record_rows
from pipelines.ingest.sources.base import Fetched, FetchError, Listed, too_large
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.record_blobs import BlobTables
from pipelines.ingest.sources.record_files import TableFile, local_files, reading
from pipelines.ingest.sources.record_rows import BadRow, Place, Row
from pipelines.ingest.sources.record_tables import Table, open_table

_LOG = logging.getLogger(__name__)
_RENEWAL_SECONDS = 10.0
_blobs = BlobTables()
_indexes: dict[object, _Index] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class RecordsSource:
    """The rows of the table at `uri`, or of the tables below it that `globs` takes.

    `uri` is a local file, folder or pattern, or a blob or path in a container. Several files
    are one table: a key may be in one of them only.
    """

    name: str
    uri: str
    records: RecordsConfig
    globs: Globs = field(default_factory=Globs)
    default: Acl | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    place: ConfigPlace = field(default=ConfigPlace("sources[]"), compare=False, repr=False)
    """Where it stands in the configuration, for messages."""

    def list(self, known: Mapping[str, Acl] | None = None) -> Iterator[Listed]:
        """See `Source.list`; a row that cannot be a document is listed with a problem."""
        seen: set[int] = set()
        columns = record_rows.columns_of(self.records)
        never = set(self.records.acl.values())
        state: list[TableFile] = []
        for file in self._files():
            state.append(file)
            with reading(file, self._where):
                table = open_table(file.path, file.name)
                header = table.header()
                self._check_columns(file, header)
                for row in table.rows(columns):
                    never -= row.values.keys()
                    yield self._listed(file, row, seen, explicit=header is not None)
        if seen and never:
            _LOG.warning(
                "%s: no row has the column %s, which `records.acl` names; check its spelling",
                self._where,
                ", ".join(map(repr, sorted(never))),
            )
        with _lock:
            index = _indexes.get(self._identity)
            if index is not None and index.state != tuple(state):
                del _indexes[self._identity]

    def fetch(self, listed_key: str, version: str) -> Fetched:
        """See `Source.fetch`."""
        try:
            index = self._index()
            try:
                return self._fetch(index, listed_key, version)
            except FetchError:
                renewed = self._index(instead_of=index)
                if renewed is index:
                    raise
                return self._fetch(renewed, listed_key, version)
        except (GristmillError, OSError) as error:
            if isinstance(error, FetchError):
                raise
            raise FetchError("transient_io", f"the table cannot be read: {error}") from error

    def _fetch(self, index: _Index, listed_key: str, version: str) -> Fetched:
        found = index.find(keys.name_of(listed_key), self.records)
        if found is None:
            raise FetchError("not_found", "the row is gone since it was listed")
        try:
            text = record_rows.text_of(self.records, found)
        except BadRow as error:
            raise FetchError(*error.problem) from error
        if record_rows.version_of(self.records, found, text) != version:
            raise FetchError("changed_during_read", "the row has changed since it was listed")
        return Fetched(text, version)

    @property
    def _where(self) -> str:
        return self.place.at("uri")

    @property
    def _identity(self) -> object:
        return self.uri, self.globs, self.records.key

    def _files(self) -> Iterator[TableFile]:
        if "://" in self.uri:
            return _blobs.files(self.uri, self.globs, self._where)
        return local_files(self.uri, self.globs, self._where)

    def _index(self, instead_of: _Index | None = None) -> _Index:
        """Where each key is, found out once for each process and state of the files.

        Args:
            instead_of: an index that has just failed. It is built anew if the files have moved
                on since; a container is asked no more than every few seconds.
        """
        with _lock:
            found = _indexes.get(self._identity)
            if found is not None and found is instead_of:
                patience = _RENEWAL_SECONDS if "://" in self.uri else 0.0
                if time.monotonic() - found.checked < patience:
                    return found
                found.checked = time.monotonic()
                if tuple(self._files()) == found.state:
                    return found
                found = None
            if found is None:
                found = _indexes[self._identity] = _Index(tuple(self._files()), self.records)
            return found

    def _check_columns(self, file: TableFile, header: Sequence[str] | None) -> None:
        for column in (self.records.key, self.records.text):
            if header is not None and column not in header:
                shown = ", ".join(header[:12]) + (" …" if len(header) > 12 else "")
                raise ConfigError(
                    f"{self.place.at('records')}: the table {file.name!r} has no column "
                    f"{column!r}; it has {shown}. Name the right one, for example "
                    "`records: {key: id, text: body}`"
                )

    def _listed(self, file: TableFile, row: Row, seen: set[int], *, explicit: bool) -> Listed:
        problem, key, text = row.problem, None, b""
        values = row.values
        try:
            if problem is None:
                key = record_rows.key_of(self.records, values)
                repeated = _number(key) in seen
                seen.add(_number(key))
                if repeated:
                    reason = f"the key {key!r:.200} is that of an earlier row; make keys distinct"
                    key = None
                    raise BadRow("malformed", reason)
                text = record_rows.text_of(self.records, values)
                problem = too_large(len(text))
        except BadRow as error:
            problem = error.problem
        if problem is not None:
            problem = problem[0], f"{file.name} row {row.number}: {problem[1]}"
        name = keys.exact_key(key) if key is not None else f"#{file.name}-row-{row.number}"
        columns, labels = self.records, dict(self.labels)
        for label, column in columns.labels.items():
            stated = record_rows.plain(values.get(column))
            if stated:
                labels[label] = stated
        return Listed(
            key=name,
            uri=keys.uri_of(f"{file.uri}#", keys.name_of(name)),
            version=record_rows.version_of(columns, values, text),
            size=len(text),
            modified_at=_of(values, columns.modified_at, record_rows.time_of),
            acl=acls.resolve(
                file=None,
                stated=None if row.problem else _acl(columns.acl, values, explicit),
                folder=None,
                default=self.default,
            ),
            labels=labels,
            media_type=_of(values, columns.media_type, record_rows.plain),
            problem=problem,
            title=_of(values, columns.title, record_rows.plain),
        )


def _of(values: Mapping[str, Any], column: str | None, read: Any) -> Any:
    return read(values.get(column)) if column else None


def _number(key: str) -> int:
    """64 bits of a key: a set of these is a fraction of the size of one of keys."""
    data = key.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def _acl(columns: Mapping[str, str], values: Mapping[str, Any], explicit: bool) -> Acl | None:
    """The ACL in a row's columns. Columns that are not there at all are no way to say nothing.

    Args:
        columns: ACL list to column.
        values: the row's.
        explicit: whether a row of this table has all columns, rather than only those that it
            has something to say in.
    """
    missing = [column for column in columns.values() if column not in values]
    if missing and (explicit or len(missing) == len(columns)):
        return Acl.unknown(f"column: there is no column {missing[0]!r}")
    return acls.from_columns(columns, values)


class _Index:
    """Place of every key, 28 bytes a row."""

    def __init__(self, state: tuple[TableFile, ...], config: RecordsConfig) -> None:
        self.state = state
        self.checked = time.monotonic()
        self._tables: list[Table] = [open_table(file.path, file.name) for file in state]
        numbers, tables = array("Q"), array("i")
        first, second = array("q"), array("q")
        for index, table in enumerate(self._tables):
            for row in table.rows([config.key]):
                try:
                    key = None if row.problem else record_rows.key_of(config, row.values)
                except BadRow:
                    continue
                if key is not None:
                    numbers.append(_number(key))
                    tables.append(index)
                    first.append(row.place.first)
                    second.append(row.place.second)
        every = np.frombuffer(numbers, np.uint64) if numbers else np.empty(0, np.uint64)
        # Stable: of rows with the same key the first one stays in front.
        self._order = np.argsort(every, kind="stable")
        self._numbers = every[self._order]
        self._places = tables, first, second

    def find(self, key: str, config: RecordsConfig) -> Mapping[str, Any] | None:
        """The values of the first row with this key, null when there is none."""
        columns = record_rows.columns_of(config)
        number = np.uint64(_number(key))
        at = int(np.searchsorted(self._numbers, number))
        while at < len(self._numbers) and self._numbers[at] == number:
            row = int(self._order[at])
            tables, first, second = self._places
            values = self._tables[tables[row]].row(Place(first[row], second[row]), columns)
            try:
                if values is not None and record_rows.key_of(config, values) == key:
                    return values
            except BadRow:
                pass
            at += 1
        return None
