"""The blobs of a records source: one blob, or those below a path."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from lineage.errors import ConfigError
from pipelines.ingest.sources import keys
from pipelines.ingest.sources.base import SourceUnavailable
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.record_files import TableFile, is_table, no_table


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
        from azure.core.exceptions import AzureError, ResourceModifiedError

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
                    if blob.name == name or (inside and is_table(blob.name)):
                        found[blob.name] = blob
            if name in found:
                found = {name: found[name]}
            if not found:
                raise ConfigError(no_table(uri, where))
            for blob in found.values():
                yield TableFile(
                    path=self._copy(container, blob),
                    name=keys.escape(
                        name.rpartition("/")[2]
                        if blob.name == name
                        else blob.name[len(address.prefix) :]
                    ),
                    uri=keys.uri_of(address.base, blob.name),
                    version=blob.etag.strip('"'),
                    local=False,
                )
        except ResourceModifiedError as error:
            raise SourceUnavailable(
                f"{where}: a table at {uri!r} was written to while it was copied; run the command "
                "again once it is complete"
            ) from error
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
