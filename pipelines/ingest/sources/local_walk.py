"""One listing of a local folder: its files, their ACL files, and what could not be listed."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lineage.acl import Acl
from pipelines.ingest.sources import acls, keys, sidecars
from pipelines.ingest.sources.base import Listed, too_large
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.sidecars import Sidecars

FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LOG = logging.getLogger(__name__)
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
    """What the folders above say."""


class Walk:
    """The files below `root` that `globs` takes, in the order of their keys.

    Args:
        root: a real path, without links.
        globs: which keys are taken.
        default: the ACL of what has none.
        labels: those of every document.
    """

    def __init__(
        self, root: str, globs: Globs, default: Acl | None, labels: Mapping[str, str]
    ) -> None:
        self._root = root
        self._globs = globs
        self._default = default
        self._labels = labels
        self._unseen: list[str] = []
        self.failures: list[str] = []
        """Folders and files that could not be looked at, after `run`."""

    def run(self) -> Iterator[Listed]:
        """The listing. Nothing but ACL files is opened."""
        # A stack of iterators instead of recursion: no depth of folders is too deep for it.
        uri = keys.uri_of("file://", self._root.rstrip("/") + "/")
        stack = [self._folder(_Folder(self._root, "", uri, None))]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
            elif isinstance(found, _Folder):
                stack.append(self._folder(found))
            else:
                yield found
        if self._unseen:
            _LOG.warning("%s", sidecars.unseen_message(self._unseen))

    def _folder(self, folder: _Folder) -> Iterator[Listed | _Folder]:
        try:
            with os.scandir(folder.path) as scan:
                entries = {entry.name: entry for entry in scan}
        except OSError as error:
            if folder.key == "" or error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self.failures.append(f"{keys.printable(folder.path)}: {error.strerror}")
            return
        names = keys.component_keys(entries)
        folders = {name for name, entry in entries.items() if _is_folder(entry)}
        rights = self._rights(folder, names)
        own = rights.of("")
        acl = folder.acl if own is None else own
        for name in sorted(entries, key=lambda n: names[n] + "/" * (n in folders)):
            key = folder.key + names[name]
            if name in folders:
                if self._globs.enters(key):
                    uri = keys.uri_of(folder.uri, f"{name}/")
                    yield _Folder(entries[name].path, f"{key}/", uri, acl)
                continue
            rights.seen(name)
            if sidecars.target_of(name) is None and self._globs.match(key):
                uri = keys.uri_of(folder.uri, name)
                listed = self._file(key, uri, entries[name], rights.of(name), acl)
                if listed is not None:
                    yield listed
        self._unseen += rights.unseen()

    def _rights(self, folder: _Folder, names: Mapping[str, str]) -> Sidecars:
        rights = Sidecars()
        for name in sorted(names):
            target = sidecars.target_of(name)
            if target is not None:
                acl = _read_acl(os.path.join(folder.path, name), folder.key + names[name])
                if acl is not None:
                    rights.add(target, folder.key + names[name], acl)
        return rights

    def _file(
        self,
        key: str,
        uri: str,
        entry: os.DirEntry[str],
        own: Acl | None,
        folder: Acl | None,
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
        return Listed(
            key=key,
            uri=uri,
            version=version_of(status),
            size=status.st_size,
            modified_at=_modified_at(status),
            acl=acls.resolve(file=own, stated=None, folder=folder, default=self._default),
            labels=self._labels,
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
        listed = os.path.isdir(target) or self._globs.match(keys.escape(below))
        hidden = any(part.startswith(".") for part in below.split("/"))
        if (listed and not hidden) or self._globs.excluded(keys.escape(below)):
            _LOG.debug("%s is a link to %s and passed over", path, below)
            return None
        return (
            f"a symbolic link to {keys.printable(below)}, which this source does not list itself; "
            "include that one"
        )


def version_of(status: os.stat_result) -> str:
    """A local file's version."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def _modified_at(status: os.stat_result) -> datetime | None:
    """A local file's time of modification in UTC, or null when no calendar holds it."""
    try:
        return _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
    except OverflowError:
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _read_acl(path: str, key: str) -> Acl | None:
    """The ACL in the file at `path`; null when it is gone by now."""
    try:
        return acls.from_sidecar(_read_small(path), key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return acls.unreadable(key, getattr(error, "strerror", None) or str(error))


def _read_small(path: str) -> bytes:
    descriptor = os.open(path, FILE_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(acls.MAX_SIDECAR_BYTES + 1)
    finally:
        os.close(descriptor)
