"""One strategy measured: cut, indexed, asked, and scored on spans of evidence.

    corpus = read_corpus(config)
    resolution = resolve(read_evidence(path), corpus)
    evaluation = evaluate_strategy(corpus, config.strategy("default"), resolution.questions)
    evaluation.metrics()["recall_at_1000_tokens"]
    evaluation.main.values["recall_at_1000_tokens"]      # question by question

Nothing is read or written here: the same corpus, strategy, questions and settings give the same
figures on every machine, seconds aside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chunkers.tokens import count_tokens
from pipelines.config import DEFAULT_ENCODING, EvaluationConfig, StrategyConfig
from pipelines.evaluate import spanmetrics as sm
from pipelines.evaluate.chunked import Chunked, chunk_corpus
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.likeness import embedding_figures
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
from pipelines.transform.figures import Figures

if TYPE_CHECKING:
    from pipelines.embedding import Embedder

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAST_DEPTH = 50
KEPT_RANKS = 20
"""Ranks of a question that are kept for people to look at."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How strategies are asked and scored."""

    retrievers: tuple[str, ...] = ("bm25",)
    k: tuple[int, ...] = (1, 3, 5, 10, 20)
    budgets: tuple[int, ...] = (500, 1000, 2000)
    encoding: str = DEFAULT_ENCODING
    objective: str = "recall_at_1000_tokens"

    @classmethod
    def of(cls, config: EvaluationConfig) -> Settings:
        """Those of a configuration."""
        return cls(config.retrievers, config.k, config.budgets, config.encoding, config.objective)

    def as_value(self) -> dict[str, Any]:
        """Plain values, for fingerprints and MLflow; the objective decides about no figure."""
        return {
            "retrievers": list(self.retrievers),
            "k": list(self.k),
            "budgets": list(self.budgets),
            "encoding": self.encoding,
        }


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


@dataclass(frozen=True)
class Evaluation:
    """What became of a strategy on a corpus with its questions."""

    chunked: Chunked
    questions: tuple[Resolved, ...]
    settings: Settings
    variants: Mapping[str, Variant]
    """By name; the first is the one that a ranking goes by. None without questions."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """CPU time: `chunking`, `retrieval`."""
    by_vectors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """See `pipelines.evaluate.likeness`; none without an embedder."""

    @property
    def strategy(self) -> StrategyConfig:
        """What was measured."""
        return self.chunked.strategy

    @property
    def main(self) -> Variant:
        """The variant that a ranking goes by.

        Raises:
            ValueError: there were no questions.
        """
        for variant in self.variants.values():
            return variant
        raise ValueError("there are no questions, hence no retrieval figures")

    def metrics(self, variant: str | None = None) -> dict[str, float]:
        """All figures over all documents and questions; those that do not apply are left out."""
        overall = Figures()
        for one in self.chunked.figures.values():
            overall = overall.merge(one)
        if self.chunked.edit_stability is not None:
            extra = {"edit_stability": self.chunked.edit_stability}
        else:
            extra = {}
        level0 = self.chunked.tokens[self.chunked.levels == 0]
        values: dict[str, float] = {
            "documents": float(len(self.chunked.corpus)),
            "rejected": float(len(self.chunked.rejected)),
            "chunks": float(len(self.chunked)),
            "stored_tokens": float(self.chunked.tokens.sum()),
            "largest_chunk_tokens": float(overall.largest),
            **overall.means(),
            **extra,
            **self.by_vectors.get("", {}),
            **{f"{name}_seconds": seconds for name, seconds in self.seconds.items()},
        }
        if len(level0):
            for share in (10, 50, 90):
                values[f"chunk_tokens_p{share}"] = float(np.percentile(level0, share))
        if self.variants:
            chosen = self.main if variant is None else self.variants[variant]
            values |= means(chosen.values)
            if not math.isnan(chosen.negative_query_rate):
                values["negative_query_rate"] = chosen.negative_query_rate
        return values

    def metrics_by_type(self, variant: str | None = None) -> dict[str, dict[str, float]]:
        """Figures by data type: of its documents, and of the questions with evidence in them."""
        result: dict[str, dict[str, float]] = {}
        for name, figures in self.chunked.figures.items():
            result[name] = {
                "documents": float(figures.documents),
                "chunks": float(figures.chunks),
                **figures.means(),
                **self.by_vectors.get(name, {}),
            }
        for name, values in self._grouped(self.data_types, variant):
            result.setdefault(name, {}).update(values)
        return result

    def metrics_by_class(self, variant: str | None = None) -> dict[str, dict[str, float]]:
        """Retrieval figures by query class; `-` for questions that have none."""
        return dict(self._grouped([r.question.query_class or "-" for r in self.questions], variant))

    def _grouped(
        self, groups: Sequence[str], variant: str | None
    ) -> Iterator[tuple[str, dict[str, float]]]:
        if not self.variants:
            return
        chosen = self.main if variant is None else self.variants[variant]
        names = np.array(groups, dtype=np.str_)
        for name in sorted({group for group in groups if group}):
            mask = names == name
            values = means({metric: each[mask] for metric, each in chosen.values.items()})
            yield name, {"questions": float(mask.sum()), **values}

    @cached_property
    def data_types(self) -> list[str]:
        """For each question the data type of the document with its first passage; `` for none."""
        documents = self.chunked.corpus.documents
        return [
            documents[r.found[0].document].document.data_type if r.found else ""
            for r in self.questions
        ]

    def series(self) -> dict[str, list[tuple[int, float]]]:
        """Metrics along k and along the budget, as (step, value)."""
        values = means(self.main.values) if self.variants else {}
        result: dict[str, list[tuple[int, float]]] = {}
        for kind in ("recall", "ndcg", "mrr", "token_recall", "token_precision", "token_iou"):
            points = [(k, values.get(f"{kind}_at_{k}")) for k in self.settings.k]
            result[f"{kind}_by_k"] = [(k, v) for k, v in points if v is not None]
        points = [(b, values.get(f"recall_at_{b}_tokens")) for b in self.settings.budgets]
        result["recall_by_tokens"] = [(b, v) for b, v in points if v is not None]
        return {name: points for name, points in result.items() if points}


def evaluate_strategy(
    corpus: Corpus,
    strategy: StrategyConfig,
    questions: Sequence[Resolved] = (),
    settings: Settings | None = None,
    *,
    embedder: Embedder | None = None,
    likeness: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Cut `corpus` with `strategy`, ask `questions` of the chunks, and score what is found.

    Args:
        corpus: the documents; see `pipelines.evaluate.corpus`.
        strategy: policy, cap and encoding. Its name goes into the chunk ids.
        questions: with their evidence found in this corpus (`pipelines.evaluate.resolve`). With
            none, there are the label-free figures alone.
        settings: retrievers, k, budgets; see `Settings`.
        embedder: for `dense` and `hybrid`, and for `likeness`.
        likeness: whether cohesion and separation by the embedder's vectors are wanted, too.
        progress: told after each document, with 1.

    Raises:
        ValueError: a retriever needs an embedder and there is none.
        MissingExtra: bm25s is not installed.
    """
    settings = settings or Settings()
    chunked = chunk_corpus(corpus, strategy, progress=progress)
    variants: dict[str, Variant] = {}
    begin = time.process_time()
    if questions and len(chunked):
        asking = _Asking(chunked, tuple(questions), settings, embedder)
        for retriever in settings.retrievers:
            variants |= asking.variants(retriever)
    retrieval = time.process_time() - begin
    return Evaluation(
        chunked=chunked,
        questions=tuple(questions),
        settings=settings,
        variants=variants,
        seconds={"chunking": chunked.seconds, "retrieval": retrieval},
        by_vectors=embedding_figures(chunked, embedder) if likeness and embedder else {},
    )


def means(values: Mapping[str, Floats]) -> dict[str, float]:
    """The mean of each metric over the questions that have it; others are left out."""
    result = {}
    for name, each in values.items():
        known = each[~np.isnan(each)]
        if len(known):
            result[name] = float(known.mean())
    return result


class _Asking:
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
        self._made: dict[tuple[str, str], tuple[Retriever, Ints]] = {}

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
            return known[0]
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
        self._made[kind, label] = (made, numbers)
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
