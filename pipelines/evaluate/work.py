"""What a process of a comparison does: one strategy, from cutting to the kept result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

from lineage.errors import TransientError
from pipelines.config import Config, StrategyConfig
from pipelines.evaluate.corpus import Corpus, read_corpus
from pipelines.evaluate.evidence import EvidenceSet
from pipelines.evaluate.inputs import lake_embedder
from pipelines.evaluate.report.plots import plots_of
from pipelines.evaluate.resolve import Resolution, resolve
from pipelines.evaluate.results import Results, chunks_table, questions_table, result_of
from pipelines.evaluate.strategy import Settings, evaluate_strategy


@dataclass(frozen=True, slots=True)
class Unit:
    """One strategy on one snapshot."""

    config: Config
    strategy: StrategyConfig
    evidence: EvidenceSet
    settings: Settings
    key: str
    corpus_fingerprint: str
    """Of the snapshot that it is to be evaluated on."""
    embeds: bool = False
    """Whether the configured embedder is used: by retrievers, or for cohesion and separation."""


def evaluate_unit(unit: Unit) -> str:
    """Evaluate, keep the result in the lake, and return its key.

    Raises:
        TransientError: the documents have changed since the comparison began.
    """
    started = time.time()
    corpus, resolution = _inputs(_Inputs(unit.config, unit.evidence), unit.corpus_fingerprint)
    if corpus.fingerprint != unit.corpus_fingerprint:
        raise TransientError(
            "the documents have changed since the comparison began; run it again once ingest has "
            "ended"
        )
    evaluation = evaluate_strategy(
        corpus,
        unit.strategy,
        resolution.questions,
        unit.settings,
        embedder=lake_embedder(unit.config) if unit.embeds else None,
        likeness=unit.embeds,
    )
    result = result_of(unit.key, evaluation, started, time.time())
    Results(unit.config.lake).write(
        result, questions_table(evaluation), chunks_table(evaluation), plots_of(result)
    )
    return unit.key


class _Inputs:
    """A configuration and evidence, equal by where they are from, for the cache."""

    def __init__(self, config: Config, evidence: EvidenceSet) -> None:
        self.config = config
        self.evidence = evidence
        self._identity = (config.lake, config.evaluation.max_documents, evidence.fingerprint)

    def __hash__(self) -> int:
        return hash(self._identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Inputs) and self._identity == other._identity


@lru_cache(maxsize=1)
def _inputs(inputs: _Inputs, fingerprint: str) -> tuple[Corpus, Resolution]:
    """The snapshot and its questions, read once a process."""
    config, evidence = inputs.config, inputs.evidence
    corpus = read_corpus(config, limit=config.evaluation.max_documents, names=evidence.documents)
    return corpus, resolve(evidence, corpus)
