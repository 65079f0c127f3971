"""Retrieval measured on characters: how much of the evidence is in what was retrieved.

Evidence is stretches of documents. A chunk is worth what it holds of them, whoever cut it, so one
set of questions scores any chunking. The figures are those of Smith and Troynikov, "Evaluating
Chunking Strategies for Retrieval" (Chroma, 2024), and recall at a budget of tokens, which, unlike
the others at a fixed number of chunks, does not favour large chunks or small ones by itself.

Everything is arrays: evidence and retrieved chunks are rows of (group, document, start, end), a
group being a question, and every function gives one figure a question. Offsets are code points,
half-open. A mean over the questions is the figure of a chunking; the figures of two chunkings,
question by question, are what a paired bootstrap takes.

    found = ranked_spans(chunks, ranking[:, :5])             # ranking: (questions, k) chunk numbers
    figures = coverage_figures(evidence, found, len(ranking))
    figures.recall.mean(), figures.precision.mean(), figures.iou.mean()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Spans(NamedTuple):
    """Stretches of documents, as arrays of one length. `start < end` holds for all."""

    document: Ints
    """Which document, counted from 0."""
    start: Ints
    """Its first code point."""
    end: Ints
    """The one after its last."""

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int]]) -> Spans:
        """From (document, start, end) tuples."""
        columns = np.array(rows, np.int64).reshape(-1, 3).T
        return cls(*(np.ascontiguousarray(column) for column in columns))

    def take(self, rows: Ints) -> Spans:
        """Those at `rows`, in that order."""
        return Spans(*(column[rows] for column in self))

    @property
    def lengths(self) -> Ints:
        """Code points of each."""
        return self.end - self.start


class Grouped(NamedTuple):
    """Spans that belong to questions."""

    group: Ints
    """For each span its question, counted from 0."""
    spans: Spans

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int, int]]) -> Grouped:
        """From (question, document, start, end) tuples."""
        columns = np.array(rows, np.int64).reshape(-1, 4).T
        return cls(columns[0].copy(), Spans(*(column.copy() for column in columns[1:])))


class Figures(NamedTuple):
    """For each question, from 0 to 1. A question without evidence has NaN."""

    recall: Floats
    """Covered evidence / evidence."""
    precision: Floats
    """Covered evidence / what was retrieved, counted as often as it was; 0 when nothing was."""
    iou: Floats
    """Covered evidence / (retrieved + evidence that was missed)."""


def ranked_spans(chunks: Spans, ranking: Ints) -> Grouped:
    """The retrieved spans of each question.

    Args:
        chunks: all that were indexed.
        ranking: `(questions, k)` numbers of chunks, best first; -1 stands for none.
    """
    questions, depth = ranking.shape
    group = np.repeat(np.arange(questions, dtype=np.int64), depth)
    flat = ranking.reshape(-1)
    kept = flat >= 0
    return Grouped(group[kept], chunks.take(flat[kept]))


def within_budget(chunks: Spans, ranking: Ints, tokens: Ints, budget: int) -> Grouped:
    """What fits into `budget` tokens: chunks in the order of their ranks, the last one cut short.

    The cut chunk gives the leading share of its characters that its tokens leave room for.

    Args:
        chunks: all that were indexed.
        ranking: `(questions, k)` numbers of chunks, best first; -1 stands for none.
        tokens: of each chunk.
        budget: tokens for a question.
    """
    cost = np.where(ranking >= 0, tokens[ranking], 0)
    before = np.cumsum(cost, axis=1) - cost
    share = np.clip((budget - before) / np.maximum(cost, 1), 0.0, 1.0)
    found = ranked_spans(chunks, np.where(share > 0, ranking, -1))
    kept = share[(share > 0) & (ranking >= 0)]
    start = found.spans.start
    end = start + np.floor(found.spans.lengths * kept).astype(np.int64)
    some = end > start
    return Grouped(found.group[some], Spans(found.spans.document[some], start[some], end[some]))


def coverage_figures(evidence: Grouped, retrieved: Grouped, questions: int) -> Figures:
    """Recall, precision and intersection over union of each question."""
    wanted = union_lengths(evidence, questions)
    covered = covered_lengths(evidence, retrieved, questions)
    taken = summed(retrieved.group, retrieved.spans.lengths, questions)
    some = wanted > 0
    return Figures(
        _ratio(covered, wanted, some),
        np.where(some, _ratio(covered, taken, taken > 0, 0.0), np.nan),
        _ratio(covered, taken + wanted - covered, some),
    )


def recall_at_budget(
    evidence: Grouped, chunks: Spans, ranking: Ints, tokens: Ints, budget: int
) -> Floats:
    """The recall of each question within `budget` tokens (`within_budget`)."""
    found = within_budget(chunks, ranking, tokens, budget)
    return coverage_figures(evidence, found, len(ranking)).recall


def precision_omega(evidence: Grouped, chunks: Spans, questions: int) -> Floats:
    """The precision of each question if retrieval were perfect: of the chunking alone.

    Covered evidence / the union of all chunks that touch evidence, and of the evidence that none
    covers. A chunk that merely abuts evidence touches it.
    """
    touching = touching_chunks(evidence, chunks)
    covered = covered_lengths(evidence, touching, questions)
    return _ratio(
        covered,
        union_lengths(joined(evidence, touching), questions),
        union_lengths(evidence, questions) > 0,
    )


def touching_chunks(evidence: Grouped, chunks: Spans) -> Grouped:
    """For each question the chunks that touch its evidence, each as often as it does."""
    order = np.lexsort((chunks.start, chunks.document))
    ordered = chunks.take(order)
    spans = evidence.spans
    width = int(max(_highest(ordered.end), _highest(spans.end))) + 2
    begins = ordered.document * width + ordered.start
    # Chunks may overlap and contain each other, so ends rise only as their running maximum.
    reach = np.maximum.accumulate(ordered.document * width + ordered.end)
    offset = spans.document * width
    low = np.searchsorted(reach, offset + spans.start, side="left")
    high = np.searchsorted(begins, offset + spans.end, side="right")
    counts = np.maximum(high - low, 0)
    rows = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(low - (np.cumsum(counts) - counts), counts)
    candidates = np.arange(len(rows)) + first
    near = (ordered.document[candidates] == spans.document[rows]) & (
        ordered.end[candidates] >= spans.start[rows]
    )
    return Grouped(evidence.group[rows[near]], ordered.take(candidates[near]))


def evidence_in_ranks(evidence: Grouped, chunks: Spans, ranking: Ints) -> Ints:
    """For each question and rank, the code points of its evidence in that chunk.

    `(questions, k)`; the basis of figures on ranks, such as nDCG and the reciprocal rank.
    """
    questions, depth = ranking.shape
    cell = np.arange(questions * depth, dtype=np.int64)
    repeated = np.repeat(np.arange(len(evidence.group)), depth)
    cells = (evidence.group[:, None] * depth + np.arange(depth)).reshape(-1)
    wanted = Grouped(cells, evidence.spans.take(repeated))
    kept = ranking.reshape(-1) >= 0
    given = Grouped(cell[kept], chunks.take(ranking.reshape(-1)[kept]))
    return covered_lengths(wanted, given, questions * depth).reshape(questions, depth)


def covered_lengths(evidence: Grouped, retrieved: Grouped, questions: int) -> Ints:
    """For each question, the code points that are in its evidence and were retrieved."""
    return (
        union_lengths(evidence, questions)
        + union_lengths(retrieved, questions)
        - union_lengths(joined(evidence, retrieved), questions)
    )


def union_lengths(spans: Grouped, groups: int) -> Ints:
    """For each group, the code points in at least one of its spans."""
    group, (document, start, end) = spans
    if not len(group):
        return np.zeros(groups, np.int64)
    order = np.lexsort((start, document, group))
    group, document, start, end = group[order], document[order], start[order], end[order]
    # All on one line, a stretch of its own for each group and document.
    new = np.ones(len(group), bool)
    new[1:] = (group[1:] != group[:-1]) | (document[1:] != document[:-1])
    offset = (np.cumsum(new) - 1) * (int(end.max()) + 1)
    reached = np.maximum.accumulate(offset + end)
    before = np.concatenate([[-1], reached[:-1]])
    fresh = np.maximum(offset + end - np.maximum(offset + start, before), 0)
    return summed(group, fresh, groups)


def summed(group: Ints, values: Ints, groups: int) -> Ints:
    """For each group the sum of its values."""
    total = np.zeros(groups, np.int64)
    np.add.at(total, group, values)
    return total


def joined(a: Grouped, b: Grouped) -> Grouped:
    """The rows of both."""
    columns = (np.concatenate(pair) for pair in zip(a.spans, b.spans, strict=True))
    return Grouped(np.concatenate([a.group, b.group]), Spans(*columns))


def _ratio(
    part: Ints, whole: Ints, where: npt.NDArray[np.bool_], otherwise: float = np.nan
) -> Floats:
    return np.where(where, part / np.where(where, whole, 1), otherwise)


def _highest(values: Ints) -> int:
    return int(values.max()) if len(values) else 0
