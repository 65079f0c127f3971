"""Containers as pyarrow file systems, through the library that also commits to Delta tables.

One library for files and commits means one way to find credentials and one set of time limits.
pyarrow's own Azure file system ends the whole process when an identity cannot be had, and waits
four minutes for a service that does not answer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lineage import ConfigError, GristmillError, TransientError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

IMPATIENT = {"timeout": "10s", "retry_timeout": "10s"}
"""Options for a question that any service which is there answers at once."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code:? (\d{3})")
_HOST = re.compile(r"https?://([^/\s?]+)")
_DENIED = ("401", "403")


def filesystem(container: str, options: Mapping[str, str] | None) -> FileSystem:
    """The file system of a container, made once for each process; paths are relative to it.

    Args:
        container: its URI, such as `az://docs`.
        options: `Storage.delta_options`.

    Raises:
        OSError: the options are not well-formed.
    """
    return _filesystem(container, tuple(sorted((options or {}).items())), os.getpid())


@lru_cache(maxsize=16)
def _filesystem(container: str, options: tuple[tuple[str, str], ...], _process: int) -> FileSystem:
    import pyarrow as pa
    import pyarrow.fs as fs
    from deltalake.fs import DeltaStorageHandler

    class Handler(DeltaStorageHandler):
        def open_output_stream(
            self, path: str, metadata: Mapping[str, str] | None = None
        ) -> pa.PythonFile:
            stream = self._handler.open_output_stream(path, dict(metadata or {}) or None)
            return pa.PythonFile(_Sink(stream), mode="w")

    return fs.PyFileSystem(Handler(container, dict(options)))


class _Sink:
    """An output stream that takes what pyarrow gives: the library wants plain bytes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.closed = False

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._stream.close()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def readable(error: BaseException) -> str:
    """An error's text on one line: the library draws trees in colour."""
    return " ".join(_COLOUR.sub("", str(error)).replace("↳", "").split())


def explain(error: OSError, uri: str, where: str) -> GristmillError:
    """What an error of a store means for whoever configured it.

    Args:
        error: as a file system or a Delta table raised it.
        uri: of the folder in question.
        where: the configuration key it comes from.
    """
    text = readable(error)
    found = _CODE.search(text)
    code = found[1] if found else ""
    status = _STATUS.search(text)
    said = code or (status[1] if status else "")
    container = uri.partition("://")[2].partition("/")[0].partition("@")[0]
    if code in ("ContainerNotFound", "NoSuchBucket"):
        return ConfigError(
            f"{where}: {uri!r}: there is no container {container!r}. Create it first, or correct "
            "its name."
        )
    if code in ("InvalidResourceName", "OutOfRangeInput"):
        return ConfigError(
            f"{where}: {uri!r}: {container!r} is not a container's name: 3 to 63 lower-case "
            "letters, digits and hyphens."
        )
    if "token request" in text or "CredentialUnavailable" in text or "azure-cli" in text:
        return ConfigError(
            f"{where}: {uri!r}: access denied: there is neither a key in the environment nor an "
            "Azure identity to use. Set AZURE_STORAGE_CONNECTION_STRING, or sign in with "
            "`az login`."
        )
    if (status and status[1] in _DENIED) or "necessary privileges" in text:
        return ConfigError(
            f"{where}: {uri!r}: access denied ({said or 'forbidden'}). Check "
            "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_KEY, or give the identity "
            "the role 'Storage Blob Data Contributor' on the container."
        )
    host = _HOST.search(text)
    place = f" at {host[1]}" if host else ""
    reason = said or ("" if "HTTP error" in text else text[:300])
    return TransientError(
        f"{where}: {uri!r} does not answer{place}{f' ({reason})' if reason else ''}. Check the "
        "address, the network and the credentials in the environment, and try again."
    )
