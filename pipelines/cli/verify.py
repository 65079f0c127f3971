"""`gristmill verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_entries, print_pairs

if TYPE_CHECKING:
    from pipelines.queries.violations import Report, Violation


@click.command("verify", context_settings=SETTINGS)
@config_argument
@click.option(
    "--sources", is_flag=True, help="Also read the sources again and compare their hashes."
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@common_options
def command(config: Path, sources: bool, quiet: bool, as_json: bool) -> int:
    """Check the guarantees over everything in the lake of CONFIG.

    Exact spans, nothing lost, an access state on every row, ids that follow from the content, no
    chunks of withdrawn documents, and the token cap. Exits with 1 when one is broken.
    """
    from pipelines.progress import open_progress
    from pipelines.queries.verify import verify

    progress = open_progress(quiet=quiet or as_json)
    try:
        report = verify(open_config(config), sources=sources, progress=progress)
    finally:
        progress.close()
    if as_json:
        emit_json(report.as_dict())
    else:
        _print(report)
    return 1 if report.violation_count else 0


def _print(report: Report) -> None:
    if report.violations:
        print_entries("violations", [_entry(each) for each in report.violations[:50]])
    pairs: list[tuple[str, object]] = [
        ("documents", report.documents),
        ("chunks", report.chunks),
        ("violations", report.violation_count),
    ]
    if report.behind:
        pairs.append(("not judged", f"{report.behind} whose chunks are behind: run transform"))
    if report.sources is not None:
        pairs.append(("sources", report.sources))
    print_pairs("", pairs)


def _entry(found: Violation) -> tuple[str, str]:
    chunk = f"chunk {found.chunk_id}: " if found.chunk_id else ""
    strategy = f"{found.strategy}: " if found.strategy else ""
    return f"{found.promise}: {found.source_uri}", f"{strategy}{chunk}{found.message}"
