"""Opening LanceDB: with the settings that bound its memory, and without what nobody asks of it."""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lineage import MissingExtra
from pipelines.arrow import keep_pandas_out

if TYPE_CHECKING:
    from lancedb.db import DBConnection

_LEAN = {
    # One shard at a time in memory while the text index is made, instead of one for each CPU.
    "LANCE_FTS_NUM_SHARDS": "1",
    # Fragments are joined, and read for the index, some rows of one of them at a time: otherwise
    # memory grows with the index.
    "LANCE_DEFAULT_BATCH_SIZE": "1024",
    "LANCE_DEFAULT_FRAGMENT_READAHEAD": "1",
    "LANCE_DEFAULT_IO_BUFFER_SIZE": str(32 << 20),
    "LANCE_IO_THREADS": "4",
}
"""Lance's settings, read when it is imported, that bound the memory of a load."""

_CLIENT = "lance_namespace_urllib3_client"
_importing = threading.Lock()


def connect(sink: str, folder: Path) -> DBConnection:
    """The database in a folder, which need not be there yet.

    Raises:
        MissingExtra: LanceDB is not installed; names the sink that wants it.
    """
    if find_spec("lancedb") is None:
        raise MissingExtra(
            f"sink {sink!r} is of kind lancedb, and the package `lancedb` is not installed; "
            "install it with: pip install 'gristmill[load]'"
        )
    for setting, value in _LEAN.items():
        os.environ.setdefault(setting, value)
    with _importing:
        lancedb = _lancedb()
    connection: DBConnection = lancedb.connect(folder)
    return connection


def _lancedb() -> ModuleType:
    """LanceDB, in a third of the time that its import takes by itself.

    It imports pandas, and an HTTP client of remote catalogues of which it only needs the models.
    The client's package is stood in for by one without its code while that happens; whoever
    imports it later gets the whole of it.
    """
    keep_pandas_out()
    spec = None if _CLIENT in sys.modules else find_spec(_CLIENT)
    if spec is not None:
        stand_in = ModuleType(_CLIENT)
        stand_in.__spec__ = spec
        stand_in.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[_CLIENT] = stand_in
    try:
        import lancedb
    finally:
        if spec is not None:
            del sys.modules[_CLIENT]
    return lancedb
