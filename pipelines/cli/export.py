"""`gristmill export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json


@click.command("export", context_settings=SETTINGS)
@config_argument
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--what", type=click.Choice(["chunks", "documents"]), default="chunks", show_default=True,
    help="Which table's current rows.",
)  # fmt: skip
@click.option("--strategy", help="Whose chunks [default: the only strategy].")
@click.option(
    "--format", type=click.Choice(["parquet", "jsonl", "csv"]), help="[default: by OUTPUT's name]"
)
@click.option("--columns", help="Columns, with commas between; acl is always one of them.")
@common_options
def command(config: Path, output: Path, columns: str | None, as_json: bool, **options: Any) -> int:
    """Write the current chunks or documents to the file OUTPUT, with who may read them."""
    from pipelines.queries.export import export

    names = [name.strip() for name in (columns or "").split(",") if name.strip()]
    value = export(open_config(config), output, columns=names, **options)
    if as_json:
        emit_json(value)
    else:
        click.echo(f"{value['rows']:,} rows, {value['bytes']:,} bytes: {value['output']}")
    return 0
