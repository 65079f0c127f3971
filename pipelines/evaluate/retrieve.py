"""Retrievers: which chunks a question finds, best first.

All give scores to all chunks; the ranking is theirs, with ties by chunk id, so that it is the
same on every machine. What an asker may not read is taken out before the ranking, never after.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from chunkers.quality_words import words_of

if TYPE_CHECKING:
    from pipelines.embedding import Embedder

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

RRF_CONSTANT = 60
_BLOCK = 1 << 24
"""Scores held at once."""


class Retriever(Protocol):
    """Scores of chunks for questions."""

    def scores(self, questions: Sequence[str]) -> Scores:
        """`(questions, chunks)`; 0 or less for what is not found at all."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What questions found."""

    chunks: Ints
    """`(questions, depth)` numbers of chunks, best first; -1 where nothing more was found."""
    best: npt.NDArray[np.float64]
    """Each question's best score, on the retriever's own scale; 0 when nothing was found."""


class Bm25Retriever:
    """Okapi BM25 in Lucene's variant, by bm25s: no model, no stop words, no stemming."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Indexes `texts`.

        Raises:
            MissingExtra: bm25s is not installed.
        """
        import bm25s

        # It sets its own logger to tell of every index.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._vocabulary: dict[int, int] = {}
        ids = [self._learn(text) for text in texts]
        self._number = len(ids)
        self._index = None
        if self._vocabulary:
            self._index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
            vocabulary = {str(hashed): n for hashed, n in self._vocabulary.items()}
            self._index.index((ids, vocabulary), show_progress=False, create_empty_token=False)

    def scores(self, questions: Sequence[str]) -> Scores:
        """See `Retriever`. Divided by the number of known words, so that questions compare."""
        result = np.zeros((len(questions), self._number), np.float32)
        if self._index is None:
            return result
        for row, question in enumerate(questions):
            known = [
                self._vocabulary[word]
                for word in words_of(question).hashes.tolist()
                if word in self._vocabulary
            ]
            if known:
                tokens = np.array(known, np.int64)
                result[row] = self._index.get_scores_from_ids(tokens) / len(known)
        return result

    def _learn(self, text: str) -> list[int]:
        known = self._vocabulary
        return [known.setdefault(word, len(known)) for word in words_of(text).hashes.tolist()]


class DenseRetriever:
    """The cosine of vectors, exact."""

    def __init__(
        self, texts: Sequence[str], embedder: Embedder, documents: Sequence[str] | None = None
    ) -> None:
        """Embeds `texts`; `documents` are the ids of those that they are from."""
        from pipelines.embedding.once import embed_of

        self._embedder = embedder
        self._vectors = embed_of(embedder, texts, documents)

    def scores(self, questions: Sequence[str]) -> Scores:
        """See `Retriever`."""
        found: Scores = self._embedder.embed(questions) @ self._vectors.T
        return found


class HybridRetriever:
    """Reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009) of several retrievers."""

    def __init__(self, parts: Sequence[Retriever], ids: Sequence[str], depth: int) -> None:
        """Fuses the first `depth` ranks of each of `parts`."""
        self._parts = parts
        self._order = id_order(ids)
        self._depth = depth

    def scores(self, questions: Sequence[str]) -> Scores:
        """See `Retriever`."""
        total = np.zeros((len(questions), len(self._order)), np.float32)
        rows = np.arange(len(questions))[:, None]
        for part in self._parts:
            ranks = top(part.scores(questions), self._order, self._depth)
            share = np.where(ranks >= 0, 1.0 / (RRF_CONSTANT + 1 + np.arange(ranks.shape[1])), 0)
            np.add.at(total, (np.broadcast_to(rows, ranks.shape), np.maximum(ranks, 0)), share)
        return total


def rank(
    retriever: Retriever,
    questions: Sequence[str],
    ids: Sequence[str],
    depth: int,
    readable: npt.NDArray[np.bool_] | None = None,
) -> Ranked:
    """The first `depth` chunks of each question.

    Args:
        retriever: scores the chunks.
        questions: what is asked.
        ids: of the chunks; they decide between equal scores.
        depth: how many at most.
        readable: `(questions, chunks)`, what each asker may read; null: everything.
    """
    order = id_order(ids)
    step = max(1, _BLOCK // max(len(ids), 1))
    chunks, best = [], []
    for start in range(0, len(questions), step):
        scores = retriever.scores(questions[start : start + step])
        if readable is not None:
            scores = np.where(readable[start : start + step], scores, 0)
        chunks.append(top(scores, order, depth))
        best.append(scores.max(axis=1, initial=0.0))
    if not chunks:
        return Ranked(np.zeros((0, depth), np.int64), np.zeros(0))
    return Ranked(np.concatenate(chunks), np.concatenate(best).astype(np.float64))


def id_order(ids: Sequence[str]) -> Ints:
    """For each chunk the place of its id among all ids."""
    order = np.empty(len(ids), np.int64)
    order[np.argsort(np.array(ids, dtype=np.str_), kind="stable")] = np.arange(len(ids))
    return order


def top(scores: Scores, order: Ints, depth: int) -> Ints:
    """The chunks of the highest positive scores, row by row, ties in `order`; then -1."""
    questions, number = scores.shape
    found = np.full((questions, depth), -1, np.int64)
    taken = min(depth, number)
    if not taken:
        return found
    for row in range(questions):
        line = scores[row]
        if number > 4 * taken:
            # All that tie with the last one that fits are looked at.
            least = np.partition(line, number - taken)[number - taken]
            candidates = np.flatnonzero(line >= max(least, np.finfo(np.float32).tiny))
        else:
            candidates = np.flatnonzero(line > 0)
        best = candidates[np.lexsort((order[candidates], -line[candidates]))][:taken]
        found[row, : len(best)] = best
    return found


def read_parents(ranking: Ints, parents: Ints) -> Ints:
    """What is read when each chunk that was found stands for the one around it: each once, at the
    rank of its first child; a chunk without a parent stands for itself."""
    result = np.full_like(ranking, -1)
    for row, found in enumerate(ranking.tolist()):
        read = dict.fromkeys(
            number if parents[number] < 0 else int(parents[number])
            for number in found
            if number >= 0
        )
        result[row, : len(read)] = list(read)
    return result
