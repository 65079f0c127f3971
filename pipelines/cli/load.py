"""`gristmill load`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, BeamCommand
from pipelines.cli.stages import run_stages, stage_options


@click.command("load", cls=BeamCommand, context_settings=SETTINGS)
@stage_options(ingest=False)
def command(config: Path, **options: Any) -> int:
    """Bring the sinks of CONFIG up to their chunk tables."""
    return run_stages(config, ("load",), **options)
