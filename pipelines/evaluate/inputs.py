"""What an evaluation starts from: the configured evidence, and the snapshot it is asked of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lineage.errors import ConfigError
from pipelines.config import Config
from pipelines.evaluate.corpus import Corpus, read_corpus
from pipelines.evaluate.evidence import EvidenceSet
from pipelines.evaluate.evidence_files import read_evidence

if TYPE_CHECKING:
    from pipelines.embedding.once import CachingEmbedder


def read_configured(config: Config) -> EvidenceSet:
    """The evidence of `evaluation.evidence`, all files together.

    Raises:
        ConfigError: none is configured, or a file is not there.
        EvidenceError: a file cannot be read as evidence.
    """
    paths = config.evaluation.evidence
    if not paths:
        raise ConfigError(
            f"{config.path}: names no evidence; for example "
            "`evaluation: {evidence: evidence.jsonl}`"
        )
    evidence = read_evidence(Path(paths[0]))
    for path in paths[1:]:
        evidence = evidence.joined(read_evidence(Path(path)))
    return evidence


def configured_embedder(config: Config) -> CachingEmbedder | None:
    """What makes vectors for retrievers, as `lake_embedder`; null where none needs any."""
    return lake_embedder(config) if config.evaluation.embeds else None


def lake_embedder(config: Config) -> CachingEmbedder | None:
    """The configured embedder with the lake's cache in front; null where none is configured."""
    if config.embedder is None:
        return None
    from pipelines.embedding import open_cached

    return open_cached(config.embedder, config.lake)


def read_snapshot(config: Config, evidence: EvidenceSet) -> Corpus:
    """The documents with evidence, and as many others as `evaluation.max_documents` allows.

    Raises:
        ConfigError: nothing was ingested yet, or no document has text.
    """
    return read_corpus(config, limit=config.evaluation.max_documents, names=evidence.documents)
