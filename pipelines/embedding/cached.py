"""Models by name, from the cache that fastembed keeps on this machine."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chunkers.suggest import unknown
from lineage.errors import ConfigError
from pipelines.embedding.base import encodable, unit
from pipelines.embedding.onnx import DEFAULT_MAX_TOKENS, missing_extra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class CachedEmbedder:
    """A model that fastembed knows and has downloaded before; nothing is downloaded here.

    The cache is the folder in `FASTEMBED_CACHE_PATH`. Texts are run one by one, so that a vector
    does not depend on its neighbours.
    """

    def __init__(self, model: str, *, threads: int = 1) -> None:
        """Keeps the name; the model is looked for on first use."""
        self.model = model
        self.threads = threads

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(CachedEmbedder, threads=self.threads), (self.model,)

    def __repr__(self) -> str:
        return f"CachedEmbedder({self.model!r})"

    @property
    def name(self) -> str:
        """The model's name, and the version of fastembed, whose pooling is part of the vectors.

        Raises:
            ConfigError: fastembed does not know the model, or has not downloaded it.
            MissingExtra: fastembed is not installed.
        """
        import importlib.metadata

        version = importlib.metadata.version("fastembed").rsplit(".", 1)[0]
        return f"{self._loaded.model_name}@fastembed-{version}"

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return int(self._loaded.embedding_size)

    @property
    def max_tokens(self) -> int:
        """Tokens read of a text."""
        truncation = self._loaded.model.tokenizer.truncation
        return int(truncation["max_length"]) if truncation else DEFAULT_MAX_TOKENS

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of `texts`, `(len(texts), dimensions)`."""
        import numpy as np

        loaded = self._loaded
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for i, vector in enumerate(loaded.embed(map(encodable, texts), batch_size=1)):
            vectors[i] = vector
        return unit(vectors)

    @functools.cached_property
    def _loaded(self) -> Any:
        # Read when the library is imported: it must not even ask whether there is a newer model.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            from fastembed import TextEmbedding
        except ImportError as error:
            raise missing_extra(error) from error
        _quiet()
        known = [model["model"] for model in TextEmbedding.list_supported_models()]
        if self.model.lower() not in map(str.lower, known):
            raise ConfigError(
                f"{unknown('embedding model', self.model, known)} Or name the folder of a model in "
                "ONNX (for example models/all-MiniLM-L6-v2)"
            )
        try:
            return TextEmbedding(self.model, threads=self.threads, local_files_only=True)
        except ValueError as error:
            raise ConfigError(
                f"embedding model {self.model!r} is not on this machine, and Gristmill downloads "
                "none: name the folder of a model in ONNX, or fill fastembed's cache "
                "(FASTEMBED_CACHE_PATH) with it beforehand"
            ) from error


def _quiet() -> None:
    """fastembed logs what it then raises as well."""
    with contextlib.suppress(ImportError):
        from loguru import logger

        logger.disable("fastembed")
