"""`gristmill ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, BeamCommand
from pipelines.cli.stages import run_stages, stage_options


@click.command("ingest", cls=BeamCommand, context_settings=SETTINGS)
@stage_options(ingest=True)
@click.option(
    "--reparse", is_flag=False, flag_value="", metavar="[PARSER]",
    help="Parse again what PARSER has parsed; without one, what a parser has that changed since.",
)  # fmt: skip
def command(config: Path, **options: Any) -> int:
    """Read what changed in the sources of CONFIG into the documents table."""
    return run_stages(config, ("ingest",), **options)
