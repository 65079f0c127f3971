"""What `tune` may change in a policy: the chunkers and parameters of the rules that are used.

A slot is a rule, or, under the default, one data type: what the default decides for several types
becomes a rule for each. Conditions and the order of rules stay as they are.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chunkers.policy import DEFAULT_RULE, Policy
from chunkers.registry import factory
from pipelines.config import StrategyConfig
from pipelines.evaluate.corpus import CorpusDocument

if TYPE_CHECKING:
    import optuna

INTERCHANGEABLE = ("optimal", "structure", "recursive", "sentence")
"""Chunkers for running text, any of which may take another's place."""
SMALLEST_TARGET = 48
_WEIGHTS: Mapping[str, tuple[float, float]] = {
    "size_weight": (0.1, 10.0),
    "overfull_weight": (0.2, 20.0),
    "structure_weight": (0.05, 10.0),
    "sentence_share": (0.02, 1.0),
}
"""Parameters that are tuned where a chunker has them, on a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a policy whose `use` is chosen."""

    rule: str
    data_type: str | None
    """Under the default, the type that the new rule is for."""
    use: Mapping[str, Any]
    """What is used now, as it is written."""
    target: int
    """Tokens that it aims at now."""

    @property
    def name(self) -> str:
        """Its prefix in parameters' names."""
        return self.data_type or self.rule

    @property
    def chunkers(self) -> tuple[str, ...]:
        """What it may use, what it uses now first."""
        now = self.use["chunker"]
        if now not in INTERCHANGEABLE:
            return (now,)
        return (now, *(name for name in INTERCHANGEABLE if name != now))


@dataclass(frozen=True, slots=True)
class Space:
    """The slots of a policy under a cap, and what is left as it is."""

    policy: Mapping[str, Any]
    max_tokens: int
    slots: tuple[Slot, ...]
    skipped: tuple[str, ...] = ()
    """Rules that are used and not tuned, and why."""

    def suggest(self, trial: optuna.Trial) -> dict[str, dict[str, Any]]:
        """A `use` for each slot."""
        return {slot.name: self._suggest(trial, slot) for slot in self.slots}

    def _suggest(self, trial: optuna.Trial, slot: Slot) -> dict[str, Any]:
        name = slot.name
        use = {key: value for key, value in slot.use.items() if key != "profile"}
        if len(slot.chunkers) > 1:
            chunker = trial.suggest_categorical(f"{name}.chunker", slot.chunkers)
            if chunker != use["chunker"]:
                use = {"chunker": chunker}
        use["target_tokens"] = trial.suggest_int(
            f"{name}.target_tokens", min(SMALLEST_TARGET, self.max_tokens), self.max_tokens,
            log=True,
        )  # fmt: skip
        for weight, (low, high) in _WEIGHTS.items():
            if weight in _parameters(use["chunker"]):
                value = trial.suggest_float(f"{name}.{weight}", low, high, log=True)
                use[weight] = float(f"{value:.4g}")
        return use

    def present(self) -> dict[str, Any]:
        """The parameters nearest to what the policy says now, to begin with."""
        values: dict[str, Any] = {}
        for slot in self.slots:
            known = _parameters(slot.use["chunker"])
            if len(slot.chunkers) > 1:
                values[f"{slot.name}.chunker"] = slot.use["chunker"]
            values[f"{slot.name}.target_tokens"] = max(
                min(slot.target, self.max_tokens), min(SMALLEST_TARGET, self.max_tokens)
            )
            for weight, (low, high) in _WEIGHTS.items():
                if weight in known:
                    value = float(slot.use.get(weight, known[weight]))
                    values[f"{slot.name}.{weight}"] = min(max(value, low), high)
        return values

    def with_uses(self, uses: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The policy with other `use`s in some slots, in its written form."""
        value: dict[str, Any] = copy.deepcopy(dict(self.policy))
        rules: list[dict[str, Any]] = value.setdefault("rules", [])
        for slot in self.slots:
            use = dict(uses[slot.name])
            if slot.data_type is not None:
                rules.append(
                    {
                        "name": _free_name(f"tuned-{slot.data_type}", rules),
                        "when": {"data_type": slot.data_type},
                        "use": use,
                    }
                )
                continue
            for rule in rules:
                if rule["name"] == slot.rule:
                    rule["use"] = use
        return value


def space_of(strategy: StrategyConfig, documents: Iterable[CorpusDocument]) -> Space:
    """What may be changed in a strategy's policy, given the documents that evidence is in."""
    policy = strategy.policy
    written = policy.as_value()
    seen: dict[tuple[str, str | None], None] = {}
    for item in documents:
        route = policy.route(item.facts)
        data_type = item.facts.data_type if route.rule == DEFAULT_RULE else None
        seen.setdefault((route.rule, data_type))
    slots, skipped = [], []
    for rule, data_type in seen:
        use = _use_of(written, rule)
        if not isinstance(use.get("profile", ""), str):
            skipped.append(f"{rule}: it asks for several sizes")
        elif "target_tokens" not in _parameters(use["chunker"]):
            skipped.append(f"{rule}: chunker {use['chunker']!r} has no target_tokens")
        else:
            target = _target(policy, rule, strategy.max_tokens)
            slots.append(Slot(rule, data_type, use, target))
    return Space(written, strategy.max_tokens, tuple(slots), tuple(skipped))


def _use_of(policy: Mapping[str, Any], rule: str) -> Mapping[str, Any]:
    if rule == DEFAULT_RULE:
        use: Mapping[str, Any] = policy["default"]
        return use
    return next(each["use"] for each in policy["rules"] if each["name"] == rule)


def _target(policy: Policy, rule: str, max_tokens: int) -> int:
    found = next((each for each in policy.rules if each.name == rule), policy.default)
    target = found.parameters.get("target_tokens")
    if isinstance(target, Mapping):
        target = target.get("base")
    return int(target) if isinstance(target, int | float) else max_tokens * 3 // 4


def _parameters(chunker: str) -> dict[str, Any]:
    """A chunker's parameters with their defaults."""
    made = factory(chunker)
    if not dataclasses.is_dataclass(made):
        return {}
    return {field.name: field.default for field in dataclasses.fields(made)}


def _free_name(name: str, rules: Sequence[Mapping[str, Any]]) -> str:
    taken = {rule["name"] for rule in rules}
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
