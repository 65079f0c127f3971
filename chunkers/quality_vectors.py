"""Cohesion and separation by what the chunks mean: by the vectors of a model, not by their words.

    made = sentences_of(document, spans)
    cohesion, separation = made.figures(embed(made.texts))

The definitions are those of `chunkers.quality_text.cohesion_and_separation`, range and direction
included. Sentences are embedded, not windows: a sentence is the same whatever chunk it is in, so
chunkings that are compared share nearly all vectors, and only what a cut tears is embedded besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chunkers.boundaries import sentence_starts
from chunkers.quality_text import figures_of_windows, smallest
from chunkers.quality_words import windows_of, words_of
from chunkers.spans import Span
from lineage.records import Document

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from chunkers.quality_words import Ints


@dataclass(frozen=True, slots=True)
class Sentences:
    """The sentences of a chunking, and the windows that they make up."""

    texts: list[str]
    """To be embedded. Sentences, or what of one is in a chunk; the same may be there twice."""
    windows: Ints
    """The window of each."""
    weights: Ints
    """Its words."""
    chunks: Ints
    """Of each window, the place of its chunk in `order`."""
    order: list[int]
    """Which of the chunks are the smallest, in the order of the text."""
    number: int
    """All chunks."""

    def figures(
        self, vectors: npt.NDArray[np.floating]
    ) -> tuple[list[float | None], list[float | None]]:
        """For each of the smallest chunks, cohesion and separation; higher is better for both.

        From 0 to 1, null where there is nothing to compare. A window's vector is the mean of its
        sentences', weighted by their words; likeness is the cosine, and 0 where that is negative.

        Args:
            vectors: one row for each of `texts`, of any length.
        """
        import numpy as np

        if not self.texts:
            return [None] * self.number, [None] * self.number
        rows = np.asarray(vectors, np.float64)
        lengths = np.linalg.norm(rows, axis=1)
        rows = rows * (self.weights / np.where(lengths > 0, lengths, 1.0))[:, None]
        edges = np.flatnonzero(np.diff(self.windows, prepend=-1))
        sums = np.add.reduceat(rows, edges)
        norms = np.linalg.norm(sums, axis=1)
        norms[norms == 0] = 1.0
        dots = np.einsum("ij,ij->i", sums[:-1], sums[1:])
        likeness = np.clip(dots / (norms[:-1] * norms[1:]), 0.0, 1.0)
        chunks = self.chunks[self.windows[edges]]
        return figures_of_windows(self.number, self.order, chunks, likeness)


def sentences_of(document: Document, spans: Sequence[Span]) -> Sentences:
    """What has to be embedded for the cohesion and separation of a chunking.

    Windows are those of about 32 words that lexical likeness goes by. A sentence belongs to the
    window that its middle word is in, so a window between the ends of a long one may have none.
    """
    import numpy as np

    order, ranges = smallest(spans)
    text = document.text
    words = words_of(text if len(order) > 1 else "")
    windows = windows_of(words, ranges)
    none = np.zeros(0, np.int64)
    if len(windows.chunks) < 2:
        return Sentences([], none, none, windows.chunks, order, len(spans))
    low, high = ranges[0][0], max(end for _, end in ranges)
    inner = sentence_starts(text, low, high, document.language)
    cuts = np.unique(np.array([*inner, *(edge for each in ranges for edge in each)], np.int64))
    left, right = words.starts.searchsorted(cuts[:-1]), words.starts.searchsorted(cuts[1:])
    middle = (left + right) // 2
    place = np.minimum(windows.words.searchsorted(middle), len(windows.words) - 1)
    # Without words, or between chunks, or in one of too few words.
    kept = (right > left) & (windows.words[place] == middle)
    begin, end = cuts[:-1][kept].tolist(), cuts[1:][kept].tolist()
    return Sentences(
        texts=[text[a:b].strip() for a, b in zip(begin, end, strict=True)],
        windows=windows.of_words[place[kept]],
        weights=(right - left)[kept],
        chunks=windows.chunks,
        order=order,
        number=len(spans),
    )
