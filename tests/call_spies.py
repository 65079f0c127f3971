"""Counters that stand where work is done: what a change must not cost is not called."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

MODEL = Path(os.environ.get("GRISTMILL_TEST_DATA", "/nowhere")) / "models" / "all-MiniLM-L6-v2"
"""A real embedding model, where there is one."""

PLACES: Mapping[str, str] = {
    "parses": "pipelines.ingest.parsers.parse_bytes",
    "chunkings": "pipelines.transform.work.chunk_document",
    "counts": "pipelines.transform.work.TokenMap",
    "merges": "pipelines.load.lancedb.LanceSink._replace",
} | ({"embeddings": "pipelines.embedding.onnx.OnnxEmbedder.embed"} if MODEL.is_dir() else {})


def spy_on(monkeypatch: pytest.MonkeyPatch, **more: str) -> Counter[str]:
    """Count the calls of all `PLACES` and of `more` in this process, by name."""
    counts: Counter[str] = Counter()
    for name, place in {**PLACES, **more}.items():
        path, _, attribute = place.rpartition(".")
        try:
            owner: Any = importlib.import_module(path)
        except ModuleNotFoundError:
            module, _, cls = path.rpartition(".")
            owner = getattr(importlib.import_module(module), cls)
        original: Callable[..., Any] = getattr(owner, attribute)

        def spy(*args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            counts[_name] += 1
            return _original(*args, **kwargs)

        monkeypatch.setattr(owner, attribute, spy)
    return counts


def with_vectors(project: Any) -> list[str]:
    """Give a project two indexes, the second with vectors where there is a model; their folders."""
    sinks = [
        {"name": name, "kind": "lancedb", "uri": f"state/{name}"} for name in ("index", "second")
    ]
    if MODEL.is_dir():
        project.settings["embedder"] = {"kind": "onnx", "model": str(MODEL)}
        sinks[1]["embedder"] = True  # type: ignore[assignment]
    project.settings["sinks"] = sinks
    return ["state/index", "state/second"]


def held(project: Any, folder: str) -> dict[str, dict[str, Any]]:
    """Everything that an index holds, by chunk id, read by LanceDB itself."""
    import lancedb

    table = lancedb.connect(project.root / folder).open_table("chunks")
    return {row["chunk_id"]: row for row in table.search().limit(1_000_000).to_list()}
