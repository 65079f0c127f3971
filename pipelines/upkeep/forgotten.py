"""Which documents were erased on request and are to stay away, though their sources may list them.

One small file for each, in the lake. It says what was done and when, and nothing of the document:
not its content, and not its name either, which may say as much.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipelines.steps import step
from pipelines.storage import Storage

FOLDER = "_forgotten"


def forgotten_ids(lake: str | Storage) -> frozenset[str]:
    """The ids of documents that are not to be ingested."""
    folder = _folder(lake)
    return frozenset(
        name.removesuffix(".json")
        for name in folder.list()
        if name.endswith(".json") and not name.startswith(".")
    )


def read(lake: str | Storage, document_id: str) -> dict[str, Any]:
    """What was recorded about one.

    Raises:
        FileNotFoundError: it was not forgotten.
    """
    value: dict[str, Any] = json.loads(_folder(lake).read_bytes(f"{document_id}.json"))
    return value


def write(lake: str | Storage, document_id: str, value: Mapping[str, Any]) -> None:
    """Record that a document is to stay away."""
    data = json.dumps({"document_id": document_id, **value}, indent=1).encode()
    with step("tombstone"):
        _folder(lake).write_bytes(f"{document_id}.json", data)


def restore(lake: str | Storage, document_id: str) -> None:
    """Let a document be ingested again."""
    _folder(lake).delete(f"{document_id}.json")


def _folder(lake: str | Storage) -> Storage:
    return (lake if isinstance(lake, Storage) else Storage.from_uri(lake)) / FOLDER
