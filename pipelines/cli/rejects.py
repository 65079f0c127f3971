"""`gristmill rejects`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, BeamCommand, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, excerpt, print_entries, print_pairs


@click.command("rejects", cls=BeamCommand, context_settings=SETTINGS)
@config_argument
@click.option("--class", "error_class", help="Only rejects of this class.")
@click.option("--source", help="Only those of this source.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=100, help="Most rows shown [100]."
)
@click.option(
    "--warnings", is_flag=True,
    help="List instead what was read with warnings: repaired, or not all of it readable.",
)  # fmt: skip
@click.option("--replay", is_flag=True, help="Try all rejected documents again.")
@common_options
def command(
    config: Path,
    error_class: str | None,
    source: str | None,
    limit: int,
    warnings: bool,
    replay: bool,
    as_json: bool,
) -> int:
    """List the documents of CONFIG that are rejected now, and why."""
    from pipelines.queries.rejects import rejects, warned

    if warnings:
        if replay or error_class:
            raise click.UsageError("--warnings goes with --source and --limit only")
        told = warned(open_config(config), source=source)
        if as_json:
            emit_json(told)
        else:
            _print_warned(told["warned"], limit)
        return 0
    if replay and (error_class or source):
        raise click.UsageError("--replay tries all rejects again; leave --class and --source")
    value = rejects(open_config(config), error_class=error_class, source=source)
    if replay and value["rejects"]:
        from pipelines.cli.stages import run_stages

        # A document that ingest takes in now still has to be chunked and loaded, but not here:
        # where the stages are installed apart, each has a machine of its own.
        rejecting = {each["stage"] for each in value["rejects"]}
        stages = [stage for stage in ("ingest", "transform") if stage in rejecting]
        return run_stages(config, stages, as_json=as_json, retry_rejects=True)
    if as_json:
        emit_json(value)
    else:
        _print(value, limit)
    return 0


def _print(value: dict[str, Any], limit: int) -> None:
    found = value["rejects"]
    if not found:
        click.echo("No document is rejected.")
        return
    print_entries("rejects", [_entry(each) for each in found[:limit]])
    print_pairs("", [("in all", len(found)), ("by class", value["by_class"])])


def _print_warned(found: list[dict[str, Any]], limit: int) -> None:
    if not found:
        click.echo("No document was read with warnings.")
        return
    entries = [
        (f"{each['parser']['name']}: {each['source_uri']}", "; ".join(each["warnings"]))
        for each in found[:limit]
    ]
    print_entries("read with warnings", entries)
    print_pairs("", [("in all", len(found))])


def _entry(each: dict[str, Any]) -> tuple[str, str]:
    stage = " ".join(filter(None, [each["stage"], each["strategy"]]))
    kept = "; its former content is still served" if each["serves_old_content"] else ""
    why = f"{stage}: {excerpt(each['message'] or 'no message', 300)}{kept}"
    return f"{each['error_class']}: {each['source_uri']}", why
