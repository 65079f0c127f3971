"""Which chunker, with which parameters, for which document.

    >>> policy = Policy.from_value({
    ...     "default": {"chunker": "structure", "target_tokens": 400},
    ...     "rules": [{"name": "code", "when": {"data_type": "code"}, "use": {"chunker": "code"}}],
    ... })
    >>> policy.route(Facts(data_type="code")).chunker
    'code'

Rules are tried in order and the first whose conditions all hold decides; the default decides
when none does. Profiles say what chunks are for, and rules name them (`chunkers.profiles`). A
policy is a value: no file is read and nothing is looked up here, except the chunkers themselves
when `Policy.check` builds them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chunkers.policy_conditions import (
    CONDITIONS,
    Condition,
    Facts,
    PolicyError,
)
from chunkers.policy_when import read_conditions
from chunkers.profiles import QUERIES, Profile, read_profiles, resolve
from chunkers.suggest import unknown
from lineage.errors import ConfigError
from lineage.ids import fingerprint

__all__ = ["DEFAULT_POLICY", "Facts", "Policy", "PolicyError", "Route", "Rule", "RuleVerdict"]

_KEYS = ("profiles", "default", "rules")
_USED = (
    " `profiles` defines them, and `default` or the `use` of a rule names them: `profiles: "
    "{lookup: {query: lookup}}` with `default: {chunker: optimal, profile: lookup}`"
)
_MOST_ALTERNATIVES = 512

DEFAULT_RULE = "default"
"""The name under which the default appears in lineage."""

DEFAULT_POLICY: Mapping[str, Any] = {
    "profiles": {"answer": {"query": "answer"}},
    "default": {"chunker": "optimal", "profile": "answer"},
    "rules": [
        {
            "name": "code",
            "when": {"data_type": "code"},
            "use": {"chunker": "code", "profile": "answer"},
        },
        {
            "name": "tables",
            "when": {"data_type": ["table", "spreadsheet"]},
            "use": {"chunker": "table", "profile": "answer"},
        },
        {
            "name": "slides",
            "when": {"data_type": "slides"},
            "use": {"chunker": "slides", "profile": "answer"},
        },
        {
            "name": "conversations",
            "when": {"data_type": ["email", "transcript"]},
            "use": {"chunker": "conversation", "profile": "answer"},
        },
        {
            "name": "records",
            "when": {"data_type": ["structured", "log"]},
            "use": {"chunker": "records", "profile": "answer"},
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
    """Those of the chunker; what profiles stand for is in them."""
    profiles: tuple[str, ...] = ()
    """Names of the profiles that the rule asked for."""

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
    written: Mapping[str, Any] = field(default_factory=dict)
    """The `use` of the rule as it was written, before profiles were resolved."""

    @property
    def profiles(self) -> tuple[str, ...]:
        """Names of the profiles that it uses."""
        names = self.written.get("profile", ())
        return (names,) if isinstance(names, str) else tuple(names)

    def failed(self, facts: Facts) -> list[str]:
        """Why this rule does not match `facts`, condition by condition; empty when it does."""
        return [reason for c in self.conditions if (reason := c.mismatch(facts)) is not None]

    def route(self) -> Route:
        """What is used when this rule fires."""
        return Route(self.name, self.chunker, self.parameters, self.profiles)

    def covers(self, conditions: Sequence[Condition]) -> bool:
        """Whether every document that meets `conditions` is certainly matched by this rule too."""
        return all(any(mine.covers(theirs) for theirs in conditions) for mine in self.conditions)

    def alternatives(self) -> list[tuple[Condition, ...]]:
        """The rule as a list of narrower ones, of one word each, that together match the same.

        Just itself where there are very many.
        """
        parts = [condition.alternatives() for condition in self.conditions]
        if math.prod(map(len, parts)) > _MOST_ALTERNATIVES:
            return [self.conditions]
        return list(itertools.product(*parts))

    def as_value(self) -> dict[str, Any]:
        """The written form, normalised."""
        return {
            "name": self.name,
            "when": {c.key: c.as_value() for c in self.conditions},
            "use": dict(self.written),
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """Ordered rules, a default, and the profiles that they name."""

    default: Rule
    rules: tuple[Rule, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    @classmethod
    def from_value(cls, value: object) -> Policy:
        """Read the written form: a mapping of `default`, `rules` and `profiles`.

        Raises:
            PolicyError: an unknown or missing key, a wrong type, a name given twice, or a rule
                that can never fire because those before it match all that it does.
        """
        if not isinstance(value, Mapping):
            raise PolicyError((), f"must be a mapping with `default` and `rules`, not {value!r}")
        for key in value:
            if key not in _KEYS:
                hint = _USED if key == "profile" else ""
                raise PolicyError((key,), unknown("key", key, _KEYS) + hint)
        profiles: dict[str, Profile] = {}
        if value.get("profiles") is not None:
            profiles = read_profiles(value["profiles"], ("profiles",))
        if value.get("default") is None:
            raise PolicyError(
                ("default",), "is missing; for example `default: {chunker: structure}`"
            )
        use = _use(value["default"], ("default",), profiles)
        rules = [] if value.get("rules") is None else value["rules"]
        if not isinstance(rules, Sequence) or isinstance(rules, str):
            raise PolicyError(("rules",), f"must be a list of rules, not {rules!r}")
        policy = cls(
            Rule(DEFAULT_RULE, (), *use),
            tuple(_rule(rule, n, profiles) for n, rule in enumerate(rules)),
            profiles,
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
            winners = self._winners(n)
            if winners:
                names = " and ".join(repr(name) for name in winners)
                rules, match = ("rule", "matches") if len(winners) == 1 else ("rules", "match")
                raise PolicyError(
                    ("rules", n),
                    f"rule {rule.name!r} can never fire: {rules} {names} before it {match} every "
                    f"document that it does. Move it up, or take it out.",
                )

    def _winners(self, n: int) -> list[str]:
        """The earlier rules that match all that rule `n` does; empty when it can fire."""
        rule, winners = self.rules[n], []
        for conditions in rule.alternatives():
            first = next((e.name for e in self.rules[:n] if e.covers(conditions)), None)
            if first is None:
                return []
            winners.append(first)
        return list(dict.fromkeys(winners))

    @property
    def needs_shape(self) -> bool:
        """Whether a rule asks for the structure of documents."""
        return any(c.key == "structure" for rule in self.rules for c in rule.conditions)

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
        value: dict[str, Any] = {
            "default": dict(self.default.written),
            "rules": [rule.as_value() for rule in self.rules],
        }
        if self.profiles:
            value["profiles"] = {name: dict(p.written) for name, p in self.profiles.items()}
        return value

    def fingerprint(self) -> str:
        """Changes when any rule, their order, the default or a profile does."""
        return fingerprint(self.as_value())


def _rule(value: object, n: int, profiles: Mapping[str, Profile]) -> Rule:
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
    return Rule(name, conditions, *_use(value["use"], (*path, "use"), profiles))


def _defined(name: str) -> str:
    query = name if name in QUERIES else "answer"
    return f" Define it beside `default`: `profiles: {{{name}: {{query: {query}}}}}`"


def _use(
    value: object, path: tuple[str | int, ...], profiles: Mapping[str, Profile]
) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    """The chunker, its parameters, and the written form."""
    if isinstance(value, str) and value.strip():
        return value, {}, {"chunker": value}
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
    written = dict(value)
    parameters = {key: item for key, item in written.items() if key not in ("chunker", "profile")}
    if "profile" not in written:
        return chunker, parameters, written
    here = (*path, "profile")
    names = [written["profile"]] if isinstance(written["profile"], str) else written["profile"]
    if not isinstance(names, list | tuple) or not names:
        raise PolicyError(
            here, f"must be the name of a profile or a list of names, not {written['profile']!r}"
        )
    for name in names:
        if name not in profiles:
            raise PolicyError(here, unknown("profile", str(name), profiles) + _defined(str(name)))
    chosen = [profiles[name] for name in dict.fromkeys(names)]
    return *resolve(chunker, parameters, chosen, here), written
