"""Reading `budget`: what may be spent, at which prices, charged to which labels."""

from __future__ import annotations

from pipelines.config.section import Section
from pipelines.config.settings import BudgetConfig, Limits
from pipelines.config.yaml_file import YamlFile

_EXAMPLE = "budget: {month: {money: 50}, prices: {embedding: 0.02}, currency: EUR}"
_MOST = 1e15


def read_budget(file: YamlFile, top: Section) -> BudgetConfig:
    """The value of `budget`, or what holds without it.

    Raises:
        ConfigError: a wrong value, or a limit in money while there is no price.
    """
    if "budget" not in top:
        return BudgetConfig()
    known = ("labels", "currency", "prices", "run", "month")
    section = Section(file, ("budget",), top.value["budget"], known, example=_EXAMPLE)
    prices = Section(
        file, ("budget", "prices"), section.value.get("prices") or {}, ("embedding", "compute"),
        example="prices: {embedding: 0.02, compute: 0.5}",
    )  # fmt: skip
    budget = BudgetConfig(
        labels=section.texts("labels", BudgetConfig().labels, example="[owner, cost_centre]"),
        currency=section.text("currency", "", example="EUR"),
        embedding_price=_price(prices, "embedding"),
        compute_price=_price(prices, "compute"),
        run=_limits(file, section, "run"),
        month=_limits(file, section, "month"),
    )
    priced = budget.embedding_price is not None or budget.compute_price is not None
    for name in ("run", "month"):
        if getattr(budget, name).money is not None and not priced:
            raise file.error(
                ("budget", name, "money"),
                "a limit in money needs prices; for example `prices: {embedding: 0.02}`, for a "
                "million tokens",
            )
    return budget


def _price(prices: Section, key: str) -> float | None:
    if key not in prices:
        return None
    return float(prices.number(key, 0.0, example="0.02", low=0, high=_MOST, whole=False))


def _limits(file: YamlFile, section: Section, key: str) -> Limits:
    if key not in section:
        return Limits()
    example = f"{key}: {{tokens: 5000000, money: 10}}"
    own = Section(file, ("budget", key), section.value[key], ("tokens", "money"), example=example)
    tokens = money = None
    if "tokens" in own:
        tokens = own.number("tokens", 0, example="5000000", low=0, high=_MOST, whole=True)
    if "money" in own:
        money = float(own.number("money", 0.0, example="10", low=0, high=_MOST, whole=False))
    return Limits(tokens, money)
