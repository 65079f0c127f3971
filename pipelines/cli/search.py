"""`gristmill search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, principal_options
from pipelines.cli.output import (
    emit_json,
    excerpt,
    print_folded,
    print_note,
    print_title,
    show,
)

if TYPE_CHECKING:
    from pipelines.load.sink import Hit


@click.command("search", context_settings=SETTINGS)
@config_argument
@click.argument("query")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=10, help="Most hits [10]."
)
@click.option("--sink", help="The sink to search [default: the first that can be].")
@click.option("--granularity", metavar="NAME", help="Search chunks of this size [the smallest].")
@click.option(
    "--profile", type=click.Choice(["lookup", "analysis", "auto"]),
    help="Read passages, or the sections around them; auto decides by the question, and says why.",
)  # fmt: skip
@click.option("--parents", is_flag=True, help="Show the larger chunk around each hit.")
@principal_options
@common_options
def command(
    config: Path,
    query: str,
    limit: int,
    sink: str | None,
    granularity: str | None,
    profile: str | None,
    parents: bool,
    user: str | None,
    groups: tuple[str, ...],
    as_json: bool,
) -> int:
    """Search for QUERY among the chunks that a user or group may read.

    Without --user and --group only what is public is found.
    """
    from lineage import Principal
    from pipelines.cli.failure import with_extra
    from pipelines.config import load_config

    if profile is not None and (granularity is not None or parents):
        raise click.UsageError("--profile decides what is read: leave --granularity and --parents")
    if not query.strip():
        raise click.UsageError("QUERY is empty: say what to search for")
    loaded = load_config(config)
    principal = Principal(user, frozenset(groups))
    more: dict[str, Any] = {}
    hits: Sequence[Hit]
    with with_extra("load"):
        if profile is not None:
            from pipelines.load.profile import read

            reading = read(loaded, query, principal, profile, limit, sink)
            hits, more = reading.hits, reading.as_dict()
        else:
            from pipelines.load.search import search

            hits = search(
                loaded, query, principal, limit, sink, granularity=granularity, parents=parents
            )
    if as_json:
        emit_json(more or {"hits": [hit.as_dict() for hit in hits]})
        return 0
    if more:
        why = f": {'; '.join(more['reasons'])}" if more["reasons"] else ""
        print_folded("", show(f"{more['profile']}{why}"))
        if more["note"]:
            print_note(more["note"])
    shown: set[str] = set()
    for number, hit in enumerate(hits, 1):
        print_title(f"{number:>2}  {show(hit.source_uri)}")
        pages = f", page {hit.page_first}" if hit.page_first is not None else ""
        under = " > ".join(hit.heading_path)
        place = f"{hit.score:.3g}, {hit.chunk_id}[{hit.start}:{hit.end}]{pages}"
        print_folded("    ", show(f"{place}, under {under}" if under else place))
        print_folded("    ", show(excerpt(hit.text, 240)))
        if hit.parent is not None:
            around = f"in {hit.parent.granularity} {hit.parent.chunk_id}"
            if hit.parent.chunk_id in shown:
                print_folded("    ", f"{around}, shown above")
                continue
            shown.add(hit.parent.chunk_id)
            print_folded("    ", f"{around}[{hit.parent.start}:{hit.parent.end}]:")
            print_folded("      ", show(excerpt(hit.parent.text, 1200)))
    if not hits:
        who = "an anonymous caller" if user is None and not groups else "this caller"
        click.echo(f"Nothing that {who} may read matches. Rights: --user NAME, --group NAME.")
    return 0
