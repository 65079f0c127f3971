"""Promoted policies: numbered versions of a strategy's policy in the lake, one of them in force.

A configuration follows them with

    policy: {alias: promoted, otherwise: {default: {chunker: structure}}}

where `otherwise` may also name a file, or be left out for the built-in policy. Version 0 is what it
says. A version is written once and never changed; promoting and rolling back move the alias, and
every move is remembered.

The moves are in the metadata of a Delta table without rows: of several that change it at once, one
is first, on every store that the lake's tables can be on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from chunkers.policy import Policy, PolicyError
from lineage.errors import CommitConflict, ConfigError
from pipelines.storage import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from pipelines.config.settings import StrategyConfig

FOLDER = "_policies"
ALIAS = "promoted"
_MOVES = "moves"
_TRIES = 8


class Overtaken(CommitConflict):
    """Another version is in force than the one that a new one was to replace."""


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
        moves: list[dict[str, Any]] = self._opened()[1]["moves"]
        return moves

    @property
    def current(self) -> int:
        """The version in force; 0 when it is what the configuration says by itself."""
        return _in_force(self.moves)

    def policy(self) -> Mapping[str, Any] | None:
        """The policy in force; null for version 0."""
        number = self.current
        return self.read(number).policy if number else None

    def promote(
        self, policy: Mapping[str, Any], facts: Mapping[str, Any], *, replaces: int
    ) -> Version:
        """Keep a new version, and put it in force.

        Args:
            policy: in its written form.
            facts: the figures on which it is promoted.
            replaces: the version that it was compared with.

        Raises:
            Overtaken: another version is in force by now; nothing is kept.
            CommitConflict: others were first, several times in a row.
        """
        self._check(self.current, replaces)
        number = self._change(self._reserved)["reserved"]
        head = f"# Version {number} of the policy of strategy {self.strategy}, promoted by tune.\n"
        text = head + yaml.safe_dump(dict(policy), sort_keys=False, allow_unicode=True)
        value = {**facts, "replaces": replaces, "at": _now()}
        self.folder.write_bytes(f"{number:04d}.json", json.dumps(value, indent=1).encode())
        self.folder.write_bytes(f"{number:04d}.yaml", text.encode())
        try:
            self.move(number, "tune", replaces=replaces)
        except CommitConflict:
            self.folder.delete(f"{number:04d}.yaml")
            self.folder.delete(f"{number:04d}.json")
            raise
        return Version(number, policy, value)

    def move(self, number: int, by: str, *, replaces: int | None = None) -> None:
        """Put a version in force; 0 for what the configuration says by itself.

        Args:
            number: of the version.
            by: the verb that moves.
            replaces: the version that must be in force until then; null for any.

        Raises:
            ConfigError: there is none of that number.
            Overtaken: another one than `replaces` is in force.
            CommitConflict: others were first, several times in a row.
        """
        if number:
            self.read(number)

        def moved(state: dict[str, Any]) -> dict[str, Any]:
            if replaces is not None:
                self._check(_in_force(state["moves"]), replaces)
            move = {"version": number, "at": _now(), "by": by}
            return {**state, "moves": [*state["moves"], move]}

        self._change(moved)

    def _check(self, current: int, replaces: int) -> None:
        if current != replaces:
            raise Overtaken(
                f"strategy {self.strategy!r}: version {current} has been put in force meanwhile, "
                f"in place of version {replaces}; `policy history` shows who moved it"
            )

    def _reserved(self, state: dict[str, Any]) -> dict[str, Any]:
        """A number of its own for each version, also for one that is never finished."""
        number = max([state["reserved"], *self.numbers()]) + 1
        return {**state, "reserved": number}

    def _opened(self) -> tuple[DeltaTable | None, dict[str, Any]]:
        place = self.folder / _MOVES
        none: dict[str, Any] = {"alias": ALIAS, "moves": [], "reserved": 0}
        if place.is_local and not place.exists("_delta_log"):
            return None, none
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            table = DeltaTable(place.uri, storage_options=place.delta_options())
        except (TableNotFoundError, FileNotFoundError):
            return None, none
        return table, json.loads(table.metadata().description or "")

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Apply `change` to what is there, again when somebody else's change came first."""
        from deltalake.exceptions import DeltaError

        error: DeltaError | None = None
        for _ in range(_TRIES):
            table, state = self._opened()
            changed = change(state)
            try:
                self._commit(table, json.dumps(changed))
            except DeltaError as failed:
                error = failed
            else:
                return changed
        raise CommitConflict(
            f"{self.folder.uri}: others move policies at the same time ({error}); "
            "nothing was changed, run the command again"
        ) from error

    def _commit(self, table: DeltaTable | None, text: str) -> None:
        from deltalake import DeltaTable, Field, Schema
        from deltalake.schema import PrimitiveType

        if table is not None:
            table.alter.set_table_description(text)
            return
        place = self.folder / _MOVES
        place.make_folder()
        DeltaTable.create(
            place.uri,
            Schema([Field("version", PrimitiveType("long"))]),
            mode="error",
            description=text,
            storage_options=place.delta_options(),
        )

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
    return replace(strategy, policy=policy, otherwise=strategy.policy, version=number)


def _in_force(moves: Sequence[Mapping[str, Any]]) -> int:
    return int(moves[-1]["version"]) if moves else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
