"""What a transform run tells MLflow: its settings, its input's version, its figures."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from pipelines.config import Config, StrategyConfig
from pipelines.options import RunOptions
from pipelines.tables import ChunkTable, Table
from pipelines.tracking import TrackingFailed, new_record, publish, record_run
from pipelines.transform.figures import Figures


def track(
    config: Config,
    strategy: StrategyConfig,
    documents: Table,
    chunks: ChunkTable,
    counts: Mapping[str, int],
    figures: Mapping[str, Figures],
    options: RunOptions,
    started_at: float,
) -> tuple[str | None, str | None]:
    """Keep the run's record in the lake, then log it.

    Returns:
        The MLflow run's id, or null; and what to tell the user, or null.
    """
    overall = Figures()
    for one in figures.values():
        overall = overall.merge(one)
    record = new_record(
        pipeline=config.name,
        stage="transform",
        run_id=options.run_id,
        strategy=strategy.name,
        started_at=started_at,
        parameters={
            "encoding": strategy.encoding,
            "max_tokens": strategy.max_tokens,
            "policy_fingerprint": strategy.policy.fingerprint(),
            "strategy_fingerprint": strategy.fingerprint(),
            "gristmill_version": version("gristmill"),
            "workers": options.workers,
        },
        metrics={
            "documents": counts.get("documents", 0),
            "chunks": counts.get("chunks", 0),
            "tokens": counts.get("tokens", 0),
            "rejected": counts.get("rejected", 0),
            "largest_chunk_tokens": overall.largest,
            **overall.means(),
        },
        metrics_by_type={
            name: {"documents": one.documents, "chunks": one.chunks, **one.means()}
            for name, one in figures.items()
        },
        tags={"chunks_version": str(chunks.version), "documents_seq": str(documents.seq)},
        inputs=[{"name": "documents", "uri": documents.folder.uri, "version": documents.version}],
        configuration=config.raw,
        policy=strategy.policy.as_value(),
    )
    record_run(config.lake, record)
    options.progress.note("logging the run to MLflow")
    outcome = publish(config, record)
    if isinstance(outcome, TrackingFailed):
        return None, outcome.message
    return (outcome.mlflow_run_id, None) if outcome is not None else (None, None)
