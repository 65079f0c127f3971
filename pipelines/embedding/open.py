"""An embedder from what a person writes: a folder, or the name of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.errors import ConfigError
from pipelines.config.place import located
from pipelines.embedding.base import Embedder

if TYPE_CHECKING:
    from pipelines.config import EmbedderConfig
    from pipelines.embedding.once import CachingEmbedder


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


def open_described(value: Mapping[str, Any]) -> Embedder:
    """The embedder of a description `{kind: onnx, model: ...}`, as chunkers carry it.

    Raises:
        ConfigError: there is no model in it.
    """
    model = value.get("model")
    if not isinstance(model, str):
        raise ConfigError(
            f"embedder: model is missing from {dict(value)!r}: the folder of a model in ONNX, or a "
            "name (for example model: /models/all-MiniLM-L6-v2)"
        )
    return open_embedder(model)


def open_configured(config: EmbedderConfig, *, patience: float | None = None) -> Embedder:
    """The embedder that a configuration names. What is wrong shows on first use.

    Args:
        config: kind, model, limits.
        patience: seconds to wait for a service that does not answer; by default minutes, as suits
            work that nobody waits for.
    """
    if config.kind == "azure_openai":
        from pipelines.embedding.azure_openai import PATIENCE, AzureOpenAIEmbedder, Rates

        return AzureOpenAIEmbedder(
            config.deployment,
            config.endpoint,
            model=config.model,
            dimensions=config.dimensions,
            rates=Rates(config.tokens_per_minute, config.requests_per_minute),
            api_version=config.api_version,
            patience=PATIENCE if patience is None else patience,
        )
    return open_embedder(config.model, threads=config.threads)


def check_configured(config: EmbedderConfig, *, load: bool) -> None:
    """Make sure that a local model is there, before anything is done that needs it.

    Args:
        config: what is configured; nothing is asked of a service.
        load: load a model that is known by its name, since only then it shows whether it is here;
            for the folder of a model a look is enough.

    Raises:
        ConfigError: there is no such model.
        MissingExtra: with `load`, when the extra `embeddings` is not installed.
    """
    from pipelines.embedding.onnx import OnnxEmbedder

    embedder = open_configured(config)
    with located(config.place.at("model")):
        if isinstance(embedder, OnnxEmbedder):
            embedder.check()
        elif load and config.kind == "onnx":
            embedder.dimensions  # noqa: B018 - it is found out by loading the model


def open_cached(config: EmbedderConfig, lake: str) -> CachingEmbedder:
    """The same, with the cache of a lake in front."""
    from pipelines.embedding.cache import VectorCache
    from pipelines.embedding.once import CachingEmbedder

    return CachingEmbedder(open_configured(config), VectorCache.of(lake))
