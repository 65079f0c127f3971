"""`gristmill run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, BeamCommand
from pipelines.cli.stages import STAGES, run_stages, stage_options


@click.command("run", cls=BeamCommand, context_settings=SETTINGS)
@stage_options(ingest=True)
def command(config: Path, **options: Any) -> int:
    """Bring tables and sinks of CONFIG up to date: ingest, transform, load."""
    return run_stages(config, STAGES, **options)
