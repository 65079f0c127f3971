"""Strategies compared on one snapshot: evaluated in processes, ranked, logged, reported.

What is done stays done: each evaluation is kept in the lake as soon as it ends, and taken from
there by the next comparison on the same documents, questions and settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from chunkers.suggest import unknown
from lineage.errors import ConfigError, GristmillError
from pipelines.config import Config, StrategyConfig
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.evidence import EvidenceSet
from pipelines.evaluate.inputs import lake_embedder, read_configured, read_snapshot
from pipelines.evaluate.ranking import Ranked, rank_strategies
from pipelines.evaluate.resolve import Resolution, resolve
from pipelines.evaluate.results import Result, Results, evaluation_key
from pipelines.evaluate.strategy import Settings
from pipelines.evaluate.work import Unit
from pipelines.options import new_run_id
from pipelines.pool import Failure, ProcessPool
from pipelines.progress import NullProgress, Progress

UNIT_SECONDS = 4 * 3600.0
"""Wall-clock limit of one strategy."""


@dataclass(slots=True)
class Comparison:
    """What a comparison came to."""

    config: Config
    run_id: str
    started_at: float
    corpus: Corpus
    evidence: EvidenceSet
    resolution: Resolution
    settings: Settings
    strategies: tuple[StrategyConfig, ...]
    results: dict[str, Result] = field(default_factory=dict)
    """By strategy; those that are done."""
    reused: set[str] = field(default_factory=set)
    """Strategies whose result was kept from before."""
    failed: dict[str, str] = field(default_factory=dict)
    """Strategy to what went wrong."""
    embedder: Mapping[str, Any] | None = None
    """What made vectors, for retrieval or for cohesion and separation."""
    notes: list[str] = field(default_factory=list)
    """What could not be measured, and why."""
    interrupted: bool = False
    questions: dict[str, pa.Table] = field(default_factory=dict)
    ranking: list[Ranked] = field(default_factory=list)
    ended_at: float = 0.0

    @property
    def unfinished(self) -> list[str]:
        """Strategies that neither ended nor failed."""
        return [
            s.name
            for s in self.strategies
            if s.name not in self.results and s.name not in self.failed
        ]

    def chunks(self, name: str) -> pa.Table:
        """The table of a strategy's chunks."""
        return Results(self.config.lake).chunks(self.results[name].key)


def choose(config: Config, names: Sequence[str] = ()) -> tuple[StrategyConfig, ...]:
    """The strategies to compare: the pipeline's own, those of `evaluation`, and of its grid.

    Raises:
        ConfigError: one of `names` is none of them, or there are fewer than one.
    """
    known = {s.name: s for s in (*config.strategies, *config.evaluation.strategies)}
    for name in names:
        if name not in known:
            raise ConfigError(f"{config.path}: {unknown('strategy', name, known)}")
    return tuple(known[name] for name in dict.fromkeys(names or known))


def compare(
    config: Config,
    strategies: Sequence[StrategyConfig],
    *,
    workers: int = 1,
    again: bool = False,
    progress: Progress | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Comparison:
    """Evaluate `strategies` on the lake as it is now, and rank them.

    A strategy that fails is in `failed`, and the others go on. An interruption ends the work and
    keeps what is done: the comparison comes back with `interrupted` set. Where an embedder is
    configured that no retriever needs, and it cannot be used, the figures by its vectors are left
    out, and `notes` says so.

    Args:
        config: the lake, the evidence and the settings.
        strategies: see `choose`.
        workers: processes. They share the cache of vectors, and no text is embedded by two of
            them; a service that is paid by token and has limits is asked by one.
        again: evaluate anew what is kept from before.
        progress: told of each strategy that is done.
        on_result: called with each result as it comes.

    Raises:
        ConfigError: no documents, no evidence file, or none that can be read.
    """
    progress = progress or NullProgress()
    started = time.time()
    evidence = read_configured(config) if config.evaluation.evidence else EvidenceSet()
    progress.stage("reading documents", 1)
    corpus = read_snapshot(config, evidence)
    resolution = resolve(evidence, corpus)
    settings = Settings.of(config.evaluation)
    progress.advance(1)
    made = Comparison(
        config, new_run_id(), started, corpus, evidence, resolution, settings, tuple(strategies)
    )
    kept = Results(config.lake)
    made.embedder = embedder_of(config)
    units = _left_to_do(made, kept, again)
    if units and made.embedder is not None and not config.evaluation.embeds:
        problem = _unusable(config)
        if problem is not None:
            made.notes.append(
                f"cohesion and separation are by words alone, as the embedder cannot be used: "
                f"{problem}"
            )
            made.embedder = None
            units = _left_to_do(made, kept, again)
    progress.stage("evaluating strategies", len(strategies))
    progress.advance(len(made.reused))
    try:
        for unit, outcome in _evaluated(units, 1 if _limited(made.embedder) else workers):
            if isinstance(outcome, Failure):
                made.failed[unit.strategy.name] = outcome.message
            else:
                result = kept.read(outcome)
                assert result is not None
                made.results[unit.strategy.name] = result
                if on_result is not None:
                    on_result(result)
            progress.advance(1)
    except KeyboardInterrupt:
        made.interrupted = True
        for unit in units:
            # Processes that were a step ahead of the order may have kept theirs already.
            result = None if again else kept.read(unit.key)
            if result is not None:
                made.results.setdefault(unit.strategy.name, result)
    progress.close()
    made.questions = {name: kept.questions(result.key) for name, result in made.results.items()}
    made.ranking = rank_strategies(list(made.results.values()), made.questions, settings.objective)
    made.ended_at = time.time()
    return made


def _left_to_do(made: Comparison, kept: Results, again: bool) -> list[Unit]:
    """The strategies without a kept result; the others are `reused`."""
    made.results, made.reused = {}, set()
    units: list[Unit] = []
    corpus, embeds = made.corpus.fingerprint, made.embedder is not None
    for strategy in made.strategies:
        key = evaluation_key(strategy, corpus, made.evidence, made.settings, made.embedder)
        result = None if again else kept.read(key)
        if result is None:
            units.append(
                Unit(made.config, strategy, made.evidence, made.settings, key, corpus, embeds)
            )
        else:
            made.results[strategy.name] = result
            made.reused.add(strategy.name)
    return units


def _unusable(config: Config) -> str | None:
    """What is wrong with the configured embedder; null when it embeds."""
    embedder = lake_embedder(config)
    try:
        if embedder is not None:
            embedder.embedder.embed(["ready"])
    except GristmillError as error:
        return str(error)
    return None


def embedder_of(config: Config) -> dict[str, Any] | None:
    """What decides about vectors; null where no embedder is configured."""
    made = config.embedder
    if made is None:
        return None
    return {"kind": made.kind, "model": made.model, "dimensions": made.dimensions}


def _limited(embedder: Mapping[str, Any] | None) -> bool:
    """Whether vectors come from a service, whose limits are kept to within one process."""
    return embedder is not None and embedder["kind"] != "onnx"


def _evaluated(units: Sequence[Unit], workers: int) -> Iterator[tuple[Unit, Any]]:
    if not units:
        return
    processes = 0 if workers <= 1 or len(units) == 1 else min(workers, len(units))
    with ProcessPool(
        processes,
        function="pipelines.evaluate.work:evaluate_unit",
        preload=("pipelines.evaluate.strategy",),
        seconds=UNIT_SECONDS,
        initializer="pipelines.arrow:keep_pandas_out",
    ) as pool:
        yield from pool.imap(units)


def figures(made: Comparison) -> dict[str, Mapping[str, float]]:
    """Strategy → all its figures."""
    return {name: result.metrics for name, result in made.results.items()}
