"""Opening the Delta logs and the Parquet files of a lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lineage.errors import TerminalError
from pipelines.storage import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable

_CURE = (
    "Put it back from a backup of the lake. Without one, move the lake away and run again: "
    "documents, chunks and sinks are made anew from the sources; feedback and promoted policies "
    "are only in the lake."
)


def open_log(folder: Storage, cure: str = _CURE) -> DeltaTable | None:
    """The Delta table in `folder`; null when there is none.

    Args:
        folder: of the table.
        cure: what to do about damage, a sentence or more.

    Raises:
        TerminalError: its log cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    if folder.is_local and not folder.exists("_delta_log"):
        return None
    try:
        return DeltaTable(folder.uri, storage_options=folder.delta_options())
    except TableNotFoundError:
        return None
    except DeltaError as error:
        # In a container it may as well be the service that does not answer.
        if not folder.is_local:
            raise
        cause = str(error).partition("\n")[0].rstrip(".")
        raise damaged(f"{folder.uri}/_delta_log", f"cannot be read: {cause}", cure) from error


@contextmanager
def open_part(folder: Storage, path: str) -> Iterator[pq.ParquetFile]:
    """The file at `path` below `folder`, a table's.

    Raises:
        TerminalError: the file is gone, or is no whole Parquet file, also when that shows only
            while it is read.
    """
    try:
        with open_whole(folder, path) as parquet:
            yield parquet
    except FileNotFoundError as error:
        raise damaged(f"{folder.uri}/{path}", "is missing") from error


@contextmanager
def open_whole(folder: Storage, path: str, cure: str = _CURE) -> Iterator[pq.ParquetFile]:
    """The same of a file that may be gone.

    Args:
        folder: of the table.
        path: of the file, below it.
        cure: what to do about damage, a sentence or more.

    Raises:
        FileNotFoundError: it is gone.
        TerminalError: it is no whole Parquet file.
    """
    filesystem, root = folder.filesystem()
    try:
        with pq.ParquetFile(f"{root}/{path}", filesystem=filesystem) as parquet:
            yield parquet
    except (pa.ArrowInvalid, OSError) as error:
        # What Parquet itself cannot decode has no number; what the system refused has one.
        if isinstance(error, OSError) and (error.errno is not None or not folder.is_local):
            raise
        cause = " ".join(str(error).split()).rstrip(".")
        raise damaged(f"{folder.uri}/{path}", f"is damaged: {cause}", cure) from error


def damaged(place: str, what: str, cure: str = _CURE) -> TerminalError:
    """The error for a file of the lake, at `place`, that does not serve any more."""
    return TerminalError(f"{place}: this part of the lake {what}. {cure}")
