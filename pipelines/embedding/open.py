"""An embedder from what a person writes: a folder, or the name of a model."""

from __future__ import annotations

from pathlib import Path

from pipelines.embedding.base import Embedder


def open_embedder(model: str | Path, *, threads: int = 1) -> Embedder:
    """The embedder of a local model.

    Args:
        model: the folder of a model in ONNX, or a name that fastembed knows and has in its cache
            (`BAAI/bge-small-en-v1.5`). A path that exists is a folder.
        threads: of the CPU.

    Raises:
        ConfigError: on first use, when there is no such model here.
        MissingExtra: on first use, when the extra `embeddings` is not installed.
    """
    if isinstance(model, Path) or Path(model).is_dir() or model.startswith((".", "/", "~")):
        from pipelines.embedding.onnx import OnnxEmbedder

        return OnnxEmbedder(Path(model).expanduser(), threads=threads)
    from pipelines.embedding.cached import CachedEmbedder

    return CachedEmbedder(model, threads=threads)
