"""`gristmill forget`."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_note, print_pairs, print_table


@click.command("forget", context_settings=SETTINGS)
@config_argument
@click.argument("document")
@click.option("--restore", is_flag=True, help="Let a forgotten document be ingested again.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether it is meant.")
@common_options
def command(config: Path, document: str, restore: bool, yes: bool, as_json: bool) -> int:
    """Erase DOCUMENT (a URI, a path, a key or an id) from everything that CONFIG made of it.

    From sinks, tables and their history, vectors, reports and MLflow artifacts. It is not read
    again, even if it still lies in its source, until `--restore`. Exits with 1 when something
    could not be erased; that is listed. Run it while no stage is running.
    """
    import uuid

    from pipelines.cli.failure import with_extra

    loaded = open_config(config)
    with with_extra():
        from pipelines.upkeep import forget

        if restore:
            identifier = forget.restore(loaded, document)
            if as_json:
                emit_json({"restored": identifier})
            else:
                click.echo(f"The next ingest may read document {identifier} again.")
            return 0
        identifier, uri = forget.find(loaded, document)
        if not yes:
            click.confirm(f"Erase {uri or identifier} for good?", abort=True, err=True)
        done = forget.forget(loaded, identifier, str(uuid.uuid4()))
    if as_json:
        emit_json(done.as_dict())
        return 0 if done.complete else 1
    rows = [[o.place, "erased" if o.erased else "NOT erased", o.detail] for o in done.outcomes]
    print_table("forget", ["where", "", "what"], rows)
    print_pairs("", [("record", f"document {done.document_id}, run {done.run_id}")])
    if done.source_uri:
        print_note(
            f"the source is not touched: if {done.source_uri} still exists, it stays, and is not "
            f"read again until `gristmill forget {config} {done.document_id} --restore`"
        )
    if not done.complete:
        print_note("something is left, see above")
    return 0 if done.complete else 1
