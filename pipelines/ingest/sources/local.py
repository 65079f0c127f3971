"""A local folder as a source.

Files are listed in the order of their keys. Symbolic links are not followed: one to something
that is listed under its own path is passed over, any other is listed with a problem. What is not
a regular file (FIFO, device, socket) is listed with a problem and never opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lineage.acl import Acl
from lineage.errors import ConfigError
from pipelines.config.place import ConfigPlace
from pipelines.ingest.sources import keys
from pipelines.ingest.sources.base import (
    MAX_DOCUMENT_BYTES,
    Fetched,
    FetchError,
    Listed,
    SourceUnavailable,
    too_large,
)
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.local_walk import FILE_FLAGS, Walk, version_of

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class LocalSource:
    """The files below `root` that `globs` takes."""

    name: str
    root: str
    globs: Globs = field(default_factory=Globs)
    default: Acl | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    place: ConfigPlace = field(default=ConfigPlace("sources[]"), compare=False, repr=False)
    """Where it stands in the configuration, for messages."""

    def list(self, known: Mapping[str, Acl] | None = None) -> Iterator[Listed]:
        """See `Source.list`; `known` is not needed here."""
        self._check_root()
        walk = Walk(os.path.realpath(self.root), self.globs, self.default, self.labels)
        yield from walk.run()
        if walk.failures:
            raise SourceUnavailable(
                f"source {self.name!r}: {len(walk.failures)} of its folders and files cannot be "
                f"looked at, so what is there is not known: {'; '.join(walk.failures[:3])}; "
                "check their rights"
            )

    def fetch(self, listed_key: str, version: str) -> Fetched:
        """See `Source.fetch`."""
        try:
            descriptor = self._open(listed_key)
        except OSError as error:
            raise _fetch_error(error) from error
        try:
            return Fetched(_read(descriptor, version), version)
        except OSError as error:
            raise _fetch_error(error) from error
        finally:
            os.close(descriptor)

    def _check_root(self) -> None:
        where = self.place.at("uri")
        root = keys.printable(self.root)
        try:
            mode = os.stat(self.root).st_mode
        except FileNotFoundError:
            raise ConfigError(
                f"{where}: the folder {root!r} does not exist; create it, or correct the path"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{where}: the folder {root!r} cannot be read: {error.strerror}; "
                "check its permissions"
            ) from error
        if not stat.S_ISDIR(mode):
            raise ConfigError(
                f"{where}: {root!r} is not a folder; name the folder it is in, and "
                f'`include: ["{keys.printable(os.path.basename(self.root))}"]`, or a table of '
                "records (.parquet, .jsonl, .csv)"
            )

    def _open(self, key: str) -> int:
        """Walk down from the root without following a link at any step."""
        *folders, last = key.split("/")
        folder = os.open(self.root, _FOLDER_FLAGS)
        try:
            for part in folders:
                below = _open_component(folder, part, _FOLDER_FLAGS | os.O_NOFOLLOW)
                os.close(folder)
                folder = below
            return _open_component(folder, last, FILE_FLAGS)
        finally:
            os.close(folder)


def _open_component(folder: int, part: str, flags: int) -> int:
    name = keys.name_of(part)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise FileNotFoundError(errno.ENOENT, "not a key of this source", part)
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        if part.isascii() and "%" not in part:
            raise
        # The name on disk may be composed differently from the key, which is in NFC.
        for other, key in keys.component_keys(os.listdir(folder)).items():
            if key == part:
                return os.open(other, flags, dir_fd=folder)
        raise


def _read(descriptor: int, version: str) -> bytes:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise FetchError("unsupported", "not a regular file any more")
    if version_of(before) != version:
        raise FetchError("changed_during_read", "the file has changed since it was listed")
    problem = too_large(before.st_size)
    if problem:
        raise FetchError(*problem)
    pieces = []
    size = 0
    while piece := os.read(descriptor, min(1 << 20, max(before.st_size - size, 0) + 1)):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_DOCUMENT_BYTES:
            raise FetchError("limit_size", f"more than {MAX_DOCUMENT_BYTES} bytes")
    if size != before.st_size or version_of(os.fstat(descriptor)) != version:
        raise FetchError("changed_during_read", "the file changed while it was read")
    return b"".join(pieces)


def _fetch_error(error: OSError) -> FetchError:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FetchError("not_found", "the file is gone since it was listed")
    if error.errno == errno.ELOOP:
        return FetchError("changed_during_read", "a symbolic link has taken the file's place")
    return FetchError("transient_io", f"the file cannot be read: {reason}")
