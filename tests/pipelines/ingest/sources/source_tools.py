"""Helpers of the sources' tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lineage import Acl
from pipelines.config import RecordsConfig
from pipelines.ingest.sources import Listed
from pipelines.ingest.sources.globs import Globs
from pipelines.ingest.sources.local import LocalSource
from pipelines.ingest.sources.records import RecordsSource

NOBODY = 65534


def write_tree(root: Path, files: dict[str, str]) -> None:
    """Files by name, with the folders that they need."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def listing(
    root: Path, *, include: Any = ("**/*",), exclude: Any = (), default: Acl | None = None
) -> dict[str, Listed]:
    """What a local folder lists, by key."""
    source = LocalSource("docs", str(root), Globs(tuple(include), tuple(exclude)), default)
    return {listed.key: listed for listed in source.list()}


def problems(root: Path) -> dict[str, str | None]:
    """Reject class, or null, by key."""
    return {key: one.problem[0] if one.problem else None for key, one in listing(root).items()}


@contextmanager
def unprivileged() -> Iterator[None]:
    """Rights count in here, also for tests that run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def records(path: Path | str, **settings: Any) -> RecordsSource:
    """A table of records; `settings` are those of the source and of its `records`."""
    own = {"default": settings.pop("default", None), "labels": settings.pop("own_labels", {})}
    include = tuple(settings.pop("include", ("**/*",)))
    return RecordsSource("table", str(path), RecordsConfig(**settings), globs=Globs(include), **own)
