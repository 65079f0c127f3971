"""Talking to Azure Blob storage: bounded retries, and what errors mean."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lineage.errors import ConfigError, GristmillError, MissingExtra
from pipelines.azure_account import ENVIRONMENT, AzureAccount
from pipelines.ingest.sources.base import SourceUnavailable

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

T = TypeVar("T")

# The library's own policy takes 84 s to give up, and never retries 429.
_RETRIES = 2
_CONNECT_SECONDS = 4
_READ_SECONDS = 20
_PROBE_READ_SECONDS = 8
_PAGE_BLOBS = 5_000
_BUSY_ATTEMPTS = 5
_BUSY_SECONDS = 8.0

_pause = time.sleep
_clients: dict[object, Any] = {}
_lock = threading.Lock()

_DENIED = {
    "AuthenticationFailed", "AuthorizationFailure", "AuthorizationPermissionMismatch",
    "InvalidAuthenticationInfo", "NoAuthenticationInformation", "AccountIsDisabled",
    "InsufficientAccountPermissions", "AuthorizationResourceTypeMismatch",
    "KeyBasedAuthenticationNotPermitted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContainerAddress:
    """What a source's URI names: a container and a path in it."""

    uri: str
    container: str
    prefix: str
    """With a `/` at its end, or empty for the whole container."""

    @classmethod
    def parse(cls, uri: str, where: str) -> ContainerAddress:
        """Read `az://container/path` or `abfss://container@account.dfs.core.windows.net/path`.

        Args:
            uri: as configured.
            where: the configuration key it comes from, for the message.

        Raises:
            ConfigError: it names no container, or something other than one.
        """
        # Taken as written, not by `urlsplit`: a blob's name may hold `#` and `%`.
        authority, _, path = uri.partition("://")[2].partition("/")
        container, at, host = authority.partition("@")
        if not container or (at and not host) or "?" in uri:
            raise ConfigError(
                f"{where}: {uri.partition('?')[0]!r} names no container; write az://container/path "
                "or abfss://container@account.dfs.core.windows.net/path, and keep credentials in "
                "the environment"
            )
        prefix = path.strip("/")
        return cls(uri=uri, container=container, prefix=f"{prefix}/" if prefix else "")

    @property
    def base(self) -> str:
        """The URI of the container's root, with a `/` at its end."""
        scheme, _, rest = self.uri.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}/"


def client(address: ContainerAddress, where: str) -> ContainerClient:
    """This process's client for the container, made on first use; it serves several threads.

    Raises: see `connect`.
    """
    environment = tuple(os.environ.get(name, "") for name in ENVIRONMENT)
    key = (os.getpid(), address.uri, environment)
    with _lock:
        found: ContainerClient | None = _clients.get(key)
        if found is None:
            found = _clients[key] = connect(address, where)
        return found


def connect(address: ContainerAddress, where: str) -> ContainerClient:
    """A new client for the container. Nothing is sent yet.

    Raises:
        ConfigError: no account is named, or the credentials are not well-formed.
        MissingExtra: the Azure libraries are not installed.
    """
    try:
        from azure.storage.blob import ContainerClient, ExponentialRetry
    except ImportError as error:
        raise MissingExtra(
            f"{where}: {address.uri} needs the Azure libraries; pip install 'gristmill[azure]'"
        ) from error
    options = client_options(ExponentialRetry) | {
        "max_single_get_size": 16 << 20,
        "max_chunk_get_size": 8 << 20,
    }
    account = AzureAccount.from_environment(address.uri, where)
    try:
        return ContainerClient(
            account.endpoint, address.container, credential=credential(account), **options
        )
    except ValueError as error:
        raise ConfigError(
            f"{where}: the credentials in the environment for {address.uri} are not well-formed "
            f"({error}); copy them again from the storage account's access keys"
        ) from None


def client_options(retry: Callable[..., Any]) -> dict[str, Any]:
    """Bounded waits for a client of the Azure libraries, whose retry policy is `retry`."""
    return {
        "retry_policy": retry(
            initial_backoff=1, increment_base=2, retry_total=_RETRIES, random_jitter_range=1
        ),
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "logging_enable": False,
    }


def credential(account: AzureAccount) -> Any:
    """What the Azure libraries take to open `account`.

    Raises:
        MissingExtra: it takes an identity, and azure-identity is not installed.
    """
    if account.key:
        return {"account_name": account.name, "account_key": account.key}
    if account.sas:
        from azure.core.credentials import AzureSasCredential

        return AzureSasCredential(account.sas)
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise MissingExtra(
            f"{account.endpoint}: no key is in the environment, and an identity needs "
            "azure-identity; pip install 'gristmill[azure]'"
        ) from error
    # It warns with a page of text each time; `explain` says what counts.
    logging.getLogger("azure.identity").setLevel(
        logging.NOTSET if logging.getLogger().isEnabledFor(logging.INFO) else logging.CRITICAL
    )
    return DefaultAzureCredential()


def patiently(call: Callable[[], T]) -> T:
    """The result of `call`, tried again while the service says that it is busy (429).

    The wait it asks for is honoured up to a few seconds, so that the whole stays bounded.
    """
    from azure.core.exceptions import HttpResponseError

    for attempt in range(_BUSY_ATTEMPTS):
        try:
            return call()
        except HttpResponseError as error:
            if error.status_code != 429 or attempt == _BUSY_ATTEMPTS - 1:
                raise
            _pause(_wait_seconds(error, attempt))
    raise AssertionError("unreachable")


def _wait_seconds(error: Any, attempt: int) -> float:
    asked = (error.response.headers if error.response is not None else {}).get("Retry-After", "")
    try:
        seconds = float(asked)
    except ValueError:
        seconds = 0.5 * 2**attempt
    return min(max(seconds, 0.0), _BUSY_SECONDS)


def pages(container: ContainerClient, **options: Any) -> Iterator[list[Any]]:
    """The pages of a flat listing; one that fails as busy is asked for again, by its token."""
    options = {"results_per_page": _PAGE_BLOBS} | options
    listing: Any = container.list_blobs(**options).by_page()
    token: str | None = None
    while True:

        def page(resume: str | None = token) -> list[Any] | None:
            nonlocal listing
            try:
                return list(next(listing))
            except StopIteration:
                return None
            except BaseException:
                # A failed iterator is finished; go on from the page that it failed to bring.
                listing = container.list_blobs(**options).by_page(continuation_token=resume)
                raise

        found = patiently(page)
        if found is None:
            return
        token = listing.continuation_token
        yield found
        if not token:
            return


def probe(container: ContainerClient, prefix: str) -> None:
    """Ask for one blob, so that what is wrong shows within seconds."""
    patiently(
        lambda: next(
            container.list_blobs(
                name_starts_with=prefix or None,
                results_per_page=1,
                read_timeout=_PROBE_READ_SECONDS,
                retry_total=1,
            ).by_page(),
            None,
        )
    )


def explain(error: Exception, address: ContainerAddress, where: str) -> GristmillError:
    """What an error of the library means for a source as a whole."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    code = error_code(error)
    status = getattr(error, "status_code", None)
    said = _first_line(error)
    if code in ("ContainerNotFound", "FilesystemNotFound") or (status == 404 and not code):
        return ConfigError(
            f"{where}: {address.uri!r}: the account has no container {address.container!r}; "
            "create it, or correct the name"
        )
    if isinstance(error, ClientAuthenticationError) and status is None:
        return ConfigError(
            f"{where}: {address.uri!r}: access denied: there is neither a key in the environment "
            "nor an Azure identity to use; set AZURE_STORAGE_CONNECTION_STRING, or sign in with "
            "`az login` (--debug shows what was tried)"
        )
    if isinstance(error, ClientAuthenticationError) or status in (401, 403) or code in _DENIED:
        return ConfigError(
            f"{where}: {address.uri!r}: access denied ({code or said}); check "
            "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_KEY, or give the identity "
            "the role 'Storage Blob Data Reader' on the container"
        )
    if code in ("InvalidResourceName", "OutOfRangeInput", "InvalidUri"):
        return ConfigError(
            f"{where}: {address.uri!r}: {address.container!r} is not a container's name: 3 to 63 "
            "lower-case letters, digits and hyphens"
        )
    kind = f"{status} {code}".strip() if isinstance(error, HttpResponseError) else said
    return SourceUnavailable(
        f"{where}: {address.uri!r} does not answer: {kind}; check the network and the account's "
        "name, and try again"
    )


def error_code(error: Exception) -> str:
    """The service's own name for an error, such as `ContainerNotFound`; empty without one."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
