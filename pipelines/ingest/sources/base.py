"""What every source of documents gives: a listing, and the bytes of what it listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from lineage.acl import Acl
from lineage.errors import GristmillError, TransientError

MAX_DOCUMENT_BYTES = 100 << 20
"""A larger document is listed with the problem `limit_size`, and never read."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One document as its source lists it, before anything of it is read."""

    key: str
    """Relative to the source's root, on one line, in Unicode NFC; see `keys`."""
    uri: str
    """`file:///…`, `az://container/key`, or the table's URI and `#key` for a record."""
    version: str
    """Opaque; moves when the content may have changed."""
    size: int | None
    """In bytes, where the source knows it beforehand."""
    modified_at: datetime | None
    acl: Acl
    labels: Mapping[str, str] = field(default_factory=dict)
    media_type: str | None = None
    """What the source declares; the content has the last word."""
    problem: tuple[str, str] | None = None
    """Reject class and message of a document that cannot be read at all."""
    title: str | None = None
    """What the source declares, if anything."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document's bytes, and the version that they are of."""

    data: bytes
    version: str


class SourceUnavailable(TransientError):
    """A source does not answer, or its listing is not complete; nothing may be deleted."""


class FetchError(GristmillError):
    """One document cannot be read. `error_class` is its reject class."""

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(error_class, message)
        self.error_class = error_class
        self.message = message

    def __str__(self) -> str:
        return f"{self.error_class}: {self.message}"


@runtime_checkable
class Source(Protocol):
    """Where documents come from: a picklable value whose constructor touches nothing.

    `list` and `fetch` connect on first use; `fetch` may be called from several threads and in
    other processes than `list`.
    """

    @property
    def name(self) -> str:
        """The source's name in the configuration."""

    def list(self, known: Mapping[str, Acl] | None = None) -> Iterator[Listed]:
        """Every document, page by page, in a stable order.

        Args:
            known: ACLs by `origin`, as an earlier run found them. A source whose ACLs lie in
                objects with a version puts that version into the origin, and takes an ACL from
                here rather than read the same object again.

        Raises:
            ConfigError: what is configured does not exist or lets nobody in.
            SourceUnavailable: it does not answer, or some part could not be listed. It may come
                after documents were yielded: those are real, but what is missing is not gone.
        """

    def fetch(self, listed_key: str, version: str) -> Fetched:
        """The bytes of the document at `listed_key`, if they are still of `version`.

        Raises:
            FetchError: `changed_during_read`, `not_found`, `transient_io`, `limit_size`,
                `unsupported`.
        """


def too_large(size: int) -> tuple[str, str] | None:
    """The problem of a document of `size` bytes, or null when it may be read."""
    if size <= MAX_DOCUMENT_BYTES:
        return None
    return "limit_size", f"{size} bytes; the limit is {MAX_DOCUMENT_BYTES}"
