"""`gristmill doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli.common import SETTINGS, common_options
from pipelines.cli.output import emit_json, print_table


@click.command("doctor", context_settings=SETTINGS)
@click.argument("config", type=click.Path(path_type=Path), required=False)
@common_options
def command(config: Path | None, as_json: bool) -> int:
    """Check the installation, and whether the stores of CONFIG answer.

    Each store is given a bounded time. Exits with 1 when something failed; what is only missing
    is told together with what that costs.
    """
    from pipelines.config import load_config
    from pipelines.queries.doctor import doctor

    value = doctor(None if config is None else load_config(config))
    if as_json:
        emit_json(value)
    else:
        print_table(
            "doctor",
            ["what", "state", "detail"],
            [
                [c["name"], c["state"], "; ".join(filter(None, [c["detail"], c["cure"]]))]
                for c in value["checks"]
            ],
        )
    return 0 if value["ok"] else 1
