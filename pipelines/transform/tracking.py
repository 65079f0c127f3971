"""What a transform run tells MLflow: its settings, its input's version, its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from pipelines.budget import money
from pipelines.config import Config, StrategyConfig
from pipelines.options import RunOptions
from pipelines.tables import ChunkTable, Table
from pipelines.tracking import Publisher, TrackingFailed, new_record, record_run, redacted
from pipelines.transform.figures import Figures
from pipelines.usage import Ledger


@dataclass(frozen=True, slots=True)
class Tracked:
    """What became of a strategy's MLflow run."""

    mlflow_run_id: str | None = None
    note: str | None = None
    """What to tell the user when it could not be logged."""


@dataclass(slots=True)
class Tracking:
    """A transform's runs on their way to MLflow, one for each strategy that chunked anything.

    They are logged while the caller goes on; whoever asks for the outcome waits, for a bounded
    time.
    """

    publisher: Publisher
    _run_keys: dict[str, str] = field(default_factory=dict)
    _tracked: dict[str, Tracked] | None = None

    def start(self) -> None:
        """Begin with what takes seconds, before there is a run to log."""
        self.publisher.start()

    def log(self, config: Config, record: Mapping[str, Any]) -> None:
        """Keep a run's record in the lake, and with `mlflow` send it off."""
        record_run(config.lake, record, to_publish=config.mlflow is not None)
        if config.mlflow is None:
            return
        self._run_keys[record["run_key"]] = record["strategy"]
        self.publisher.send(record)

    @property
    def under_way(self) -> bool:
        """Whether `outcome` may have to wait."""
        return bool(self._run_keys) and self._tracked is None

    def outcome(self, strategy: str) -> Tracked:
        """What became of a strategy's run; the first call waits for all of them."""
        if self._tracked is None:
            self._tracked = {}
            for result in self.publisher.results():
                self._tracked[self._run_keys[result.run_key]] = (
                    Tracked(note=result.message)
                    if isinstance(result, TrackingFailed)
                    else Tracked(result.mlflow_run_id)
                )
        return self._tracked.get(strategy, Tracked())

    def close(self) -> None:
        """Give up; records that were kept stay pending."""
        self.publisher.close()


def record_of(
    config: Config,
    strategy: StrategyConfig,
    documents: Table,
    chunks: ChunkTable,
    counts: Mapping[str, int],
    figures: Mapping[str, Figures],
    ledger: Ledger,
    options: RunOptions,
    started_at: float,
) -> dict[str, Any]:
    """The record of a strategy's run."""
    written = _without_logins(config.raw)
    overall = Figures()
    for one in figures.values():
        overall = overall.merge(one)
    return new_record(
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
            "policy": strategy.policy.as_value(),
            # Of the strategies only this one's policy has a say in the figures.
            "config": {key: value for key, value in written.items() if key != "strategies"},
        },
        metrics={
            "documents": counts.get("documents", 0),
            "chunks": counts.get("chunks", 0),
            "tokens": counts.get("tokens", 0),
            "rejected": counts.get("rejected", 0),
            "largest_chunk_tokens": overall.largest,
            "seconds": ledger.total().seconds,
            "money": money(config, ledger.total()),
            **_by_payer(config, ledger),
            **overall.means(),
        },
        metrics_by_type={
            name: {"documents": one.documents, "chunks": one.chunks, **one.means()}
            for name, one in figures.items()
        },
        tags={"chunks_version": str(chunks.version), "documents_seq": str(documents.seq)},
        inputs=[{"name": "documents", "uri": documents.folder.uri, "version": documents.version}],
        configuration=written,
        policy=strategy.policy.as_value(),
    )


def _by_payer(config: Config, ledger: Ledger) -> dict[str, float | int | None]:
    """Costs for each value of each label that pays, as `tokens_by_owner/hr`."""
    return {
        f"{what}_by_{label}/{value}": amount
        for label in ledger.labels
        for value, usage in ledger.by(label).items()
        for what, amount in (
            ("tokens", usage.tokens), ("seconds", usage.seconds), ("money", money(config, usage)),
        )
    }  # fmt: skip


def _without_logins(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_logins(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_logins(item) for item in value]
    return redacted(value) if isinstance(value, str) else value
