"""Helpers of the tests of blob containers."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.ingest.sources import FetchError, Listed
from pipelines.ingest.sources.azure import AzureSource
from pipelines.ingest.sources.globs import Globs


def fill(container: Any, blobs: dict[str, bytes | str], **options: Any) -> None:
    """Upload blobs by name."""
    for name, data in blobs.items():
        container.upload_blob(name, data, overwrite=True, **options)


def source(container: Any, path: str = "", *, include: Any = ("**/*",), **more: Any) -> AzureSource:
    """The container as a source."""
    uri = f"az://{container.container_name}{path}"
    return AzureSource("docs", uri, Globs(tuple(include)), **more)


def found(container: Any, path: str = "", known: Any = None, **more: Any) -> dict[str, Listed]:
    """What the container lists, by key."""
    return {one.key: one for one in source(container, path, **more).list(known)}


def refusal(container: Any, key: str, version: str) -> tuple[str, str]:
    """Class and message of the error that fetching a blob raises."""
    with pytest.raises(FetchError) as caught:
        source(container).fetch(key, version)
    return caught.value.error_class, caught.value.message
