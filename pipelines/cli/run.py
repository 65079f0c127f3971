"""`gristmill run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, BeamCommand
from pipelines.cli.stages import STAGES, run_stages, stage_options


@click.command("run", cls=BeamCommand, context_settings=SETTINGS)
@stage_options(ingest=True)
@click.option(
    "--dry-run", is_flag=True,
    help="Say what a run would do and cost, from a sample; nothing is written.",
)  # fmt: skip
def command(config: Path, dry_run: bool, **options: Any) -> int:
    """Bring tables and sinks of CONFIG up to date: ingest, transform, load."""
    if dry_run:
        from pipelines.cli.dry_run import run_dry

        return run_dry(config, **options)
    return run_stages(config, STAGES, **options)
