"""What a tuning came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.config import StrategyConfig
from pipelines.evaluate.intervals import Interval
from pipelines.evaluate.tune_split import Split
from pipelines.policies import Version


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial."""

    number: int
    state: str
    """`complete`, `pruned` or `failed`."""
    value: float | None
    parameters: Mapping[str, Any]
    tokens: int = 0
    seconds: float = 0.0
    fold: int = 0
    """The fold that its search leaves out, from 1; 0 for the search that the best policy is of."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the documents, and what a policy that was tuned without it does there."""

    split: Split
    policy: str
    """Fingerprint of that policy."""
    before: float
    after: float


@dataclass(frozen=True)
class Outcome:
    """The best policy found, and how it was judged."""

    strategy: StrategyConfig
    best: StrategyConfig
    """The best policy found; the strategy itself when none was better on what it was tuned on."""
    objective: str
    before: Interval
    after: Interval
    difference: Interval
    """Held-out, question by question."""
    p_value: float
    train_before: float
    train_after: float
    split: Split
    """What the best policy was tuned on, and the questions by which it was judged. With several
    folds both are all of them, since each question was held out once."""
    trials: tuple[Tried, ...]
    importances: Mapping[str, float]
    costs: Mapping[str, tuple[float, float]]
    """Figures of what it costs, before and after: chunks, stored tokens."""
    by_type: Mapping[str, tuple[float, float]]
    """The objective on held-out questions by data type, before and after."""
    folds: tuple[Fold, ...] = ()
    """Of a cross-fitted tuning: `difference` is of the folds' policies, pooled."""
    skipped: tuple[str, ...] = ()
    promoted: Version | None = None
    overtaken: str = ""
    """Why a better policy was not promoted: what it was compared with is no longer in force."""
    stopped_by: str = "trials"
    seconds: float = 0.0

    @property
    def better(self) -> bool:
        """Whether the held-out interval lies above zero."""
        return self.difference.low > 0

    @property
    def verdict(self) -> str:
        """What was decided, and on which figures."""
        d = self.difference
        how = f", cross-fitted over {len(self.folds)} parts" if self.folds else ""
        figures = (
            f"held-out {self.objective} {self.before.mean:.4f} → {self.after.mean:.4f}, difference "
            f"{d.mean:+.4f} (95 % interval {d.low:+.4f} … {d.high:+.4f}, {d.number} questions{how})"
        )
        if self.best.policy == self.strategy.policy:
            return f"kept: no trial was better on what it was tuned on; {figures}"
        if not self.better:
            return f"kept: the interval does not lie above zero; {figures}"
        if self.overtaken:
            return (
                f"kept: better than a policy that is not in force any more: {self.overtaken}. Tune "
                f"again to compare with the one that is; {figures}"
            )
        if self.promoted is None:
            return f"better, and not promoted because that was not asked for; {figures}"
        return f"promoted as version {self.promoted.number}; {figures}"

    @property
    def searched(self) -> tuple[Tried, ...]:
        """The trials of the search that the best policy is of."""
        return tuple(trial for trial in self.trials if not trial.fold)


def facts_of(outcome: Outcome) -> dict[str, Any]:
    """The figures on which a policy is promoted, plain."""
    return {
        "objective": outcome.objective,
        "before": outcome.before.mean,
        "after": outcome.after.mean,
        "difference": outcome.difference.mean,
        "low": outcome.difference.low,
        "high": outcome.difference.high,
        "p_value": outcome.p_value,
        "questions": outcome.difference.number,
        "train_questions": len(outcome.split.train),
        "train_before": outcome.train_before,
        "train_after": outcome.train_after,
        "held_out_documents": list(outcome.split.held_out_documents),
        "folds": [
            {
                "held_out_documents": list(fold.split.held_out_documents),
                "questions": len(fold.split.held_out),
                "policy": fold.policy,
                "before": fold.before,
                "after": fold.after,
            }
            for fold in outcome.folds
        ],
        "trials": len(outcome.trials),
        "policy_before": outcome.strategy.policy.fingerprint(),
        "policy_after": outcome.best.policy.fingerprint(),
        "costs": {name: list(pair) for name, pair in outcome.costs.items()},
    }
