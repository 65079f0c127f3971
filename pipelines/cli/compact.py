"""`gristmill compact`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_note, print_table

if TYPE_CHECKING:
    from pipelines.upkeep.compact import Compacted


@click.command("compact", context_settings=SETTINGS)
@config_argument
@click.option("--vacuum", is_flag=True, help="Also remove files that no table refers to.")
@click.option(
    "--retention", type=click.IntRange(min=24), metavar="HOURS", default=168,
    help="Keep files written or folded away in the last HOURS; longer than the longest run [168].",
)  # fmt: skip
@click.option(
    "--drop", "drops", multiple=True, metavar="NAME",
    help="Delete what is left of a source, strategy or sink that is no longer in CONFIG.",
)  # fmt: skip
@common_options
def command(
    config: Path, vacuum: bool, retention: int, drops: tuple[str, ...], as_json: bool
) -> int:
    """Fold the history of the tables of CONFIG that every stage has read.

    Readers and running stages go on undisturbed. Files that were folded away stay on disk until
    they are older than the retention and `--vacuum` is given.
    """
    import uuid

    from pipelines.cli.failure import with_extra

    loaded = open_config(config)
    with with_extra():
        from pipelines.upkeep.compact import compact
        from pipelines.upkeep.drop import drop

        dropped = [drop(loaded, target, uuid.uuid4().hex) for target in drops]
        done = compact(loaded, vacuum=vacuum, retention_hours=retention)
    if as_json:
        emit_json({"dropped": [each.as_dict() for each in dropped], **done.as_dict()})
        return 0
    for each in dropped:
        detail = {
            "source": f"{each.documents} documents are deleted; run `gristmill run {config}` to "
            "take them out of tables and sinks",
            "strategy": f"{each.files} files are removed",
            "sink": "it is empty now",
        }[each.kind]
        click.echo(f"Dropped {each.kind} {each.name}: {detail}.")
    _print(done, vacuum)
    return 0


def _print(done: Compacted, vacuum: bool) -> None:
    rows = []
    for name, horizon in done.horizons.items():
        folded = done.folded.get(name)
        row = [name, horizon]
        if folded is None:
            row += ["-", "-", "-"]
        else:
            row += [
                f"{folded.files_before} to {folded.files_after}",
                f"{folded.rows_before} to {folded.rows_after}",
                f"{_megabytes(folded.bytes_before)} to {_megabytes(folded.bytes_after)}",
            ]
        rows.append(row + ([done.swept.get(name, 0)] if vacuum else []))
    columns = ["table", "read to commit", "files", "rows", "MB"]
    print_table("compact", columns + (["swept"] if vacuum else []), rows)
    for note in done.notes:
        print_note(note)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"
