"""Asking ADLS Gen2 for the access lists of files and of the directories above them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree

from lineage.acl import Acl
from lineage.errors import ConfigError, MissingExtra
from pipelines.azure_account import AzureAccount
from pipelines.ingest.sources.adls_rights import NARROWED, PathAcl, Resolved, resolve
from pipelines.ingest.sources.azure_client import (
    ContainerAddress,
    client_options,
    credential,
    error_code,
    explain,
    patiently,
)

if TYPE_CHECKING:
    from azure.storage.filedatalake import FileSystemClient

_LOG = logging.getLogger(__name__)
_THREADS = 16
WINDOW = 512
"""Files whose access lists are asked for together."""
FIRST_WINDOW = 16
"""The first ones, so that whoever only wants to see one file need not wait for many."""


@dataclass(frozen=True, slots=True)
class AdlsRights:
    """How access lists of the lake become those of documents."""

    reader_users: frozenset[str] = frozenset()
    """Who may read by a role on the container or the account."""
    reader_groups: frozenset[str] = frozenset()
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group to the groups in it."""
    narrow: bool = False
    """Where a flat list cannot say the same, use a narrower one instead of `unknown`."""


Stated = tuple[str, str, str]
"""Owner, owning group and access list of a path, as the service says them."""


class StatedLists:
    """The access lists that come with the pages of a listing (`include=permissions`).

    The library's own records have no room for them, so pages are read a second time. What is not
    there, of a service that does not know the option, has to be asked for.
    """

    def __init__(self) -> None:
        self._page: dict[str, Stated] = {}

    def hook(self, response: Any) -> None:
        """Take what a page says; for `raw_response_hook`."""
        if response.http_response.status_code == 200:
            self._page = stated_in(response.http_response.body())

    def take(self) -> dict[str, Stated]:
        """What the newest page said, by path."""
        page, self._page = self._page, {}
        return page


def stated_in(page: bytes) -> dict[str, Stated]:
    """The access lists in a page of List Blobs, by path; paths without one are left out."""
    found: dict[str, Stated] = {}
    for blob in ElementTree.fromstring(page).iterfind("Blobs/Blob"):
        name, properties = blob.find("Name"), blob.find("Properties")
        if name is None or properties is None or not name.text:
            continue
        owner, group, acl = (properties.findtext(key) for key in ("Owner", "Group", "Acl"))
        if owner and group and acl:
            encoded = name.get("Encoded") == "true"
            found[unquote(name.text) if encoded else name.text] = owner, group, acl
    return found


class AdlsAcls:
    """The ACLs of files in one container, as they are during one listing.

    What the listing has said is taken from there. Everything else is asked for, directories once,
    files each time: the service's ETags do not promise to move with an access list.

    Args:
        address: of the container.
        where: the configuration's key of the source, for messages.
        settings: how lists become rights.
        key: the configuration's key of `settings`.
    """

    def __init__(
        self, address: ContainerAddress, where: str, settings: AdlsRights, key: str = "acl"
    ) -> None:
        self._address = address
        self._where = where
        self._key = key
        self._settings = settings
        self._client = connect(address, where)
        self._stated: Mapping[str, Stated] = {}
        self._folders: dict[str, PathAcl | str] = {}
        self._resolved: dict[tuple[PathAcl, ...], Acl] = {}

    def check(self) -> None:
        """Ask for the root's list, without which nothing can be said of any file.

        Raises:
            ConfigError: the account has no hierarchical namespace, or access is denied.
            SourceUnavailable: the service does not answer.
        """
        from azure.core.exceptions import AzureError

        try:
            self._folders["/"] = self._read("/")
        except AzureError as error:
            if getattr(error, "status_code", None) in (400, 405, 409):
                raise ConfigError(
                    f"{self._key}: `from: adls` needs an account with "
                    f"hierarchical namespace, and {self._address.uri!r} answers "
                    f"{error_code(error) or getattr(error, 'status_code', '')} when asked for an "
                    "access list; take `from` out, or name another account"
                ) from error
            raise explain(error, self._address, self._where) from error
        except ValueError as error:
            self._folders["/"] = f"/: {error}"

    def take(self, said: StatedLists, folders: Sequence[str]) -> None:
        """Take what the newest page of the listing said, for good of the directories in it."""
        self._stated = said.take()
        for folder in folders:
            name = folder.rstrip("/")
            if name in self._stated:
                self._folders[name] = self._told(name)

    def of(self, names: Sequence[str]) -> Iterator[Acl]:
        """The ACL of each file, in order.

        Args:
            names: paths in the container, without a `/` before them.
        """
        above = [_above(name) for name in names]
        wanted = {folder for folders in above for folder in folders} - self._folders.keys()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="adls-acl") as executor:
            order = sorted(wanted)
            self._folders.update(zip(order, executor.map(self._told, order), strict=True))
            files = executor.map(self._told, names)
            for folders, file in zip(above, files, strict=True):
                yield self._acl([*(self._folders[folder] for folder in folders), file])

    def _acl(self, paths: Sequence[PathAcl | str]) -> Acl:
        problem = next((path for path in paths if isinstance(path, str)), None)
        if problem is not None:
            return Acl.unknown(f"adls: {problem}")
        key = tuple(path for path in paths if isinstance(path, PathAcl))
        found = self._resolved.get(key)
        if found is None:
            found = self._resolved[key] = self._flat(key)
        return found

    def _flat(self, paths: tuple[PathAcl, ...]) -> Acl:
        settings = self._settings
        resolved: Resolved = resolve(
            paths,
            reader_users=settings.reader_users,
            reader_groups=settings.reader_groups,
            nested=settings.nested,
        )
        if resolved.inexact is None:
            return resolved.acl
        if settings.narrow:
            return resolved.acl.with_origin(f"{NARROWED}: {resolved.inexact}")
        return Acl.unknown(f"adls: {resolved.inexact}, which no flat list can say")

    def _told(self, name: str) -> PathAcl | str:
        """The access list at a path, or why there is none to go by."""
        from azure.core.exceptions import AzureError

        try:
            stated = self._stated.get(name)
            return self._read(name) if stated is None else _parsed(*stated)
        except AzureError as error:
            status = getattr(error, "status_code", None)
            reason = error_code(error) or (str(status) if status else type(error).__name__)
        except ValueError as error:
            reason = str(error)
        return f"{name}: {' '.join(reason.split())[:300]}"

    def _read(self, name: str) -> PathAcl:
        path = self._client.get_file_client(name)
        said: Mapping[str, Any] = patiently(lambda: path.get_access_control(upn=False))
        return _parsed(said.get("owner") or "", said.get("group") or "", said.get("acl") or "")


_parsed = lru_cache(maxsize=4_096)(PathAcl.parse)


def _above(name: str) -> list[str]:
    """The directories on the way to a file, the root first."""
    parts = name.split("/")[:-1]
    return ["/", *("/".join(parts[: n + 1]) for n in range(len(parts)))]


def connect(address: ContainerAddress, where: str) -> FileSystemClient:
    """A new client of the container's file system. Nothing is sent yet.

    Raises:
        ConfigError: no account is named, or the credentials are not well-formed.
        MissingExtra: the Azure libraries are not installed.
    """
    try:
        from azure.storage.filedatalake import ExponentialRetry, FileSystemClient
    except ImportError as error:
        raise MissingExtra(
            f"{where}: access lists of {address.uri} need azure-storage-file-datalake; "
            "pip install 'gristmill[azure]'"
        ) from error
    account = AzureAccount.from_environment(address.uri, where)
    try:
        return FileSystemClient(
            account.dfs_endpoint,
            address.container,
            credential=credential(account),
            **client_options(ExponentialRetry),
        )
    except ValueError as error:
        raise ConfigError(
            f"{where}: the credentials in the environment for {address.uri} are not well-formed "
            f"({error}); copy them again from the storage account's access keys"
        ) from None
