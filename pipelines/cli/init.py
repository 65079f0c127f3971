"""`gristmill init`."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli.common import SETTINGS, common_options
from pipelines.cli.output import emit_json, print_note


@click.command("init", context_settings=SETTINGS)
@click.argument("source")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("gristmill.yaml"),
    show_default=True, help="The file to write.",
)  # fmt: skip
@click.option("--name", help="The pipeline's name [default: the source's last part].")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@common_options
def command(source: str, output: Path, name: str | None, force: bool, as_json: bool) -> int:
    """Write a small, commented config for SOURCE.

    SOURCE is a folder, a table of records (Parquet, JSONL, CSV), or a URI such as
    az://container/prefix.
    """
    from pipelines.config import load_config
    from pipelines.queries.init import write_config

    found = write_config(source, output, name=name, force=force)
    config = load_config(output)
    if as_json:
        files = None if found is None else found.files
        acls = None if found is None else found.acl_files
        emit_json({"config": str(output), "name": config.name, "files": files, "acl_files": acls})
        return 0
    click.echo(f"{output} is written. It holds comments; read it, then: gristmill run {output}")
    if found is not None and not found.acl_files:
        print_note(
            "No access files were found, so with `default: unknown` nobody will find anything: "
            "add _acl.yaml files, or set another default in the config."
        )
    return 0
