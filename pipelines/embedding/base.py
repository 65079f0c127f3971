"""What every embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors: one method, and what a cache of vectors has to know.

    A vector depends on its text and the embedder's name alone, never on the other texts of the
    call. An embedder can be pickled; what it needs is loaded, or connected, on first use.
    """

    @property
    def name(self) -> str:
        """The model's identity: another one whenever the same text may get another vector."""

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of the model's own that it reads of a text, special ones included."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors, `(len(texts), dimensions)`, in the order of the texts, each of length 1.

        Raises:
            TransientError: the service that makes them is away; trying again may succeed.
            TerminalError: the model cannot make them.
        """


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The rows of `vectors` scaled to length 1; rows of zeros are left."""
    import numpy as np

    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    scale = 1.0 / np.where(lengths > 0, lengths, 1.0)
    return (vectors * scale[:, None]).astype(np.float32)


def encodable(text: str) -> str:
    """`text` as every tokenizer takes it: lone surrogates, which are no text, replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
