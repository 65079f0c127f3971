"""Whether a lake can be reached at all, before anything is read from it or written to it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lineage.errors import ConfigError, TransientError
from pipelines.config import Config
from pipelines.object_store import explain, readable
from pipelines.storage import Storage


def check_lake(config: Config, *, write: bool = False, chunks: bool = True) -> None:
    """Make sure that the lake answers, and with `write` that it may be written to.

    A lake that does not exist yet is fine when its folder can be made. With `chunks` the
    strategies' tables are looked at as well as that of the documents.

    Raises:
        ConfigError: the path is no folder or not writable, the container does not exist, or it
            lets nobody in.
        TransientError: the store does not answer.
        SchemaVersionError: a newer version of gristmill wrote one of the tables.
    """
    from pipelines.tables import Lake

    storage = Storage.from_uri(config.lake)
    if storage.is_local:
        _check_folder(config, Path(storage.uri), write)
    where = config.place.at("lake")
    storage.check(where, write=write)
    try:
        lake = Lake(storage)
        names = [strategy.name for strategy in config.strategies] if chunks else []
        for table in (lake.documents, *map(lake.chunks, names)):
            table.exists  # noqa: B018 - opening it is the question
    except OSError as error:
        if storage.is_local:
            raise TransientError(
                f"{where}: {config.lake!r} cannot be read: {readable(error)}; check its rights"
            ) from error
        raise explain(error, config.lake, where) from error


def _check_folder(config: Config, folder: Path, write: bool) -> None:
    for path in (folder, folder / "documents", folder / "chunks"):
        if path.exists() and not path.is_dir():
            raise ConfigError(
                f"{config.place.at('lake')}: {path} is a file, where a lake has a folder; name "
                "another folder, for example `lake: .gristmill/lake`"
            )
    around = folder
    while not around.exists() and around != around.parent:
        around = around.parent
    try:
        if write:
            # Rights alone do not tell: the file system may be read-only, or refuse folders.
            with tempfile.TemporaryDirectory(prefix=".gristmill-", dir=around):
                pass
        else:
            os.scandir(around).close()
    except OSError as error:
        raise ConfigError(
            f"{config.place.at('lake')}: {folder} cannot be {'written to' if write else 'read'} "
            f"({error.strerror}): check the rights of {around}, or name another folder, for "
            "example `lake: .gristmill/lake`"
        ) from error
