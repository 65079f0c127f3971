"""Promoted policies: numbered versions of a strategy's policy in the lake, one of them in force.

A configuration follows them with `policy: {alias: promoted, otherwise: policies/default.yaml}`.
Version 0 is what `otherwise` says. A version is written once and never changed; promoting and
rolling back move the alias, and every move is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from chunkers.policy import Policy, PolicyError
from lineage.errors import ConfigError
from pipelines.storage import Storage

if TYPE_CHECKING:
    from pipelines.config.settings import StrategyConfig

FOLDER = "_policies"
ALIAS = "promoted"


@dataclass(frozen=True, slots=True)
class Version:
    """One promoted policy."""

    number: int
    policy: Mapping[str, Any]
    facts: Mapping[str, Any]
    """Who promoted it, when, and on which figures."""


class PolicyStore:
    """The promoted policies of one strategy."""

    def __init__(self, lake: str, strategy: str) -> None:
        self.strategy = strategy
        self.folder = Storage.from_uri(lake) / FOLDER / strategy

    def numbers(self) -> list[int]:
        """The versions that there are, in order."""
        stems = [name.partition(".")[0] for name in self.folder.list() if name.endswith(".yaml")]
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def read(self, number: int) -> Version:
        """A version.

        Raises:
            ConfigError: there is none of that number.
        """
        try:
            policy = yaml.safe_load(self.folder.read_bytes(f"{number:04d}.yaml"))
            facts = json.loads(self.folder.read_bytes(f"{number:04d}.json"))
        except FileNotFoundError:
            known = ", ".join(map(str, self.numbers())) or "none yet"
            raise ConfigError(
                f"strategy {self.strategy!r} has no promoted policy {number}; there is {known}"
            ) from None
        return Version(number, policy, facts)

    @property
    def moves(self) -> list[dict[str, Any]]:
        """Every move of the alias, oldest first: `version`, `at`, `by`."""
        try:
            value = json.loads(self.folder.read_bytes(f"{ALIAS}.json"))
        except FileNotFoundError:
            return []
        moves: list[dict[str, Any]] = value["moves"]
        return moves

    @property
    def current(self) -> int:
        """The version in force; 0 when it is what the configuration says by itself."""
        moves = self.moves
        return moves[-1]["version"] if moves else 0

    def policy(self) -> Mapping[str, Any] | None:
        """The policy in force; null for version 0."""
        number = self.current
        return self.read(number).policy if number else None

    def promote(self, policy: Mapping[str, Any], facts: Mapping[str, Any]) -> Version:
        """Keep a new version, and put it in force."""
        number = max(self.numbers(), default=0) + 1
        self.folder.make_folder()
        head = f"# Version {number} of the policy of strategy {self.strategy}, promoted by tune.\n"
        text = head + yaml.safe_dump(dict(policy), sort_keys=False, allow_unicode=True)
        value = {**facts, "replaces": self.current, "at": _now()}
        self.folder.write_bytes(f"{number:04d}.json", json.dumps(value, indent=1).encode())
        self.folder.write_bytes(f"{number:04d}.yaml", text.encode())
        self.move(number, "tune")
        return Version(number, policy, value)

    def move(self, number: int, by: str) -> None:
        """Put a version in force; 0 for what the configuration says by itself.

        Raises:
            ConfigError: there is none of that number.
        """
        if number:
            self.read(number)
        moves = [*self.moves, {"version": number, "at": _now(), "by": by}]
        self.folder.make_folder()
        data = json.dumps({"alias": ALIAS, "moves": moves}, indent=1)
        self.folder.write_bytes(f"{ALIAS}.json", data.encode())

    def previous(self) -> int:
        """What was in force before the version that is, leaving out what was rolled back.

        Raises:
            ConfigError: nothing was.
        """
        number = self.current
        if not number:
            raise ConfigError(
                f"strategy {self.strategy!r} has no promoted policy in force to roll back"
            )
        return int(self.read(number).facts.get("replaces", 0))


def follow_promoted(lake: str, strategy: StrategyConfig) -> StrategyConfig:
    """The strategy with the promoted policy of its name, if it follows them and there is one.

    Raises:
        ConfigError: the promoted policy is not valid in this installation.
    """
    if not strategy.promoted:
        return strategy
    store = PolicyStore(lake, strategy.name)
    number = store.current
    if not number:
        return strategy
    try:
        policy = Policy.from_value(store.read(number).policy)
        policy.check(strategy.max_tokens)
    except PolicyError as error:
        raise ConfigError(
            f"strategy {strategy.name!r}: promoted policy {number} cannot be used here: {error}. "
            "Take `alias` out, run `gristmill policy CONFIG rollback`, and put it back"
        ) from error
    return replace(strategy, policy=policy, otherwise=strategy.policy)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
