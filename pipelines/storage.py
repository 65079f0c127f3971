"""Where bytes live: a local folder or a container, behind one picklable value.

    >>> lake = Storage.from_uri("az://docs/lake")
    >>> (lake / "_runs").list()

Credentials are never part of the value. They come from the environment of the process that
uses it; see `pipelines.azure_account`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lineage import ConfigError
from pipelines.azure_account import SCHEMES, AzureAccount

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_NATIVE_SCHEMES = ("s3", "gs")


@dataclass(frozen=True, slots=True)
class Storage:
    """A folder: an absolute local path, or a URI such as `az://container/path`."""

    uri: str

    @classmethod
    def from_uri(cls, uri: str | os.PathLike[str]) -> Storage:
        """Normalise `uri`.

        Raises:
            ConfigError: the scheme is not supported, the container's name is missing, or the
                path is not one on which all libraries agree.
        """
        text = os.fspath(uri)
        parts = urlsplit(text)
        if parts.scheme == "file":
            return cls(os.path.abspath(unquote(parts.path)))
        if "://" not in text:
            return cls(os.path.abspath(text))
        if parts.scheme not in (*SCHEMES, *_NATIVE_SCHEMES):
            raise ConfigError(
                f"{text!r} has the unknown scheme {parts.scheme!r}; use a local folder, "
                "az://container/path or abfss://container@account.dfs.core.windows.net/path"
            )
        if not parts.netloc:
            raise ConfigError(f"{text!r} names no container; write {parts.scheme}://container/path")
        text = text.rstrip("/")
        if set("%#?") & set(text) or "//" in text.partition("://")[2]:
            # Libraries disagree on whether these are part of a name.
            raise ConfigError(
                f"{text.partition('?')[0]!r}: the path of tables in a container can hold no `%`, "
                "`#`, `?` and no empty part; name another one, and keep credentials in the "
                "environment"
            )
        return cls(text)

    @property
    def is_local(self) -> bool:
        """Whether this is a folder of this machine."""
        return "://" not in self.uri

    def __truediv__(self, name: str) -> Storage:
        return Storage(f"{self.uri}/{name}")

    def filesystem(self) -> tuple[FileSystem, str]:
        """A pyarrow file system, and the path of this folder in it."""
        import pyarrow.fs as fs

        if self.is_local:
            return fs.LocalFileSystem(), self.uri
        return self._filesystem(self.delta_options())

    def _filesystem(self, options: dict[str, str] | None) -> tuple[FileSystem, str]:
        from pipelines import object_store

        scheme, _, rest = self.uri.partition("://")
        container, _, path = rest.partition("/")
        return object_store.filesystem(f"{scheme}://{container}", options), path

    def check(self, where: str, *, write: bool = False) -> None:
        """Ask a container for a listing, and the first time with `write` also if it may be written.

        Does nothing for a local folder.

        Args:
            where: the configuration key that names this folder, for messages.
            write: whether it must be writable.

        Raises:
            ConfigError: there is no such container, or it lets nobody in.
            TransientError: it does not answer within seconds.
        """
        if self.is_local:
            return
        import pyarrow.fs as fs

        from pipelines import object_store

        if urlsplit(self.uri).scheme in SCHEMES:
            AzureAccount.from_environment(self.uri, where)
        try:
            options = (self.delta_options() or {}) | object_store.IMPATIENT
            filesystem, path = self._filesystem(options)
            found = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
            if write and not found:
                name = f".gristmill-{uuid.uuid4().hex}"
                self.write_bytes(name, b"")
                self.delete(name)
        except OSError as error:
            raise object_store.explain(error, self.uri, where) from error

    def delta_options(self) -> dict[str, str] | None:
        """`storage_options` for the deltalake library."""
        if self.is_local or urlsplit(self.uri).scheme not in SCHEMES:
            return None
        return AzureAccount.from_environment(self.uri).object_store_options()

    def read_bytes(self, name: str) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: there is none.
        """
        filesystem, root = self.filesystem()
        with filesystem.open_input_stream(f"{root}/{name}") as stream:
            data: bytes = stream.read()
        return data

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write an object whole: readers see the old or the new one, never a part."""
        filesystem, root = self.filesystem()
        path = f"{root}/{name}"
        if self.is_local:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
            try:
                temporary.write_bytes(data)
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
            return
        with filesystem.open_output_stream(path) as stream:
            stream.write(data)

    def size(self, name: str) -> int | None:
        """Size in bytes of an object, or null when there is none."""
        import pyarrow.fs as fs

        filesystem, root = self.filesystem()
        info = filesystem.get_file_info(f"{root}/{name}")
        return info.size if info.type == fs.FileType.File else None

    def exists(self, name: str = "") -> bool:
        """Whether there is an object or a folder of that name."""
        import pyarrow.fs as fs

        filesystem, root = self.filesystem()
        path = f"{root}/{name}" if name else root
        return bool(filesystem.get_file_info(path).type != fs.FileType.NotFound)

    def folders(self) -> list[str]:
        """Names of the folders right in this one, sorted; none when it does not exist."""
        import pyarrow.fs as fs

        filesystem, root = self.filesystem()
        infos = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True))
        return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)

    def list(self) -> list[str]:
        """Names of the objects right in this folder, sorted; none when it does not exist."""
        import pyarrow.fs as fs

        filesystem, root = self.filesystem()
        infos = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True))
        return sorted(info.base_name for info in infos if info.type == fs.FileType.File)

    def files(self) -> dict[str, int]:
        """All objects below this folder: path relative to it, and size in bytes."""
        import pyarrow.fs as fs

        filesystem, root = self.filesystem()
        selector = fs.FileSelector(root, allow_not_found=True, recursive=True)
        return {
            info.path[len(root) :].lstrip("/"): info.size
            for info in filesystem.get_file_info(selector)
            if info.type == fs.FileType.File
        }

    def delete_folder(self) -> int:
        """Remove everything below this folder, and it; returns how many objects there were."""
        names = tuple(self.files())
        for name in names:
            self.delete(name)
        if self.is_local:
            shutil.rmtree(self.uri, ignore_errors=True)
        return len(names)

    def delete(self, name: str) -> None:
        """Remove an object; no object is fine."""
        filesystem, root = self.filesystem()
        try:
            filesystem.delete_file(f"{root}/{name}")
        except FileNotFoundError:
            return

    def make_folder(self) -> None:
        """Create the folder where the store has real folders."""
        if self.is_local:
            os.makedirs(self.uri, exist_ok=True)
