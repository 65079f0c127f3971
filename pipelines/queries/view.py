"""One document under one or more strategies, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass

from chunkers.registry import build
from chunkers.spans import Span
from chunkers.suggest import unknown
from lineage import Document
from lineage.errors import ConfigError, TerminalError
from pipelines.config import Config, StrategyConfig
from pipelines.queries.explain import subject_of


@dataclass(frozen=True, slots=True)
class Cut:
    """A document's chunks under one strategy."""

    strategy: str
    rule: str
    chunker: str
    spans: tuple[Span, ...]
    """Of the smallest size, in order."""
    tokens: tuple[int, ...]
    """Of each, context included."""


@dataclass(frozen=True, slots=True)
class View:
    """A document and how strategies cut it."""

    document: Document
    key: str
    cuts: tuple[Cut, ...]
    note: str | None = None


def view(config: Config, target: str, strategies: tuple[str, ...] = ()) -> View:
    """Cut one document as strategies would, without writing anything.

    Args:
        config: whose lake and strategies.
        target: see `pipelines.queries.explain.explain`; a file need not have been ingested.
        strategies: names among `strategies`, `evaluation.strategies` and the grid; by default the
            pipeline's own.

    Raises:
        ConfigError: no such document or strategy.
        TerminalError: the document has no text, or a chunker fails on it.
    """
    known = {s.name: s for s in (*config.strategies, *config.evaluation.strategies)}
    for name in strategies:
        if name not in known:
            raise ConfigError(f"{config.path}: {unknown('strategy', name, known)}")
    names = tuple(dict.fromkeys(strategies)) or tuple(s.name for s in config.strategies)
    subject = subject_of(config, target, with_text=True)
    if not subject.document.text.strip():
        raise TerminalError(f"{subject.document.source_uri or target} has no text to cut")
    return View(
        subject.document,
        subject.facts.path or target,
        tuple(_cut(config, known[name], subject.document, subject.facts) for name in names),
        subject.note,
    )


def _cut(config: Config, strategy: StrategyConfig, document: Document, facts: object) -> Cut:
    from chunkers.tokens import TokenMap, count_with_context
    from pipelines.embedding.ahead import ReadAhead
    from pipelines.embedding.cache import VectorCache

    route = strategy.policy.route(facts)  # type: ignore[arg-type]
    chunker = build(route.chunker, route.parameters, max_tokens=strategy.max_tokens)
    tokens = TokenMap(document.text, strategy.encoding)
    ahead = ReadAhead(VectorCache.of(config.lake), keep=False)
    try:
        spans = ahead.once(document, route.parameters, lambda: chunker.spans(document, tokens))
    except Exception as error:
        raise TerminalError(
            f"strategy {strategy.name!r}: {route.chunker} fails on {document.source_uri}: "
            f"{type(error).__name__}: {error}"
        ) from error
    smallest = tuple(span for span in spans if span.level == 0)
    counts = tuple(count_with_context(tokens, span) for span in smallest)
    return Cut(strategy.name, route.rule, route.chunker, smallest, counts)
