"""Figures on the ranks of what was retrieved, each from 0 to 1, one a question.

Evidence is spans of documents, so chunks are not relevant or not by themselves: a chunk counts as
a hit when it holds at least half of a passage, or lies wholly inside one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.evaluate.spanmetrics import Floats, Grouped, Ints, Spans


class RankFigures:
    """nDCG, reciprocal rank and recall of passages at any k.

    Args:
        evidence: the passages of the questions.
        grades: of each passage, above 0.
        chunks: all that were indexed.
        ranking: `(questions, k)` numbers of chunks, best first; -1 stands for none.
    """

    def __init__(self, evidence: Grouped, grades: Floats, chunks: Spans, ranking: Ints) -> None:
        questions, depth = ranking.shape
        self._questions, self._depth = questions, depth
        self._evidence, self._grades = evidence, grades
        passages = len(evidence.group)
        # For each passage and rank, the stretch of the passage that the chunk holds.
        rows = ranking[evidence.group]
        there = rows >= 0
        safe = np.where(there, rows, 0)
        if len(chunks.start):
            same = there & (chunks.document[safe] == evidence.spans.document[:, None])
            left = np.maximum(chunks.start[safe], evidence.spans.start[:, None])
            right = np.minimum(chunks.end[safe], evidence.spans.end[:, None])
            held = np.where(same, np.maximum(right - left, 0), 0)
            sizes = chunks.end[safe] - chunks.start[safe]
        else:
            held = np.zeros((passages, depth), np.int64)
            left = right = sizes = held
        lengths = evidence.spans.lengths[:, None]
        self._hit = (2 * held >= lengths) | ((held > 0) & (held >= sizes))
        self._fresh = _fresh_shares(left, right, held) / lengths
        self._covered = np.cumsum(self._fresh, axis=1)

    def recall(self, k: int) -> Floats:
        """The share of a question's passages of which the first `k` chunks hold at least half."""
        found = self._covered[:, min(k, self._depth) - 1] >= 0.5 - 1e-9
        return self._mean(found.astype(np.float64))

    def mrr(self, k: int) -> Floats:
        """1 / the rank of the first hit among the first `k`; 0 when there is none."""
        hits = np.zeros((self._questions, self._depth), bool)
        np.logical_or.at(hits, self._evidence.group, self._hit)
        hits = hits[:, :k]
        first = np.where(hits.any(axis=1), 1.0 / (1 + hits.argmax(axis=1)), 0.0)
        return np.where(self._asked, first, np.nan)

    def ndcg(self, k: int) -> Floats:
        """Normalised discounted cumulative gain of the first `k` (Järvelin, Kekäläinen 2002).

        A chunk gains, for each passage, the grade times the share of the passage that no chunk
        before it had. The ideal, the same for every chunking, has each passage whole in a chunk
        of its own, best grades first; a chunk that holds several at once cannot exceed 1.
        """
        gain = np.zeros((self._questions, self._depth))
        np.add.at(gain, self._evidence.group, self._fresh * self._grades[:, None])
        discount = 1.0 / np.log2(np.arange(self._depth) + 2.0)
        reached = (gain * discount)[:, :k].sum(axis=1)
        order = np.lexsort((-self._grades, self._evidence.group))
        group = self._evidence.group[order]
        start = np.searchsorted(group, group)
        place = np.arange(len(group)) - start
        ideal = np.zeros(self._questions)
        kept = place < k
        np.add.at(ideal, group[kept], (self._grades[order] / np.log2(place + 2.0))[kept])
        share = reached / np.where(ideal > 0, ideal, 1.0)
        return np.where(ideal > 0, np.minimum(share, 1.0), np.nan)

    def first_hits(self) -> Ints:
        """For each question the rank of its first hit, from 1; 0 when there is none."""
        hits = np.zeros((self._questions, self._depth), bool)
        np.logical_or.at(hits, self._evidence.group, self._hit)
        return np.where(hits.any(axis=1), 1 + hits.argmax(axis=1), 0)

    @property
    def _asked(self) -> npt.NDArray[np.bool_]:
        return np.bincount(self._evidence.group, minlength=self._questions) > 0

    def _mean(self, values: Floats) -> Floats:
        count = np.bincount(self._evidence.group, minlength=self._questions)
        total = np.bincount(self._evidence.group, values, self._questions)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _fresh_shares(left: Ints, right: Ints, held: Ints) -> Ints:
    """For each passage and rank, how many of its code points no rank before had.

    Exact where chunks do not overlap or overlap at their ends; of chunks that lie about one
    another anyhow, in the order of ranks.
    """
    fresh = np.zeros_like(held)
    for row in np.flatnonzero((held > 0).any(axis=1)).tolist():
        seen: list[tuple[int, int]] = []
        for rank in np.flatnonzero(held[row]).tolist():
            low, high = int(left[row, rank]), int(right[row, rank])
            fresh[row, rank] = high - low - _covered(seen, low, high)
            seen.append((low, high))
    return fresh


def _covered(seen: list[tuple[int, int]], low: int, high: int) -> int:
    """How much of [low, high) is in any of `seen`."""
    total, reached = 0, low
    for start, end in sorted(seen):
        start, end = max(start, reached), min(end, high)
        if end > start:
            total += end - start
            reached = end
    return total


def negative_rate(best: Floats, unanswerable: npt.NDArray[np.bool_], keep: float = 0.95) -> float:
    """The share of unanswerable questions that a threshold on the best score would turn away.

    The threshold is the highest that keeps the share `keep` of the answerable ones. Higher is
    better; NaN without questions of both kinds. A retriever that cannot tell them apart turns
    away about 1 - `keep`.
    """
    if not unanswerable.any() or unanswerable.all():
        return float("nan")
    threshold = np.quantile(best[~unanswerable], 1 - keep, method="lower")
    return float((best[unanswerable] < threshold).mean())
