"""`gristmill transform`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, BeamCommand
from pipelines.cli.stages import run_stages, stage_options


@click.command("transform", cls=BeamCommand, context_settings=SETTINGS)
@stage_options(ingest=False)
def command(config: Path, **options: Any) -> int:
    """Chunk what changed in the documents table, by the policies of CONFIG."""
    return run_stages(config, ("transform",), **options)
