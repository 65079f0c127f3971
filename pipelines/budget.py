"""What a run may spend: every expense is kept in the lake, and none is made above a limit.

    >>> meter = Meter.of(config, options)  # doctest: +SKIP
    >>> meter.allow("load", Usage(embedded_tokens=12_000))  # doctest: +SKIP
    >>> meter.record("load", batch.batch_id, ledger)  # doctest: +SKIP

Tokens count where they cost: at the embedder when a sink has one, and otherwise in transform,
for whoever embeds the chunks later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lineage.errors import TerminalError
from pipelines.usage import Ledger, Usage

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.options import RunOptions
    from pipelines.storage import Storage

FOLDER = "_usage"


class BudgetExceeded(TerminalError):
    """The next step would cost more than a limit allows; it was not taken.

    Attributes:
        ahead: the same, said before anything was done.
    """

    ahead: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens and money that count against a limit."""

    tokens: int = 0
    money: float = 0.0


def counted_tokens(config: Config, usage: Usage) -> int:
    """The tokens of `usage` that count; see the module."""
    return usage.embedded_tokens if config.embeds else usage.tokens


def money(config: Config, usage: Usage) -> float | None:
    """What `usage` costs at the configured prices, in `budget.currency`; null without prices."""
    budget = config.budget
    if budget.embedding_price is None and budget.compute_price is None:
        return None
    tokens = counted_tokens(config, usage) / 1_000_000 * (budget.embedding_price or 0.0)
    return tokens + usage.seconds / 3600 * (budget.compute_price or 0.0)


class Meter:
    """Keeps the expenses of one run and holds them against the budget.

    Expenses are one JSON file for each batch of work in the lake's folder `_usage/YYYY-MM`. They
    are written once the work is done, whether or not its result was committed: spent is spent.
    What runs at the same time sees each other's expenses of the month as of its own start.
    """

    def __init__(self, config: Config, run_id: str) -> None:
        from pipelines.storage import Storage

        self._config = config
        self._run_id = run_id
        self._folder: Storage = Storage.from_uri(config.lake) / FOLDER
        self._run: Spent | None = None
        self._month: Spent | None = None

    @classmethod
    def of(cls, config: Config, options: RunOptions) -> Meter:
        """The meter of a run."""
        return cls(config, options.run_id)

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self._config.budget.run.set or self._config.budget.month.set)

    def allow(self, stage: str, usage: Usage) -> None:
        """Let a step pass that costs `usage`.

        Raises:
            BudgetExceeded: it would lead beyond a limit.
        """
        if not self.limited:
            return
        self._read()
        budget = self._config.budget
        tokens, cost = counted_tokens(self._config, usage), money(self._config, usage) or 0.0
        for name, limits, spent in (
            ("run", budget.run, self._run), ("month", budget.month, self._month),
        ):  # fmt: skip
            assert spent is not None
            if limits.tokens is not None and spent.tokens + tokens > limits.tokens:
                raise _exceeded(
                    f"budget.{name}.tokens", stage, f"{limits.tokens:,} tokens",
                    f"{spent.tokens:,}", f"{tokens:,}",
                )  # fmt: skip
            if limits.money is not None and spent.money + cost > limits.money:
                unit = budget.currency
                raise _exceeded(
                    f"budget.{name}.money", stage, f"{limits.money:,.2f} {unit}",
                    f"{spent.money:,.4f}", f"{cost:,.4f}",
                )  # fmt: skip

    def record(self, stage: str, key: str, ledger: Ledger) -> None:
        """Keep what a piece of work cost, such as a batch; `key` tells it from all others."""
        if not ledger.rows:
            return
        now = datetime.now(UTC)
        total = ledger.total()
        value = {
            "pipeline": self._config.name,
            "run_id": self._run_id,
            "stage": stage,
            "at": now.isoformat(),
            "counted_tokens": counted_tokens(self._config, total),
            "money": money(self._config, total),
            "currency": self._config.budget.currency,
            "usage": ledger.as_value(),
        }
        folder = self._folder / f"{now:%Y-%m}"
        folder.make_folder()
        folder.write_bytes(f"{key}-{stage}.json", json.dumps(value).encode())
        if self._run is not None and self._month is not None:
            self._run = _plus(self._run, value)
            self._month = _plus(self._month, value)

    def _read(self) -> None:
        if self._run is not None:
            return
        run = month = Spent()
        for value in expenses(self._folder, f"{datetime.now(UTC):%Y-%m}"):
            if value["pipeline"] != self._config.name:
                continue
            month = _plus(month, value)
            if value["run_id"] == self._run_id:
                run = _plus(run, value)
        self._run, self._month = run, month


def expenses(folder: Storage, month: str) -> Iterator[dict[str, Any]]:
    """The expenses of a month, `YYYY-MM`, as they were recorded."""
    place = folder / month
    for name in place.list():
        if name.endswith(".json") and name[0] != ".":
            yield json.loads(place.read_bytes(name))


def usage_value(config: Config, ledger: Ledger) -> dict[str, Any]:
    """What a ledger says, with money, for `--json`: the total, and by each label that pays."""

    def amounts(usage: Usage) -> dict[str, Any]:
        return {
            "documents": usage.documents,
            "chunks": usage.chunks,
            "tokens": usage.tokens,
            "embedded_tokens": usage.embedded_tokens,
            "seconds": usage.seconds,
            "money": money(config, usage),
        }

    return {
        "currency": config.budget.currency,
        "total": amounts(ledger.total()),
        "by_label": {
            label: {value: amounts(usage) for value, usage in ledger.by(label).items()}
            for label in ledger.labels
        },
    }


def _plus(spent: Spent, value: Mapping[str, Any]) -> Spent:
    return Spent(spent.tokens + value["counted_tokens"], spent.money + (value["money"] or 0.0))


def _exceeded(key: str, stage: str, limit: str, spent: str, wanted: str) -> BudgetExceeded:
    error = BudgetExceeded(
        f"stopped before the budget is exceeded: {key} is {limit}, {spent} are spent, and the next "
        f"step of {stage} needs {wanted}. What was committed stays, and the next run goes on from "
        f"there; raise {key} to go on now"
    )
    error.ahead = f"a run would stop at the budget: {key} is {limit}, {spent} are spent, and it "
    error.ahead += f"would need {wanted}"
    return error
