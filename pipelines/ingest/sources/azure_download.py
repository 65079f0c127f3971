"""One blob's bytes, of exactly the version that is wanted."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from pipelines.ingest.sources.azure_client import error_code
from pipelines.ingest.sources.base import MAX_DOCUMENT_BYTES, Fetched, FetchError, too_large

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

_PIECE_BYTES = 1 << 20


def download(container: ContainerClient, name: str, version: str | None) -> Fetched:
    """The blob called `name`, if it is still of `version`; of whatever version without one.

    What its `Content-Encoding` says is compressed is unpacked, as every browser would.

    Raises:
        AzureError: see `fetch_error`.
        FetchError: `limit_size`, `unsupported`, `malformed`, or `transient_io` when bytes are
            missing.
    """
    from azure.core import MatchConditions

    condition: dict[str, Any] = {}
    if version is not None:
        condition = {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}
    # The library would unpack, too, but piece by piece where it asks for a blob in pieces.
    downloader = container.download_blob(name, decompress=False, **condition)
    problem = too_large(downloader.size)
    if problem:
        raise FetchError(*problem)
    data: bytes = downloader.readall()
    if len(data) != downloader.size:
        raise FetchError("transient_io", f"{len(data)} of {downloader.size} bytes arrived")
    settings = downloader.properties.content_settings
    encoding = (settings.content_encoding or "").strip().lower()
    etag = (downloader.properties.etag or "").strip('"')
    return Fetched(_unpacked(data, encoding), etag if version is None else version)


def is_packed(encoding: str | None) -> bool:
    """Whether a blob of this `Content-Encoding` is not as large as what it holds."""
    return (encoding or "").strip().lower() not in ("", "identity")


def _unpacked(data: bytes, encoding: str) -> bytes:
    if not is_packed(encoding):
        return data
    if encoding not in ("gzip", "x-gzip"):
        raise FetchError(
            "unsupported", f"its content encoding is {encoding!r}; only gzip can be unpacked"
        )
    if not data.startswith(b"\x1f\x8b"):
        return data  # declared as packed and stored as it is: some tools do that
    pieces: list[bytes] = []
    size = 0
    try:
        while data:  # one round for each member
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            while not unpacker.eof:
                piece = unpacker.decompress(data, _PIECE_BYTES)
                data = unpacker.unconsumed_tail
                if not piece and not data:
                    break
                pieces.append(piece)
                size += len(piece)
                if size > MAX_DOCUMENT_BYTES:
                    raise FetchError(
                        "limit_size", f"more than {MAX_DOCUMENT_BYTES} bytes once it is unpacked"
                    )
            if not unpacker.eof:
                raise FetchError("malformed", "its content encoding is gzip, and it is cut off")
            data = unpacker.unused_data
    except zlib.error as error:
        raise FetchError("malformed", f"its content encoding is gzip: {error}") from error
    return b"".join(pieces)


def fetch_error(error: Exception) -> FetchError:
    """What an error of the library means for one blob."""
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

    status = getattr(error, "status_code", None)
    if isinstance(error, ResourceModifiedError) or status == 412:
        return FetchError("changed_during_read", "the blob has changed since it was listed")
    if isinstance(error, ResourceNotFoundError) or status == 404:
        return FetchError("not_found", "the blob is gone since it was listed")
    said = " ".join(str(part) for part in (status, error_code(error)) if part)
    return FetchError("transient_io", f"the blob cannot be read: {said or type(error).__name__}")
