"""What routing knows of a document that is in the documents table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from chunkers.policy import Facts
from chunkers.shape import Shape
from pipelines.config import SourceConfig


def source_roots(sources: Iterable[SourceConfig]) -> dict[str, str]:
    """Each configured source's URI by its name, with no character escaped."""
    return {
        source.name: (source.uri if "://" in source.uri else f"file://{source.uri}").rstrip("/")
        for source in sources
    }


def document_key(source_uri: str, root: str | None) -> str:
    """The document's key relative to its source's root.

    Without a known root, the whole path: rules that begin with `**/` match either way.
    """
    name = unquote(source_uri)
    if root is not None and name.startswith((f"{root}/", f"{root}#")):
        return name[len(root) + 1 :]
    return unquote(urlsplit(source_uri).path).lstrip("/")


def document_facts(
    row: Mapping[str, Any], roots: Mapping[str, str], shape: Shape | None = None
) -> Facts:
    """The facts of a documents-table row, of which only small columns are read.

    `shape` is for policies that ask for structure (`Policy.needs_shape`).
    """
    return Facts(
        data_type=row["data_type"] or "prose",
        media_type=row["media_type"],
        path=document_key(row["source_uri"], roots.get(row["source"])),
        size_bytes=row["size_bytes"],
        language=row["language"],
        labels=dict(row["labels"] or ()),
        shape=shape,
    )
