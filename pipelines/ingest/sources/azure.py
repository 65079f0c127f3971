"""An Azure Blob container, or a path in it, as a source (ADLS Gen2 likewise).

A blob's version is its etag. Neither its metadata's nor its index tags' changes need to move
it, so both are listed each time: metadata become labels and ACL, tags become labels.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from lineage.acl import Acl
from lineage.errors import ConfigError
from pipelines.config.place import ConfigPlace
from pipelines.ingest.sources import acls, keys, sidecars
from pipelines.ingest.sources.adls import (
    FIRST_WINDOW,
    WINDOW,
    AdlsAcls,
    AdlsRights,
    StatedLists,
)
from pipelines.ingest.sources.azure_client import (
    ContainerAddress,
    client,
    error_code,
    explain,
    pages,
    patiently,
    probe,
)
from pipelines.ingest.sources.azure_download import download, fetch_error, is_packed
from pipelines.ingest.sources.base import Fetched, FetchError, Listed, too_large
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.sidecars import Sidecars

_LOG = logging.getLogger(__name__)
_HELD_BLOBS = 20_000
"""A listing up to this length is asked for once; a longer one twice, instead of being held."""
_SIDECAR_THREADS = 8
_UNTOLD_TYPES = ("application/octet-stream", "")


@dataclass(frozen=True)
class AzureSource:
    """The blobs below `uri` that `globs` takes.

    Raises:
        ConfigError: `uri` is not of the form `az://container/path` or `abfss://…`.
    """

    name: str
    uri: str
    globs: Globs = field(default_factory=Globs)
    default: Acl | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    adls: AdlsRights | None = None
    """With it, rights come from the lake's own access lists, and from nowhere else."""
    place: ConfigPlace = field(default=ConfigPlace("sources[]"), compare=False, repr=False)
    """Where it stands in the configuration, for messages."""

    def __post_init__(self) -> None:
        ContainerAddress.parse(self.uri, self._where)

    def list(self, known: Mapping[str, Acl] | None = None) -> Iterator[Listed]:
        """See `Source.list`."""
        from azure.core.exceptions import AzureError

        try:
            yield from self._list(known or {})
        except AzureError as error:
            raise explain(error, self._address, self._where) from error

    def fetch(self, listed_key: str, version: str) -> Fetched:
        """See `Source.fetch`."""
        from azure.core.exceptions import AzureError

        name = self._address.prefix + keys.name_of(listed_key)
        try:
            return patiently(lambda: download(self._client(), name, version))
        except AzureError as error:
            raise fetch_error(error) from error

    @property
    def _where(self) -> str:
        return self.place.at("uri")

    @property
    def _address(self) -> ContainerAddress:
        return ContainerAddress.parse(self.uri, self._where)

    def _client(self) -> Any:
        return client(self._address, self._where)

    def _list(self, known: Mapping[str, Acl]) -> Iterator[Listed]:
        address = self._address
        container = self._client()
        probe(container, address.prefix)
        if self.adls is not None:
            yield from self._with_access_lists(container, self.adls)
            return
        found: dict[str, Any] = {}
        held: deque[Any] | None = deque()
        count = 0
        # The sidecar that holds for a blob may come after it, so all are known before any blob.
        for page in self._pages(container):
            for blob in page:
                count += 1
                if sidecars.target_of(blob.name.rpartition("/")[2]) is not None:
                    found[blob.name] = blob
                elif held is not None:
                    held.append(blob)
            if held is not None and len(held) > _HELD_BLOBS:
                held = None
        if not count:
            self._check_not_a_blob(container)
        again: Iterable[Iterable[Any]] = [held] if held is not None else self._pages(container)
        blobs = (b for b in chain.from_iterable(again) if b.name not in found and not _is_folder(b))
        yield from self._with_sidecars(blobs, self._sidecars(found, known))

    def _with_sidecars(self, blobs: Iterator[Any], rights: Sidecars) -> Iterator[Listed]:
        folders = _FolderAcls(rights)
        for blob in blobs:
            name = blob.name[len(self._address.prefix) :]
            rights.seen(name)
            key = keys.exact_key(name)
            if self.globs.match(key):
                stated = _stated(blob)
                acl = acls.resolve(
                    file=rights.of(name), stated=stated, folder=folders.of(name),
                    default=self.default,
                )  # fmt: skip
                yield self._listed(blob, key, acl)
        unseen = rights.unseen()
        if unseen:
            _LOG.warning("%s: %s", self._where, sidecars.unseen_message(unseen))

    def _with_access_lists(self, container: Any, settings: AdlsRights) -> Iterator[Listed]:
        lists = AdlsAcls(self._address, self._where, settings, self.place.at("acl"))
        lists.check()
        cut = len(self._address.prefix)
        said = StatedLists()
        count, size = 0, FIRST_WINDOW
        passed_over: list[str] = []
        for page in self._pages(container, said):
            count += len(page)
            lists.take(said, [blob.name for blob in page if _is_folder(blob)])
            taken: list[tuple[Any, str]] = []
            for blob in page:
                key = keys.exact_key(blob.name[cut:])
                if sidecars.target_of(blob.name.rpartition("/")[2]) is not None:
                    passed_over.append(blob.name)
                elif not _is_folder(blob) and self.globs.match(key):
                    taken.append((blob, key))
            rest = iter(taken)
            while window := list(islice(rest, size)):
                size = WINDOW
                rights = lists.of([blob.name for blob, _ in window])
                for (blob, key), acl in zip(window, rights, strict=True):
                    yield self._listed(blob, key, acl)
        if not count:
            self._check_not_a_blob(container)
        if passed_over:
            _LOG.warning(
                "%s: %d ACL files are not looked at, since rights come from the lake's access "
                "lists (acl: {from: adls}): %s",
                self._where, len(passed_over), ", ".join(passed_over[:3]),
            )  # fmt: skip

    def _pages(self, container: Any, said: StatedLists | None = None) -> Iterator[Sequence[Any]]:
        """With tags where the account has them and shows them; given `said`, with access lists in
        their place, since accounts with a hierarchical namespace have no tags."""
        from azure.core.exceptions import HttpResponseError

        options: dict[str, Any] = {"name_starts_with": self._address.prefix or None}
        also = "tags" if said is None else "permissions"
        hook = {} if said is None else {"raw_response_hook": said.hook}
        found = pages(container, include=["metadata", also], **options, **hook)
        try:
            first = next(found, None)
        except HttpResponseError as error:
            if error.status_code not in (400, 403, 409):
                raise
            reason = error_code(error) or error.status_code
            if said is None:
                _LOG.warning(
                    "%s: index tags cannot be listed (%s), so they are no labels; they need the "
                    "right 'blobs/tags/read', and an account without hierarchical namespace",
                    self._where,
                    reason,
                )
            else:
                _LOG.info(
                    "%s: access lists do not come with the listing (%s), so each file is asked for",
                    self._where,
                    reason,
                )
            yield from pages(container, include=["metadata"], **options)
            return
        if first is not None:
            yield first
            yield from found

    def _listed(self, blob: Any, key: str, acl: Acl) -> Listed:
        _, labels = acls.from_metadata(blob.metadata or {})
        tags = dict(blob.tags or {})
        problem = too_large(blob.size)
        if str(blob.blob_tier or "").rpartition(".")[2].lower() == "archive":
            problem = "unsupported", "the blob is in the archive tier; rehydrate it to have it read"
        settings = blob.content_settings
        declared = settings.content_type if settings else None
        packed = settings is not None and is_packed(settings.content_encoding)
        return Listed(
            key=key,
            uri=keys.uri_of(self._address.base, blob.name),
            version=(blob.etag or "").strip('"'),
            size=None if packed else blob.size,
            modified_at=blob.last_modified,
            acl=acl,
            labels={**self.labels, **labels, **tags},
            media_type=None if (declared or "") in _UNTOLD_TYPES else declared,
            problem=problem,
        )

    def _sidecars(self, blobs: Mapping[str, Any], known: Mapping[str, Acl]) -> Sidecars:
        """The ACLs in sidecars; those of a version that is known are not read again."""
        rights = Sidecars()
        if not blobs:
            return rights
        prefix = self._address.prefix

        def read(name: str) -> Acl:
            etag = (blobs[name].etag or "").strip('"')
            path = keys.exact_key(name[len(prefix) :])
            found = known.get(acls.sidecar_origin(path, etag))
            if found is not None:
                return found
            if blobs[name].size > acls.MAX_SIDECAR_BYTES:
                return acls.unreadable(path, f"{blobs[name].size} bytes")
            return self._read_sidecar(name, path)

        with ThreadPoolExecutor(_SIDECAR_THREADS, thread_name_prefix="acl") as executor:
            for name, acl in zip(blobs, executor.map(read, blobs), strict=True):
                folder, slash, last = name[len(prefix) :].rpartition("/")
                target = sidecars.target_of(last) or ""
                rights.add(folder + slash + target, keys.exact_key(name[len(prefix) :]), acl)
        return rights

    def _read_sidecar(self, name: str, path: str) -> Acl:
        from azure.core.exceptions import AzureError

        try:
            fetched = patiently(lambda: download(self._client(), name, None))
        except AzureError as error:
            return acls.unreadable(path, fetch_error(error).message)
        except FetchError as error:
            return acls.unreadable(path, error.message)
        return acls.from_sidecar(fetched.data, path, fetched.version)

    def _check_not_a_blob(self, container: Any) -> None:
        name = self._address.prefix.rstrip("/")
        if name and patiently(container.get_blob_client(name).exists):
            raise ConfigError(
                f"{self._where}: {self.uri!r} is a blob, not a folder; name the folder it is in, "
                f'and `include: ["{name.rpartition("/")[2]}"]`'
            )


class _FolderAcls:
    """The nearest folder sidecar above a blob."""

    def __init__(self, rights: Sidecars) -> None:
        self._rights = rights
        self._held: dict[str, Acl | None] = {}

    def of(self, name: str) -> Acl | None:
        """The ACL that holds for `name`, relative to the source's root, from its folders."""
        if not len(self._rights):
            return None
        folder = name[: name.rfind("/") + 1]
        if folder not in self._held:
            if len(self._held) > _HELD_BLOBS:
                self._held.clear()
            self._held[folder] = self._nearest(folder)
        return self._held[folder]

    def _nearest(self, folder: str) -> Acl | None:
        while folder:
            found = self._rights.of(folder)
            if found is not None:
                return found
            folder = folder[: folder[:-1].rfind("/") + 1]
        return self._rights.of("")


def _stated(blob: Any) -> Acl | None:
    """The ACL in a blob's metadata; unknown where there is one in its tags."""
    misplaced = acls.has_acl_key(dict(blob.tags or {}))
    if misplaced:
        return Acl.unknown(f"tag {misplaced}: an ACL belongs into metadata or a sidecar")
    return acls.from_metadata(blob.metadata or {})[0]


def _is_folder(blob: Any) -> bool:
    """The markers that stand for folders where there are none, or where there are real ones."""
    metadata = {key.lower(): value for key, value in (blob.metadata or {}).items()}
    return metadata.get("hdi_isfolder") == "true" or (blob.name.endswith("/") and not blob.size)
