"""Questions put to the chunks of one strategy, in every way there is, and scored."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chunkers.counting import count_tokens
from pipelines.evaluate import spanmetrics as sm
from pipelines.evaluate.chunked import Chunked
from pipelines.evaluate.rankmetrics import RankFigures, negative_rate
from pipelines.evaluate.resolve import Resolved
from pipelines.evaluate.retrieve import (
    Bm25Retriever,
    DenseRetriever,
    HybridRetriever,
    Retriever,
    rank,
    read_parents,
)
from pipelines.evaluate.settings import Settings
from pipelines.evaluate.spanmetrics import Floats, Ints

if TYPE_CHECKING:
    from pipelines.embedding import Embedder

_LEAST_DEPTH = 50
KEPT_RANKS = 20
"""Ranks of a question that are kept for people to look at."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to ask: a retriever over one size of chunks, and what is read of what it found."""

    name: str
    """`bm25`; with several sizes `bm25/lookup`, or `bm25/lookup>analysis` where a chunk that is
    found stands for the larger one around it."""
    ranking: Ints
    """`(questions, ranks)` numbers of the chunks that are read, best first; -1: none."""
    best: Floats
    """Each question's best score, on the retriever's own scale."""
    values: Mapping[str, Floats]
    """Metric to its value for each question; NaN where the question has no such figure."""
    negative_query_rate: float
    """See `pipelines.evaluate.rankmetrics.negative_rate`."""
    seconds: float
    """CPU time of indexing and asking."""


class Asking:
    """Questions put to the chunks of one strategy."""

    def __init__(
        self,
        chunked: Chunked,
        questions: tuple[Resolved, ...],
        settings: Settings,
        embedder: Embedder | None,
    ) -> None:
        self.chunked = chunked
        self.questions = questions
        self.settings = settings
        self.embedder = embedder
        self.texts = [r.question.text for r in questions]
        self.evidence = sm.Grouped.of(
            [(n, f.document, f.start, f.end) for n, r in enumerate(questions) for f in r.found]
        )
        self.grades = np.array([f.grade for r in questions for f in r.found], np.float64)
        self.unanswerable = np.array([not r.found for r in questions], bool)
        self.tokens = self._tokens()
        self._made: dict[tuple[str, str], Retriever] = {}

    def _tokens(self) -> Ints:
        """Tokens of each chunk in the encoding of the budgets."""
        chunked = self.chunked
        if self.settings.encoding == chunked.strategy.encoding:
            return chunked.tokens
        texts = chunked.embedded_texts(range(len(chunked)))
        return np.array([count_tokens(text, self.settings.encoding) for text in texts], np.int64)

    def variants(self, retriever: str) -> dict[str, Variant]:
        """All sizes of chunks under one retriever, the smallest first."""
        chunked = self.chunked
        names = np.array(chunked.granularities, dtype=np.str_)
        sizes = sorted(
            {(int(level), str(name)) for level, name in zip(chunked.levels, names, strict=True)}
        )
        made: dict[str, Variant] = {}
        for level, name in sizes:
            numbers = np.flatnonzero((chunked.levels == level) & (names == name))
            label = name or f"level{level}"
            suffix = "" if len(sizes) == 1 else f"/{label}"
            begin = time.process_time()
            found = self._ranked(retriever, label, numbers)
            own = f"{retriever}{suffix}"
            made[own] = self._variant(own, *found, numbers, time.process_time() - begin)
            around = chunked.parents[numbers]
            if (around >= 0).any():
                ranking = read_parents(found[0], chunked.parents)
                above = {self._label(int(p)) for p in around if p >= 0}
                name_of = f"{own}>{'+'.join(sorted(above))}"
                read = np.unique(np.where(around >= 0, around, numbers))
                made[name_of] = self._variant(name_of, ranking, found[1], read, 0.0)
        return made

    def _label(self, number: int) -> str:
        level = int(self.chunked.levels[number])
        return self.chunked.granularities[number] or f"level{level}"

    def _ranked(self, retriever: str, label: str, numbers: Ints) -> tuple[Ints, Floats]:
        ids = self.chunked.ids
        own = [ids[n] for n in numbers]
        mean = float(self.tokens[numbers].mean()) if len(numbers) else 1.0
        depth = max(
            _LEAST_DEPTH, *self.settings.k, math.ceil(3 * max(self.settings.budgets) / max(mean, 1))
        )
        depth = min(depth, max(len(numbers), 1))
        made = self._retriever(retriever, label, numbers, own, depth)
        ranked = rank(made, self.texts, own, depth, self._readable(numbers))
        ranking = np.where(ranked.chunks >= 0, numbers[ranked.chunks], -1)
        return ranking, ranked.best

    def _retriever(
        self, kind: str, label: str, numbers: Ints, ids: Sequence[str], depth: int
    ) -> Retriever:
        known = self._made.get((kind, label))
        if known is not None:
            return known
        made: Retriever
        if kind == "hybrid":
            parts = [
                self._retriever(part, label, numbers, ids, depth) for part in ("bm25", "dense")
            ]
            made = HybridRetriever(parts, ids, depth)
        else:
            texts = self.chunked.embedded_texts(numbers.tolist())
            if kind == "bm25":
                made = Bm25Retriever(texts)
            else:
                if self.embedder is None:
                    raise ValueError(f"{kind} retrieval needs an embedder")
                made = DenseRetriever(texts, self.embedder, self._documents(numbers))
        self._made[kind, label] = made
        return made

    def _documents(self, numbers: Ints) -> list[str]:
        """The id of each chunk's document."""
        documents = self.chunked.corpus.documents
        places = self.chunked.spans.document[numbers].tolist()
        return [documents[place].document.document_id for place in places]

    def _readable(self, numbers: Ints) -> npt.NDArray[np.bool_] | None:
        """What each asker may read; null when all may read everything."""
        askers = [r.question.principal for r in self.questions]
        if all(asker is None for asker in askers):
            return None
        documents = self.chunked.corpus.documents
        known: dict[Any, npt.NDArray[np.bool_]] = {None: np.ones(len(documents), np.bool_)}
        for asker in askers:
            if asker is not None and asker not in known:
                permits = [item.document.acl.permits(asker) for item in documents]
                known[asker] = np.array(permits, np.bool_)
        of_documents = np.stack([known[asker] for asker in askers])
        found: npt.NDArray[np.bool_] = of_documents[:, self.chunked.spans.document[numbers]]
        return found

    def _variant(
        self, name: str, ranking: Ints, best: Floats, read: Ints, seconds: float
    ) -> Variant:
        return Variant(
            name=name,
            ranking=ranking[:, :KEPT_RANKS],
            best=best,
            values=self._values(ranking, read),
            negative_query_rate=negative_rate(best, self.unanswerable),
            seconds=seconds,
        )

    def _values(self, ranking: Ints, read: Ints) -> dict[str, Floats]:
        count, spans = len(self.questions), self.chunked.spans
        values: dict[str, Floats] = {}
        for budget in self.settings.budgets:
            values[f"recall_at_{budget}_tokens"] = sm.recall_at_budget(
                self.evidence, spans, ranking, self.tokens, budget
            )
        figures = RankFigures(self.evidence, self.grades, spans, ranking)
        for k in self.settings.k:
            found = sm.ranked_spans(spans, ranking[:, :k])
            covered = sm.coverage_figures(self.evidence, found, count)
            values[f"recall_at_{k}"] = figures.recall(k)
            values[f"ndcg_at_{k}"] = figures.ndcg(k)
            values[f"mrr_at_{k}"] = figures.mrr(k)
            values[f"token_recall_at_{k}"] = covered.recall
            values[f"token_precision_at_{k}"] = covered.precision
            values[f"token_iou_at_{k}"] = covered.iou
            cost = np.where(ranking[:, :k] >= 0, self.tokens[ranking[:, :k]], 0).sum(axis=1)
            values[f"tokens_read_at_{k}"] = cost.astype(np.float64)
        values["precision_omega"] = sm.precision_omega(self.evidence, spans.take(read), count)
        first = figures.first_hits().astype(np.float64)
        values["first_hit_rank"] = np.where((first > 0) & ~self.unanswerable, first, np.nan)
        return values
