"""What a transform run did, as people and programs are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.transform.figures import Figures
from pipelines.transform.tracking import Tracked, Tracking
from pipelines.usage import Ledger


@dataclass(frozen=True, slots=True)
class StrategySummary:
    """What a transform run did for one strategy."""

    counts: Mapping[str, int]
    rows_written: int
    version: int | None
    figures: Mapping[str, Figures]
    notes: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    stopped: str | None = None
    """Why the run ended before its plan did, when the budget was at its limit."""


@dataclass(frozen=True, slots=True)
class TransformSummary:
    """What a transform run did.

    Its MLflow runs may still be being logged; whoever reads their ids or the notes waits for
    that, for a bounded time.
    """

    strategies: Mapping[str, StrategySummary] = field(default_factory=dict)
    tracking: Tracking | None = None
    ledger: Ledger = field(default_factory=Ledger)
    usage: Mapping[str, Any] = field(default_factory=dict)
    """What the run cost, by the labels that pay; see `pipelines.budget.usage_value`."""

    @property
    def stopped(self) -> str | None:
        """Why the run ended before its plan did, when the budget was at its limit."""
        return next((one.stopped for one in self.strategies.values() if one.stopped), None)

    @property
    def rejected(self) -> int:
        """Rejects that this run added."""
        return self._sum("rejected")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know besides the counts."""
        notes = [note for one in self.strategies.values() for note in one.notes]
        tracked = [self._tracked(name).note for name in self.strategies]
        return (*notes, *(note for note in tracked if note))

    def mlflow_run_id(self, strategy: str) -> str | None:
        """Id of the MLflow run with a strategy's figures; null when there is none."""
        return self._tracked(strategy).mlflow_run_id

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Mean quality figures by strategy and data type, `strategy/data_type` → metric → mean."""
        return {
            f"{name}/{data_type}": figures.means()
            for name, one in self.strategies.items()
            for data_type, figures in one.figures.items()
        }

    def _tracked(self, strategy: str) -> Tracked:
        return self.tracking.outcome(strategy) if self.tracking else Tracked()

    def _sum(self, name: str) -> int:
        return sum(one.counts.get(name, 0) for one in self.strategies.values())

    def as_dict(self) -> dict[str, Any]:
        """The stage's entry in the `--json` output; version and MLflow run of the last strategy."""
        last = list(self.strategies)[-1] if self.strategies else None
        return {
            **{name: self._sum(name) for name in ("documents", "chunks", "tokens", "rejected")},
            "acl": self._sum("acl"),
            "deleted": self._sum("deleted") + self._sum("withdrawn"),
            "rows_written": sum(one.rows_written for one in self.strategies.values()),
            "version": self.strategies[last].version if last else None,
            "mlflow_run_id": self.mlflow_run_id(last) if last else None,
            "strategies": {
                name: {
                    **{k: one.counts.get(k, 0) for k in ("documents", "chunks", "tokens")},
                    "rows_written": one.rows_written,
                    "version": one.version,
                    "mlflow_run_id": self.mlflow_run_id(name),
                }
                for name, one in self.strategies.items()
            },
            "usage": self.usage,
            "stopped": self.stopped,
        }
