"""A corpus cut by a strategy: the same spans, counts and ids that transform would write."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chunkers.counting import counter
from chunkers.embedders import served_by
from chunkers.policy import Route
from chunkers.quality import measure
from chunkers.quality_edits import edit_stability
from chunkers.registry import build
from chunkers.spans import Span
from chunkers.tokens import TokenMap, count_with_context
from lineage import Document, Quality, embedded_text
from lineage.errors import TransientError
from pipelines.config import StrategyConfig
from pipelines.embedding.ahead import Job, ReadAhead, job_of
from pipelines.embedding.cache import VectorCache
from pipelines.evaluate.corpus import Corpus, CorpusDocument
from pipelines.evaluate.spanmetrics import Ints, Spans
from pipelines.transform.checks import BrokenPromise, check_cap, check_parents, check_spans
from pipelines.transform.figures import Figures
from pipelines.transform.rows import chunk_ids

_EDITED_DOCUMENTS = 8
_EDITED_CHARACTERS = 150_000


@dataclass(frozen=True, slots=True)
class CutDocument:
    """One document's chunks, in order."""

    spans: tuple[Span, ...]
    counts: tuple[int, ...]
    """Tokens of each in the strategy's encoding, context included."""
    rule: str
    chunker: str
    quality: Quality


@dataclass(frozen=True)
class Chunked:
    """All chunks of a corpus under one strategy, as arrays in the order of documents and spans."""

    corpus: Corpus
    strategy: StrategyConfig
    cuts: tuple[CutDocument | None, ...]
    """By place in the corpus; null for a document that would be rejected."""
    spans: Spans
    tokens: Ints
    levels: Ints
    parents: Ints
    """The number of the chunk around each; -1 where there is none."""
    granularities: tuple[str, ...]
    figures: Mapping[str, Figures]
    """Label-free figures by data type."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Document id to why it would be rejected."""
    edit_stability: float | None = None
    """See `chunkers.quality_edits`; the mean over a sample of documents."""
    seconds: float = 0.0
    """CPU time of cutting and counting, without the figures and without making vectors."""

    def __len__(self) -> int:
        return len(self.tokens)

    def span(self, number: int) -> Span:
        """The span of a chunk by its number."""
        document, place = self._places[number]
        cut = self.cuts[document]
        assert cut is not None
        return cut.spans[place]

    @property
    def _places(self) -> list[tuple[int, int]]:
        found = self.__dict__.get("_places_made")
        if found is None:
            found = [
                (document, place)
                for document, cut in enumerate(self.cuts)
                if cut is not None
                for place in range(len(cut.spans))
            ]
            self.__dict__["_places_made"] = found
        return found

    def text(self, number: int) -> str:
        """What of the document the chunk says."""
        document = int(self.spans.document[number])
        start, end = int(self.spans.start[number]), int(self.spans.end[number])
        return self.corpus.documents[document].document.text[start:end]

    def embedded_texts(self, numbers: Sequence[int]) -> list[str]:
        """What would be embedded of each: context, a blank line, text."""
        return [embedded_text(self.span(n).context, self.text(n)) for n in numbers]

    @property
    def ids(self) -> list[str]:
        """The ids that transform would give the chunks."""
        found: list[str] | None = self.__dict__.get("_ids")
        if found is None:
            found = []
            for item, cut in zip(self.corpus.documents, self.cuts, strict=True):
                if cut is not None:
                    found += chunk_ids(item.document, self.strategy.name, cut.spans)
            self.__dict__["_ids"] = found
        return found


def chunk_corpus(
    corpus: Corpus,
    strategy: StrategyConfig,
    *,
    progress: Callable[[int], None] | None = None,
) -> Chunked:
    """Cut every document of `corpus` as the strategy's policy says, and measure the cuts.

    A document whose chunks would break a promise, or whose chunker fails, is in `rejected`, as
    transform would reject it.

    Args:
        corpus: the documents.
        strategy: policy, cap and encoding.
        progress: told after each document how many there were, one each time.
    """
    cuts: list[CutDocument | None] = []
    figures: dict[str, Figures] = {}
    rejected: dict[str, str] = {}
    seconds = 0.0
    ahead = _read_ahead(corpus)
    _warm_up(strategy, ahead)
    routed = (_Routed.of(item, strategy) for item in corpus.documents)
    for one, _ in ahead.each(routed, lambda r: r.job(lambda: r.cut(strategy)), _Routed.size):
        document, route, chunker = one.document, one.route, one.chunker
        begin = time.process_time()
        try:
            spans, counts = one.cut(strategy)
        except TransientError:
            raise
        except BrokenPromise as error:
            rejected[document.document_id] = f"{error.error_class}: {error.message}"
            cuts.append(None)
            continue
        except Exception as error:
            rejected[document.document_id] = (
                f"chunker_error: {route.chunker}: {type(error).__name__}: {error}"
            )
            cuts.append(None)
            continue
        finally:
            seconds += time.process_time() - begin
            if progress is not None:
                progress(1)
        target = getattr(chunker, "target_tokens", None) or strategy.max_tokens
        quality, _ = measure(document, spans, counts, strategy.max_tokens, target)
        if spans:
            figures.setdefault(document.data_type, Figures()).add(quality, counts)
        cuts.append(CutDocument(tuple(spans), tuple(counts), route.rule, route.chunker, quality))
    stability = _stability(corpus, strategy, cuts, ahead)
    return _arrays(corpus, strategy, cuts, figures, rejected, stability, seconds)


def _stability(
    corpus: Corpus, strategy: StrategyConfig, cuts: Sequence[CutDocument | None], ahead: ReadAhead
) -> float | None:
    """Of the first documents, by id, that are of a size to be cut a few times more."""
    values: list[float] = []
    fit = (
        _Routed.of(item, strategy)
        for item, cut in zip(corpus.documents, cuts, strict=True)
        if cut is not None and len(cut.spans) >= 3 and len(item.document.text) <= _EDITED_CHARACTERS
    )
    edited = itertools.islice(fit, _EDITED_DOCUMENTS)
    for one, _ in ahead.each(edited, lambda r: r.job(lambda: r.edited(strategy)), _Routed.size):
        with contextlib.suppress(Exception):  # a chunker that fails on an edit has no figure
            value = one.edited(strategy)
            if value is not None:
                values.append(value)
    return sum(values) / len(values) if values else None


class _Routed(NamedTuple):
    """A document, the rule for it, and the rule's chunker."""

    document: Document
    route: Route
    chunker: Any

    @classmethod
    def of(cls, item: CorpusDocument, strategy: StrategyConfig) -> _Routed:
        route = strategy.policy.route(item.facts)
        chunker = build(route.chunker, route.parameters, max_tokens=strategy.max_tokens)
        return cls(item.document, route, chunker)

    def size(self) -> int:
        """Code points."""
        return len(self.document.text)

    def job(self, run: Callable[[], object]) -> Job | None:
        """`run`, if the chunker embeds."""
        return job_of(self.document.document_id, self.route.parameters, run)

    def cut(self, strategy: StrategyConfig) -> tuple[list[Span], list[int]]:
        """See `cut_document`."""
        return cut_document(self.document, self.chunker, strategy)

    def edited(self, strategy: StrategyConfig) -> float | None:
        """See `edit_stability`."""
        return edit_stability(self.document, self.chunker, strategy.encoding)


def _read_ahead(corpus: Corpus) -> ReadAhead:
    """What has vectors at hand for chunkers that embed: from the lake, when the corpus has one."""
    return ReadAhead(VectorCache.of(corpus.lake) if corpus.lake else None)


def _warm_up(strategy: StrategyConfig, ahead: ReadAhead) -> None:
    """Load what is loaded once a process, so that no strategy's seconds count it."""
    counter(strategy.encoding).hurry()
    text = "# Title\n\nA sentence. Another one.\n"
    tokens = TokenMap(text, strategy.encoding)
    for rule in (strategy.policy.default, *strategy.policy.rules):
        chunker = build(rule.chunker, rule.parameters, max_tokens=strategy.max_tokens)
        # What is wrong shows on the documents.
        with served_by(ahead.serve), contextlib.suppress(Exception):
            chunker.spans(Document(text=text), tokens)


def cut_document(
    document: Document, chunker: Any, strategy: StrategyConfig
) -> tuple[list[Span], list[int]]:
    """The spans of one document and their tokens, checked as transform checks them.

    Raises:
        BrokenPromise: they would break one.
    """
    tokens = TokenMap(document.text, strategy.encoding)
    spans = chunker.spans(document, tokens)
    check_spans(document, spans)
    check_parents(spans)
    counts = [count_with_context(tokens, span) for span in spans]
    check_cap(spans, counts, strategy.max_tokens)
    return spans, counts


def _arrays(
    corpus: Corpus,
    strategy: StrategyConfig,
    cuts: Sequence[CutDocument | None],
    figures: Mapping[str, Figures],
    rejected: Mapping[str, str],
    stability: float | None,
    seconds: float,
) -> Chunked:
    rows: list[tuple[int, int, int]] = []
    tokens: list[int] = []
    levels: list[int] = []
    parents: list[int] = []
    granularities: list[str] = []
    for document, cut in enumerate(cuts):
        if cut is None:
            continue
        base = len(rows)
        for span, count in zip(cut.spans, cut.counts, strict=True):
            rows.append((document, span.start, span.end))
            tokens.append(count)
            levels.append(span.level)
            parents.append(-1 if span.parent is None else base + span.parent)
            granularities.append(span.granularity)

    def array(values: list[int]) -> npt.NDArray[np.int64]:
        return np.array(values, np.int64)

    return Chunked(
        corpus=corpus,
        strategy=strategy,
        cuts=tuple(cuts),
        spans=Spans.of(rows),
        tokens=array(tokens),
        levels=array(levels),
        parents=array(parents),
        granularities=tuple(granularities),
        figures=dict(figures),
        rejected=dict(rejected),
        edit_stability=stability,
        seconds=seconds,
    )
