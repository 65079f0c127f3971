"""What routing knows of a document that is in the documents table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from chunkers.policy import Facts
from pipelines.config import SourceConfig


def source_roots(sources: Iterable[SourceConfig]) -> dict[str, str]:
    """Each configured source's URI by its name, in the form that `source_uri` has."""
    return {source.name: _as_uri(source.uri) for source in sources}


def _as_uri(uri: str) -> str:
    return uri.rstrip("/") if "://" in uri else f"file://{quote(uri)}".rstrip("/")


def document_key(source_uri: str, root: str | None) -> str:
    """The document's key relative to its source's root.

    Without a known root, the whole path: rules that begin with `**/` match either way.
    """
    if root is not None and source_uri.startswith((f"{root}/", f"{root}#")):
        key = source_uri[len(root) + 1 :]
    else:
        key = urlsplit(source_uri).path.lstrip("/")
    return unquote(key) if source_uri.startswith("file://") else key


def document_facts(row: Mapping[str, Any], roots: Mapping[str, str]) -> Facts:
    """The facts of a documents-table row, of which only small columns are read."""
    return Facts(
        data_type=row["data_type"] or "prose",
        media_type=row["media_type"],
        path=document_key(row["source_uri"], roots.get(row["source"])),
        size_bytes=row["size_bytes"],
        language=row["language"],
        labels=dict(row["labels"] or ()),
    )
