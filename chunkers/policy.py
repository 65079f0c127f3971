"""Which chunker, with which parameters, for which document.

    >>> policy = Policy.from_value({
    ...     "default": {"chunker": "structure", "target_tokens": 400},
    ...     "rules": [{"name": "code", "when": {"data_type": "code"}, "use": {"chunker": "code"}}],
    ... })
    >>> policy.route(Facts(data_type="code")).chunker
    'code'

Rules are tried in order and the first whose conditions all hold decides; the default decides
when none does. A policy is a value: no file is read and nothing is looked up here, except the
chunkers themselves when `Policy.check` builds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chunkers.policy_conditions import (
    CONDITIONS,
    Condition,
    Facts,
    PolicyError,
    read_conditions,
)
from chunkers.suggest import unknown
from lineage.errors import ConfigError
from lineage.ids import fingerprint

__all__ = ["DEFAULT_POLICY", "Facts", "Policy", "PolicyError", "Route", "Rule", "RuleVerdict"]

DEFAULT_RULE = "default"
"""The name under which the default appears in lineage."""

DEFAULT_POLICY: Mapping[str, Any] = {
    "default": {"chunker": "optimal"},
    "rules": [
        {"name": "code", "when": {"data_type": "code"}, "use": {"chunker": "code"}},
        {
            "name": "tables",
            "when": {"data_type": ["table", "spreadsheet"]},
            "use": {"chunker": "table"},
        },
        {
            "name": "records",
            "when": {"data_type": ["structured", "log", "transcript"]},
            "use": {"chunker": "structure"},
        },
    ],
}
"""What a strategy without a policy uses; `configs/policies/default.yaml` is the same, explained."""


@dataclass(frozen=True, slots=True)
class Route:
    """The decision for one document."""

    rule: str
    """Name of the rule that fired; `default` when none did."""
    chunker: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def parameters_hash(self, encoding: str, max_tokens: int, chunker_version: str) -> str:
        """Hash of everything that decides what this chunker makes of a document.

        The rule's name stays out of it: a rule renamed chunks nothing again.
        """
        return fingerprint(
            {
                "chunker": self.chunker,
                "version": chunker_version,
                "parameters": dict(self.parameters),
                "encoding": encoding,
                "max_tokens": max_tokens,
            }
        )


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule said about one document."""

    rule: str
    fired: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions, all of which must hold, and what is used when they do."""

    name: str
    conditions: tuple[Condition, ...]
    chunker: str
    parameters: Mapping[str, Any]

    def failed(self, facts: Facts) -> list[str]:
        """Why this rule does not match `facts`, condition by condition; empty when it does."""
        return [reason for c in self.conditions if (reason := c.mismatch(facts)) is not None]

    def route(self) -> Route:
        """What is used when this rule fires."""
        return Route(self.name, self.chunker, self.parameters)

    def covers(self, other: Rule) -> bool:
        """Whether every document that `other` matches is certainly matched by this rule too."""
        return all(any(mine.covers(theirs) for theirs in other.conditions)
                   for mine in self.conditions)  # fmt: skip

    def as_value(self) -> dict[str, Any]:
        """The written form, normalised."""
        return {
            "name": self.name,
            "when": {c.key: c.as_value() for c in self.conditions},
            "use": {"chunker": self.chunker, **self.parameters},
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """Ordered rules and a default."""

    default: Rule
    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_value(cls, value: object) -> Policy:
        """Read the written form: a mapping of `default` and `rules`.

        Raises:
            PolicyError: an unknown or missing key, a wrong type, a name given twice, or a rule
                that can never fire because an earlier one matches all that it does.
        """
        if not isinstance(value, Mapping):
            raise PolicyError((), f"must be a mapping with `default` and `rules`, not {value!r}")
        for key in value:
            if key == "profiles":
                raise PolicyError((key,), "not supported yet; take it out")
            if key not in ("default", "rules"):
                raise PolicyError((key,), unknown("key", key, ("default", "rules")))
        if value.get("default") is None:
            raise PolicyError(
                ("default",), "is missing; for example `default: {chunker: structure}`"
            )
        chunker, parameters = _use(value["default"], ("default",))
        rules = [] if value.get("rules") is None else value["rules"]
        if not isinstance(rules, Sequence) or isinstance(rules, str):
            raise PolicyError(("rules",), f"must be a list of rules, not {rules!r}")
        policy = cls(
            Rule(DEFAULT_RULE, (), chunker, parameters),
            tuple(_rule(rule, n) for n, rule in enumerate(rules)),
        )
        policy._check_order()
        return policy

    @classmethod
    def built_in(cls) -> Policy:
        """The policy of a strategy that names none."""
        return cls.from_value(DEFAULT_POLICY)

    def _check_order(self) -> None:
        seen: dict[str, int] = {DEFAULT_RULE: -1}
        for n, rule in enumerate(self.rules):
            if rule.name in seen:
                other = "the default's" if seen[rule.name] < 0 else f"rules[{seen[rule.name]}]'s"
                raise PolicyError(
                    ("rules", n, "name"), f"{rule.name!r} is also {other} name; choose another"
                )
            seen[rule.name] = n
            for earlier in self.rules[:n]:
                if earlier.covers(rule):
                    raise PolicyError(
                        ("rules", n),
                        f"rule {rule.name!r} can never fire: rule {earlier.name!r} before it "
                        f"matches every document that it does. Move it up, or take it out.",
                    )

    def route(self, facts: Facts) -> Route:
        """The decision for a document with these `facts`."""
        for rule in self.rules:
            if not rule.failed(facts):
                return rule.route()
        return self.default.route()

    def explain(self, facts: Facts) -> list[RuleVerdict]:
        """What each rule says about `facts`, in order, the default last; one of them fired."""
        verdicts: list[RuleVerdict] = []
        winner: str | None = None
        for rule in self.rules:
            failed = rule.failed(facts)
            if failed:
                verdicts.append(RuleVerdict(rule.name, False, "; ".join(failed)))
            elif winner is not None:
                verdicts.append(
                    RuleVerdict(rule.name, False, f"matches too, but {winner!r} comes first")
                )
            else:
                winner = rule.name
                held = "; ".join(c.match_text(facts) for c in rule.conditions)
                verdicts.append(RuleVerdict(rule.name, True, held))
        reason = "no rule matches" if winner is None else f"{winner!r} matches"
        verdicts.append(RuleVerdict(DEFAULT_RULE, winner is None, reason))
        return verdicts

    def check(self, max_tokens: int) -> None:
        """Build every chunker once, so that a wrong name or parameter shows before a run.

        Raises:
            PolicyError: a chunker that is not installed, or a parameter that it refuses.
        """
        from chunkers.registry import build

        for n, rule in [(-1, self.default), *enumerate(self.rules)]:
            path: tuple[str | int, ...] = ("default",) if n < 0 else ("rules", n, "use")
            try:
                build(rule.chunker, rule.parameters, max_tokens=max_tokens)
            except PolicyError:
                raise
            except ConfigError as error:
                raise PolicyError(path, str(error)) from error

    def as_value(self) -> dict[str, Any]:
        """The written form, normalised: `Policy.from_value` makes an equal policy of it."""
        return {
            "default": {"chunker": self.default.chunker, **self.default.parameters},
            "rules": [rule.as_value() for rule in self.rules],
        }

    def fingerprint(self) -> str:
        """Changes when any rule, their order or the default does."""
        return fingerprint(self.as_value())


def _rule(value: object, n: int) -> Rule:
    path: tuple[str | int, ...] = ("rules", n)
    if not isinstance(value, Mapping):
        raise PolicyError(path, f"must be a mapping with `when` and `use`, not {value!r}")
    known = ("name", "when", "use")
    for key in value:
        if key not in known:
            raise PolicyError((*path, key), unknown("key", key, known))
    name = value.get("name", f"rule-{n + 1}")
    if not isinstance(name, str) or not name.strip():
        raise PolicyError((*path, "name"), f"must be text, not {name!r}")
    when = value.get("when")
    if not isinstance(when, Mapping) or not when:
        raise PolicyError(
            (*path, "when"),
            f"must be a mapping with at least one of {', '.join(CONDITIONS)}, not {when!r}; what "
            f"holds for every document belongs into `default`",
        )
    conditions = read_conditions(when, (*path, "when"))
    if value.get("use") is None:
        raise PolicyError((*path, "use"), "is missing; for example `use: {chunker: structure}`")
    chunker, parameters = _use(value["use"], (*path, "use"))
    return Rule(name, conditions, chunker, parameters)


def _use(value: object, path: tuple[str | int, ...]) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str) and value.strip():
        return value, {}
    if not isinstance(value, Mapping):
        raise PolicyError(
            path, f"must be a mapping such as `{{chunker: structure}}`, not {value!r}"
        )
    chunker = value.get("chunker")
    if not isinstance(chunker, str) or not chunker.strip():
        raise PolicyError(
            (*path, "chunker"),
            f"must be the name of a chunker, for example `chunker: structure`, not {chunker!r}",
        )
    return chunker, {key: item for key, item in value.items() if key != "chunker"}
