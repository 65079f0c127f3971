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
from typing import TYPE_CHECKING

import numpy as np

from pipelines.config import StrategyConfig
from pipelines.evaluate.asking import Asking
from pipelines.evaluate.asking import Variant as Variant
from pipelines.evaluate.chunked import Chunked, chunk_corpus
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.likeness import embedding_figures
from pipelines.evaluate.resolve import Resolved
from pipelines.evaluate.settings import Settings as Settings
from pipelines.evaluate.spanmetrics import Floats
from pipelines.transform.figures import Figures

if TYPE_CHECKING:
    from pipelines.embedding import Embedder


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
        asking = Asking(chunked, tuple(questions), settings, embedder)
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
