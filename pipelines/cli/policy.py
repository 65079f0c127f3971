"""`gristmill policy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from lineage.errors import ConfigError
from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_note, print_table

if TYPE_CHECKING:
    from pipelines.config import Config, StrategyConfig
    from pipelines.policies import PolicyStore


@click.command("policy", context_settings=SETTINGS)
@config_argument
@click.argument("action", type=click.Choice(["history", "diff", "rollback"]))
@click.option("--strategy", help="Whose policies [default: the first].")
@click.option(
    "--from", "first", type=click.IntRange(min=0), metavar="N",
    help="diff: the older version [what was in force before].",
)  # fmt: skip
@click.option(
    "--to", "second", type=click.IntRange(min=0), metavar="N",
    help="diff: the newer version [in force]; rollback: what to go back to [the one before].",
)  # fmt: skip
@common_options
def command(
    config: Path, action: str, strategy: str | None, first: int | None, second: int | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Show promoted policies, compare two, or go back to an earlier one.

    Version 0 is what the configuration says by itself. After a rollback, the next transform chunks
    again what the policy now in force decides otherwise.
    """
    from pipelines.policies import PolicyStore

    loaded = open_config(config)
    chosen = loaded.strategy(strategy) if strategy else loaded.strategies[0]
    store = PolicyStore(loaded.lake, chosen.name)
    if action == "history":
        return _history(store, as_json)
    if action == "diff":
        return _diff(store, chosen, first, second, as_json)
    return _rollback(loaded, store, chosen, second, as_json)


def _history(store: PolicyStore, as_json: bool) -> int:
    versions = [store.read(number) for number in store.numbers()]
    value = {
        "strategy": store.strategy,
        "in_force": store.current,
        "versions": [{"version": v.number, **v.facts} for v in versions],
        "moves": store.moves,
    }
    if as_json:
        emit_json(value)
        return 0
    rows = [
        [
            f"{v.number} *" if v.number == store.current else str(v.number),
            v.facts.get("at", ""),
            v.facts.get("objective", ""),
            f"{v.facts.get('before', 0):.4f}",
            f"{v.facts.get('after', 0):.4f}",
            f"{v.facts.get('low', 0):+.4f} … {v.facts.get('high', 0):+.4f}",
        ]
        for v in versions
    ]
    head = "0 *" if not store.current else "0"
    columns = ["version", "promoted", "objective", "before", "after", "interval"]
    rows.insert(0, [head, "", "as configured", "", "", ""])
    print_table(f"policies of {store.strategy} (* in force)", columns, rows)
    moves = [[m["at"], m["version"], m["by"]] for m in store.moves]
    if moves:
        print_table("moves", ["at", "version", "by"], moves)
    return 0


def _policy(store: PolicyStore, strategy: StrategyConfig, number: int) -> dict[str, Any]:
    if number:
        return dict(store.read(number).policy)
    return strategy.configured.as_value()


def _diff(
    store: PolicyStore, strategy: StrategyConfig, first: int | None, second: int | None,
    as_json: bool,
) -> int:  # fmt: skip
    import difflib

    new = store.current if second is None else second
    if first is None:
        first = int(store.read(new).facts.get("replaces", 0)) if new else 0
    sides = [
        yaml.safe_dump(_policy(store, strategy, n), sort_keys=False, allow_unicode=True)
        for n in (first, new)
    ]
    lines = list(
        difflib.unified_diff(
            sides[0].splitlines(), sides[1].splitlines(),
            f"version {first}", f"version {new}", lineterm="",
        )
    )  # fmt: skip
    if as_json:
        emit_json({"strategy": store.strategy, "from": first, "to": new, "diff": lines})
        return 0
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in lines:
        click.secho(line, fg=colours.get(line[:1]))
    if not lines and not store.numbers():
        click.echo(
            f"No policy of {store.strategy} was promoted yet: version 0, what the configuration "
            "says, is in force, and there is nothing to compare it with."
        )
    elif not lines:
        click.echo(f"Versions {first} and {new} are the same.")
    return 0


def _rollback(
    config: Config, store: PolicyStore, strategy: StrategyConfig, to: int | None, as_json: bool
) -> int:
    before = store.current
    number = store.previous() if to is None else to
    if number == before:
        raise ConfigError(
            f"version {number} is in force already; `policy history` shows the others"
        )
    store.move(number, "rollback", replaces=before)
    if as_json:
        emit_json({"strategy": store.strategy, "from": before, "to": number})
        return 0
    click.echo(f"Strategy {store.strategy}: version {number} is in force, no longer {before}.")
    if not strategy.promoted:
        print_note("the configuration does not follow promoted policies, so nothing changes")
    else:
        click.echo(f"Run `gristmill transform {config.path}` to chunk accordingly.")
    return 0
