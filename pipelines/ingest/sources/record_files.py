"""The files of a records source: one local file, a folder or glob of them, or blobs."""

from __future__ import annotations

import atexit
import glob
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lineage.errors import ConfigError
from pipelines.ingest.sources import keys
from pipelines.ingest.sources.base import SourceUnavailable
from pipelines.ingest.sources.globs import Globs

TABLE_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of records, on local disk."""

    path: str
    name: str
    """Last part of its own name, whose suffix is the format."""
    uri: str
    version: str


def local_files(uri: str, globs: Globs, where: str) -> Iterator[TableFile]:
    """The tables at a local path: a file, a folder (by `globs`), or a pattern with `*`.

    Raises:
        ConfigError: there is none.
    """
    if os.path.isdir(uri):
        paths = [path for path in _below(uri, globs)]
    elif os.path.exists(uri) or not glob.has_magic(uri):
        paths = [uri]
    else:
        paths = sorted(p for p in glob.glob(uri, recursive=True) if p.endswith(TABLE_SUFFIXES))
    if not paths:
        raise ConfigError(
            f"{where}: {uri!r} holds no table of records; supported are "
            f"{', '.join(TABLE_SUFFIXES)}, and `include` must match"
        )
    for path in paths:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            raise ConfigError(
                f"{where}: the table {path!r} does not exist; create it, or correct the path"
            ) from None
        except OSError as error:
            raise SourceUnavailable(f"{where}: {path!r} cannot be read: {error}") from error
        version = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
        yield TableFile(path, os.path.basename(path), keys.uri_of("file://", path), version)


def _below(folder: str, globs: Globs) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        relative = os.path.relpath(base, folder)
        prefix = "" if relative == "." else f"{relative}/"
        folders[:] = sorted(name for name in folders if globs.enters(prefix + name))
        for name in sorted(names):
            if name.lower().endswith(TABLE_SUFFIXES) and globs.match(prefix + name):
                yield os.path.join(base, name)


class BlobTables:
    """Tables in a container, copied to a temporary folder once for each process and version."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: str | None = None
        self._owner = -1
        self._copies: dict[tuple[str, str], str] = {}

    def files(self, uri: str, globs: Globs, where: str) -> Iterator[TableFile]:
        """The tables at `uri`: a blob, or a path that holds some (by `globs`).

        Raises:
            ConfigError: there is none, or the container lets nobody in.
            SourceUnavailable: it does not answer.
        """
        from azure.core.exceptions import AzureError

        from pipelines.ingest.sources.azure_client import ContainerAddress, client, explain, pages

        address = ContainerAddress.parse(uri, where)
        try:
            container = client(address, where)
            name = address.prefix.rstrip("/")
            found: dict[str, Any] = {}
            for page in pages(container, name_starts_with=name or None):
                for blob in page:
                    inside = blob.name.startswith(address.prefix) and globs.match(
                        blob.name[len(address.prefix) :]
                    )
                    if blob.name == name or (inside and blob.name.lower().endswith(TABLE_SUFFIXES)):
                        found[blob.name] = blob
            if name in found:
                found = {name: found[name]}
            if not found:
                raise ConfigError(
                    f"{where}: {uri!r} holds no table of records; supported are "
                    f"{', '.join(TABLE_SUFFIXES)}, and `include` must match"
                )
            for blob in found.values():
                yield TableFile(
                    path=self._copy(container, blob),
                    name=blob.name.rpartition("/")[2],
                    uri=keys.uri_of(address.base, blob.name),
                    version=blob.etag.strip('"'),
                )
        except AzureError as error:
            raise explain(error, address, where) from error

    def _copy(self, container: Any, blob: Any) -> str:
        from azure.core import MatchConditions

        from pipelines.ingest.sources.azure_client import patiently

        etag = blob.etag.strip('"')
        with self._lock:
            if self._folder is None or self._owner != os.getpid():
                self._folder, self._owner = (
                    tempfile.mkdtemp(prefix="gristmill-records-"),
                    os.getpid(),
                )
                self._copies = {}
                atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            key = (f"{container.url}/{blob.name}", etag)
            if key not in self._copies:
                path = os.path.join(self._folder, str(len(self._copies)))
                download = patiently(
                    lambda: container.download_blob(
                        blob.name, etag=f'"{etag}"', match_condition=MatchConditions.IfNotModified
                    )
                )
                with open(path, "wb") as file:
                    download.readinto(file)
                self._copies[key] = path
            return self._copies[key]
