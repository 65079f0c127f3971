"""How strategies are asked and scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.config import DEFAULT_ENCODING, EvaluationConfig


@dataclass(frozen=True, slots=True)
class Settings:
    """How strategies are asked and scored."""

    retrievers: tuple[str, ...] = ("bm25",)
    k: tuple[int, ...] = (1, 3, 5, 10, 20)
    budgets: tuple[int, ...] = (500, 1000, 2000)
    encoding: str = DEFAULT_ENCODING
    objective: str = "recall_at_1000_tokens"

    @classmethod
    def of(cls, config: EvaluationConfig) -> Settings:
        """Those of a configuration."""
        return cls(config.retrievers, config.k, config.budgets, config.encoding, config.objective)

    def as_value(self) -> dict[str, Any]:
        """Plain values, for fingerprints and MLflow; the objective decides about no figure."""
        return {
            "retrievers": list(self.retrievers),
            "k": list(self.k),
            "budgets": list(self.budgets),
            "encoding": self.encoding,
        }
