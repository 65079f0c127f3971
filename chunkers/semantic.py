"""Chunks that keep to one subject, by the likeness of neighbouring sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from chunkers import embedders
from chunkers.embedders import Embed, Embeds
from chunkers.optimal import OptimalChunker
from chunkers.packing import Atoms
from chunkers.parameters import check_int, check_number
from chunkers.tokens import TokenMap

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MOST_TEXTS = 4096
"""Sentences embedded in one call, so that memory does not grow with the section."""


@dataclass(frozen=True, kw_only=True)
class SemanticChunker(OptimalChunker):
    """Cuts where the subject changes: as `optimal`, with cohesion counting most.

    What a cut tears is the repeated words that it separates (`chunkers.cohesion`) and, with an
    `embedder`, the cosine of the sentences on its two sides, each for its share: one sees names and
    terms that come again within a hundred tokens, the other what neighbours are about. There is no
    threshold: size, structure and cohesion are weighed against each other over the whole section,
    and sizes may vary more than in `optimal`.

    Good for: prose that changes its subject without saying so: transcripts, speeches, articles.
    Costs: a segmenter for all running text; with an embedder, a vector for each sentence, which is
    many times everything else. Without one, about what `optimal` costs.
    Comes from: text segmentation by dynamic programming over similarity (Utiyama and Isahara, ACL
    2001; Alemi and Ginsparg, "Text Segmentation based on Semantic Word Embeddings", 2015).
    """

    name: ClassVar[str] = "semantic"
    version: ClassVar[str] = "2"

    embedder: Embeds | Embed | Mapping[str, Any] | None = field(
        default=None, repr=False, hash=False
    )
    """Anything with `embed(texts)`, such a function, or a description of one of the kinds that are
    registered (`chunkers.embedders`); words are compared when not given."""
    cohesion_weight: float = 0.8
    """Cost of a cut between sentences that are as like each other as can be."""
    overfull_weight: float = 0.15
    """Cost of a chunk of twice the target, rising with the square from none at the target."""
    end_bonus: float = 0.4
    """What a cut at the end of a section, a block or a line takes off the cost."""
    straddle_weight: float = 0.0
    """Cost of a chunk that joins a part of a paragraph to another paragraph."""
    sentence_share: float = 0.0
    """Paragraphs over this share of the target may be cut inside even if they fit."""
    words_share: float = 0.5
    """Share of the words in what a cut tears, where there is an embedder; the rest is vectors'."""
    window: int = 1
    """Sentences on each side of a cut that are compared, where there is an embedder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = f"chunker {self.name!r}"
        check_int(owner, "window", self.window, 1, 100)
        check_number(owner, "words_share", self.words_share, 0.0, 1.0)
        if self.embedder is not None:
            embedders.check(owner, self.embedder)

    def prepare(self) -> None:
        """Make sure that the embedder works, before documents are chunked.

        Raises:
            GristmillError: whatever is wrong with the model that a description names.
        """
        if self.embedder is not None:
            embedders.function_of(self.embedder)(["ready"])

    def torn(self, sizes: list[int], atoms: Atoms, tokens: TokenMap) -> list[float]:
        """The words torn and the likeness of what is on both sides of each start, from 0 to 1."""
        words = super().torn(sizes, atoms, tokens)
        if self.embedder is None or len(atoms) < 2:
            return words
        ends = [*atoms.starts[1:], max(tokens.position(sizes[-1]), atoms.starts[-1] + 1)]
        places = list(zip(atoms.starts, ends, strict=True))
        embed = embedders.function_of(self.embedder)
        text = tokens.text
        found: list[float] = []
        for first in range(0, len(places), _MOST_TEXTS):
            # Enough of the neighbours for the sentences at the edges; never all vectors at once.
            start = max(first - self.window, 0)
            stop = first + _MOST_TEXTS
            part = places[start : stop + self.window]
            vectors = embed([text[begin:end].strip() for begin, end in part])
            found += likeness(vectors, self.window)[first - start : stop - start]
        share = self.words_share
        return [share * w + (1 - share) * f for w, f in zip(words, found, strict=True)]


def likeness(vectors: npt.NDArray[np.floating[Any]], window: int) -> list[float]:
    """For each row, the cosine of the sum of up to `window` rows before it and of as many from it.

    0 where it is negative, and for the first row.
    """
    import numpy as np

    count = len(vectors)
    sums = np.zeros((count + 1, vectors.shape[1]))
    np.cumsum(vectors, axis=0, dtype=np.float64, out=sums[1:])
    here = np.arange(count)
    before = sums[here] - sums[np.maximum(here - window, 0)]
    after = sums[np.minimum(here + window, count)] - sums[here]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    dots = np.einsum("ij,ij->i", before, after)
    cosine = np.divide(dots, lengths, out=np.zeros(count), where=lengths > 0)
    found: list[float] = np.clip(cosine, 0.0, 1.0).tolist()
    return found
