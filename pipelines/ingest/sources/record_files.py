"""The local files of a records source: one file, a folder, or a pattern."""

from __future__ import annotations

import glob
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lineage.errors import ConfigError
from pipelines.ingest.sources import keys
from pipelines.ingest.sources.base import SourceUnavailable
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.record_tables import UnusableTable

_LOG = logging.getLogger(__name__)
TABLE_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of records, on local disk."""

    path: str
    name: str
    """Its own name, below the source's root; the suffix is the format."""
    uri: str
    version: str
    local: bool = True
    """Whether `path` is the table itself, and no copy that nobody else writes to."""


def local_files(uri: str, globs: Globs, where: str) -> Iterator[TableFile]:
    """The tables at a local path: a file, a folder (by `globs`), or a pattern with `*`.

    Symbolic links in a folder are not followed.

    Raises:
        ConfigError: there is none, or it is no regular file.
        SourceUnavailable: some folder or file cannot be looked at.
    """
    if os.path.isdir(uri):
        found = list(_below(uri, globs, where))
    elif os.path.lexists(uri) or not glob.has_magic(uri):
        found = [(uri, os.path.basename(uri))]
    else:
        root = _folder_of(uri)
        paths = sorted(p for p in glob.glob(uri, recursive=True) if is_table(p))
        found = [(path, os.path.relpath(path, root)) for path in paths]
    if not found:
        raise ConfigError(no_table(uri, where))
    for path, name in found:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            raise ConfigError(
                f"{where}: the table {keys.printable(path)!r} does not exist; create it, or "
                "correct the path"
            ) from None
        except OSError as error:
            raise unreadable(path, where, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(
                f"{where}: {keys.printable(path)!r} is not a regular file; name a table of "
                f"records ({', '.join(TABLE_SUFFIXES)})"
            )
        yield TableFile(path, keys.escape(name), keys.uri_of("file://", path), _version(status))


def is_table(name: str) -> bool:
    """Whether a file of this name is a table of records."""
    return name.lower().endswith(TABLE_SUFFIXES)


def no_table(uri: str, where: str) -> str:
    """The message for a place without any table."""
    return (
        f"{where}: {uri!r} holds no table of records; supported are "
        f"{', '.join(TABLE_SUFFIXES)}, and `include` must match"
    )


def unreadable(path: str, where: str, error: OSError) -> SourceUnavailable:
    """The error for a file or folder that is there and cannot be read."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    return SourceUnavailable(
        f"{where}: {keys.printable(path)!r} cannot be read: {reason}; check its rights"
    )


@contextmanager
def reading(file: TableFile, where: str) -> Iterator[None]:
    """Tell a table that cannot be read, or that somebody writes to meanwhile, as what it is.

    Raises:
        ConfigError: the file is not of its format.
        SourceUnavailable: rows may be missing, so none may be taken for deleted.
    """
    try:
        yield
    except OSError as error:
        raise unreadable(file.path, where, error) from error
    except ConfigError as error:
        _check_unmoved(file, where)
        if isinstance(error, UnusableTable):
            raise ConfigError(f"{where}: {error}") from error
        raise
    _check_unmoved(file, where)


def _check_unmoved(file: TableFile, where: str) -> None:
    if not file.local:
        return
    try:
        now = _version(os.stat(file.path))
    except OSError:
        now = "gone"
    if now != file.version:
        raise SourceUnavailable(
            f"{where}: the table {file.name!r} was written to while it was read, so rows may be "
            "missing; run the command again once it is complete"
        )


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def _folder_of(pattern: str) -> str:
    """The folder that a pattern starts from."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _below(folder: str, globs: Globs, where: str) -> Iterator[tuple[str, str]]:
    def fail(error: OSError) -> None:
        raise unreadable(error.filename or folder, where, error) from error

    for base, folders, names in os.walk(folder, onerror=fail):
        relative = os.path.relpath(base, folder)
        prefix = "" if relative == "." else f"{relative}/"
        folders[:] = sorted(name for name in folders if globs.enters(prefix + name))
        for name in sorted(names):
            path = os.path.join(base, name)
            if not is_table(name) or not globs.match(prefix + name):
                continue
            if os.path.islink(path):
                _LOG.warning(
                    "%s: %r is a symbolic link, which is not followed; name the table itself",
                    where,
                    keys.printable(path),
                )
                continue
            yield path, prefix + name
