"""One row of a table of records: which columns are needed, and what they mean."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pipelines.config import RecordsConfig

_SURROGATES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in its file: row group and row (Parquet), or byte offset and 0."""

    first: int
    second: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A row as its file gives it: its values, or why they cannot be read."""

    number: int
    """From 1, in the file; the header is not counted."""
    place: Place
    values: Mapping[str, Any]
    problem: tuple[str, str] | None = None


class BadRow(Exception):
    """A row that cannot be a document: reject class and reason."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(error_class, reason)
        self.problem = (error_class, reason)


def columns_of(config: RecordsConfig) -> tuple[str, ...]:
    """The columns that `config` names, each once."""
    named = [config.key, config.text, config.title, config.media_type, config.modified_at]
    named += [*config.acl.values(), *config.labels.values()]
    return tuple(dict.fromkeys(name for name in named if name))


def key_of(config: RecordsConfig, values: Mapping[str, Any]) -> str:
    """The record's key as text.

    Raises:
        BadRow: it is null, empty, or not a plain value.
    """
    value = values.get(config.key)
    if _is_null(value) or value == "":
        raise BadRow("malformed", f"the key column {config.key!r} is empty")
    text = plain(value)
    if text is None:
        raise BadRow("malformed", f"the key column {config.key!r} holds a {type(value).__name__}")
    return text


def text_of(config: RecordsConfig, values: Mapping[str, Any]) -> bytes:
    """The record's text in UTF-8; a lone surrogate becomes the replacement character.

    Raises:
        BadRow: it is null, or not a plain value.
    """
    value = values.get(config.text)
    if _is_null(value):
        raise BadRow("malformed", f"the text column {config.text!r} is null")
    text = plain(value)
    if text is None:
        raise BadRow("malformed", f"the text column {config.text!r} holds a {type(value).__name__}")
    return text.encode("utf-8")


def version_of(config: RecordsConfig, values: Mapping[str, Any], text: bytes) -> str:
    """Hash of what the document is made of. ACL and labels are compared by themselves."""
    digest = hashlib.sha256()
    columns = (config.title, config.media_type, config.modified_at)
    others = [plain(values.get(column)) if column else None for column in columns]
    for part in (text, *(None if other is None else other.encode() for other in others)):
        digest.update(b"|-" if part is None else b"|%d:" % len(part))
        digest.update(part or b"")
    return digest.hexdigest()[:32]


def plain(value: Any) -> str | None:
    """A single value as text, null for null and for what is not a single value."""
    if _is_null(value) or isinstance(value, list | dict | tuple):
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, datetime | date):
        value = value.isoformat()
    return _SURROGATES.sub("\ufffd", str(value))


def time_of(value: Any) -> datetime | None:
    """A point in time in UTC: of a time stamp, a date, or ISO 8601 text; null for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
