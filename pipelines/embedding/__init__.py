"""Vectors of texts.

    >>> from pipelines.embedding import open_embedder
    >>> embedder = open_embedder("models/all-MiniLM-L6-v2")     # a folder, or a name in the cache
    >>> embedder.embed(["How many days of leave?"]).shape
    (1, 384)

Everything that makes vectors has the one method of `Embedder`. Models are read from this machine
and never downloaded.
"""

from pipelines.embedding.base import Embedder as Embedder
from pipelines.embedding.onnx import OnnxEmbedder as OnnxEmbedder
from pipelines.embedding.open import check_configured as check_configured
from pipelines.embedding.open import open_cached as open_cached
from pipelines.embedding.open import open_configured as open_configured
from pipelines.embedding.open import open_embedder as open_embedder
