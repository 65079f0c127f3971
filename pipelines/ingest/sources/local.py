"""A local folder as a source.

Files are listed in the order of their keys. Symbolic links are not followed: one to something
that is listed under its own path is passed over, any other is listed with a problem. What is not
a regular file (FIFO, device, socket) is listed with a problem and never opened.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from lineage.acl import Acl
from lineage.errors import ConfigError
from pipelines.ingest.sources import acls, keys
from pipelines.ingest.sources.base import (
    MAX_DOCUMENT_BYTES,
    Fetched,
    FetchError,
    Listed,
    SourceUnavailable,
    too_large,
)
from pipelines.ingest.sources.globs import Globs

_LOG = logging.getLogger(__name__)
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    key: str
    """With a `/` at its end, or empty for the root."""
    uri: str
    """Likewise."""
    acl: Acl | None


@dataclass(frozen=True)
class LocalSource:
    """The files below `root` that `globs` takes."""

    name: str
    root: str
    globs: Globs = field(default_factory=Globs)
    default: Acl | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def list(self, known: Mapping[str, Acl] | None = None) -> Iterator[Listed]:
        """See `Source.list`; `known` is not needed here."""
        self._check_root()
        walk = _Walk(self, os.path.realpath(self.root))
        yield from walk.run()
        if walk.failures:
            raise SourceUnavailable(
                f"source {self.name!r}: {len(walk.failures)} folders cannot be listed, so what is "
                f"in them is not known; {'; '.join(walk.failures[:3])}"
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
        where = f"sources[{self.name}].uri"
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
            return _open_component(folder, last, _FILE_FLAGS)
        finally:
            os.close(folder)


def _open_component(folder: int, part: str, flags: int) -> int:
    name = keys.name_of(part)
    if name in ("", ".", "..") or "/" in name:
        raise FileNotFoundError(errno.ENOENT, "not a key of this source", part)
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        if part.isascii():
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


def version_of(status: os.stat_result) -> str:
    """A local file's version."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def modified_at(status: os.stat_result) -> datetime | None:
    """A local file's time of modification in UTC, or null when no calendar holds it."""
    try:
        return _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
    except OverflowError:
        return None


def _fetch_error(error: OSError) -> FetchError:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FetchError("not_found", "the file is gone since it was listed")
    if error.errno == errno.ELOOP:
        return FetchError("changed_during_read", "a symbolic link has taken the file's place")
    return FetchError("transient_io", f"the file cannot be read: {reason}")


class _Walk:
    """One listing: the folders below the root, their sidecars, and what could not be listed."""

    def __init__(self, source: LocalSource, root: str) -> None:
        self._source = source
        self._root = root
        self.failures: list[str] = []

    def run(self) -> Iterator[Listed]:
        # A stack of iterators instead of recursion: no depth of folders is too deep for it.
        stack = [
            self._folder(
                _Folder(self._root, "", keys.uri_of("file://", self._root.rstrip("/") + "/"), None)
            )
        ]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
            elif isinstance(found, _Folder):
                stack.append(self._folder(found))
            else:
                yield found

    def _folder(self, folder: _Folder) -> Iterator[Listed | _Folder]:
        try:
            with os.scandir(folder.path) as scan:
                entries = {entry.name: entry for entry in scan}
        except OSError as error:
            if folder.key == "" or error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self.failures.append(f"{keys.printable(folder.path)}: {error.strerror}")
            return
        acl = self._sidecar(folder, entries, acls.FOLDER_SIDECARS) or folder.acl
        folder = replace(folder, acl=acl)
        names = keys.component_keys(entries)
        order = sorted(entries, key=lambda n: names[n] + "/" * _is_folder(entries[n]))
        for name in order:
            if acls.is_sidecar(name):
                continue
            key = folder.key + names[name]
            if _is_folder(entries[name]):
                if self._source.globs.enters(key):
                    yield _Folder(
                        entries[name].path, f"{key}/", keys.uri_of(folder.uri, f"{name}/"), acl
                    )
            elif self._source.globs.match(key):
                listed = self._file(folder, key, entries[name], entries)
                if listed is not None:
                    yield listed

    def _file(
        self, folder: _Folder, key: str, entry: os.DirEntry[str], beside: Mapping[str, object]
    ) -> Listed | None:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None  # deleted since its folder was read
        except OSError as error:
            self.failures.append(f"{keys.printable(entry.path)}: {error.strerror}")
            return None
        problem: tuple[str, str] | None
        if stat.S_ISREG(status.st_mode):
            problem = too_large(status.st_size)
        elif stat.S_ISLNK(status.st_mode):
            reason = self._link(entry.path)
            if reason is None:
                return None
            problem = "unsupported", reason
        else:
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "not a regular file")
            problem = "unsupported", f"{kind}; only regular files are read"
        suffixes = [entry.name + suffix for suffix in acls.FILE_SIDECARS]
        return Listed(
            key=key,
            uri=keys.uri_of(folder.uri, entry.name),
            version=version_of(status),
            size=status.st_size,
            modified_at=modified_at(status),
            acl=acls.resolve(
                file=self._sidecar(folder, beside, suffixes),
                stated=None,
                folder=folder.acl,
                default=self._source.default,
            ),
            labels=self._source.labels,
            problem=problem,
        )

    def _link(self, path: str) -> str | None:
        """Why a symbolic link's target is not listed; null when it is, under its own path."""
        try:
            target = os.path.realpath(path, strict=True)
        except OSError as error:
            return f"a symbolic link that leads nowhere: {error.strerror}"
        below = os.path.relpath(target, self._root)
        if below == ".." or below.startswith("../"):
            return "a symbolic link that leads out of the source's folder; it is not followed"
        if below == ".":
            return None
        folder, _, name = below.rpartition("/")
        listed = os.path.isdir(target) or self._source.globs.match(keys.escape(below))
        hidden = any(part.startswith(".") for part in below.split("/"))
        if (listed and not hidden) or self._source.globs.excluded(keys.escape(below)):
            _LOG.debug("%s is a link to %s/%s and passed over", path, folder, name)
            return None
        return (
            f"a symbolic link to {keys.printable(below)}, which this source does not list itself; "
            "include that one"
        )

    def _sidecar(
        self, folder: _Folder, beside: Mapping[str, object], names: list[str] | tuple[str, ...]
    ) -> Acl | None:
        found = [name for name in names if name in beside]
        if not found:
            return None
        path = folder.key + keys.escape(found[0])
        if len(found) > 1:
            return acls.unreadable(path, f"{keys.escape(found[1])} is there as well; keep one")
        try:
            return acls.from_sidecar(_read_small(os.path.join(folder.path, found[0])), path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return acls.unreadable(path, reason)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _read_small(path: str) -> bytes:
    descriptor = os.open(path, _FILE_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(acls.MAX_SIDECAR_BYTES + 1)
    finally:
        os.close(descriptor)
