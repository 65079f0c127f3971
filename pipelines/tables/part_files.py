"""Opening the Parquet files of a lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from lineage.errors import TerminalError
from pipelines.storage import Storage


@contextmanager
def open_part(folder: Storage, path: str) -> Iterator[pq.ParquetFile]:
    """The file at `path` below `folder`, a table's.

    Raises:
        TerminalError: the file is gone, or is no whole Parquet file, also when that shows only
            while it is read.
    """
    filesystem, root = folder.filesystem()
    try:
        with pq.ParquetFile(f"{root}/{path}", filesystem=filesystem) as parquet:
            yield parquet
    except FileNotFoundError as error:
        raise damaged(f"{folder.uri}/{path}", "is missing") from error
    except pa.ArrowInvalid as error:
        raise damaged(f"{folder.uri}/{path}", f"is damaged: {str(error).rstrip('.')}") from error
    except OSError as error:
        # What Parquet itself cannot decode has no number; what the system refused has one.
        if error.errno is not None or not folder.is_local:
            raise
        raise damaged(f"{folder.uri}/{path}", f"is damaged: {str(error).rstrip('.')}") from error


def damaged(place: str, what: str) -> TerminalError:
    """The error for a file of the lake, at `place`, that does not serve any more."""
    return TerminalError(
        f"{place}: this part of the lake {what}. Put it back from a backup of the lake. Without "
        "one, move the lake away and run again: documents, chunks and sinks are made anew from the "
        "sources; feedback and promoted policies are only in the lake."
    )
