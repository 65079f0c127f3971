"""`gristmill publish`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument
from pipelines.cli.output import emit_json, print_note


@click.command("publish", context_settings=SETTINGS)
@config_argument
@common_options
def command(config: Path, as_json: bool) -> int:
    """Send the run records that were kept while MLflow was away.

    Exits with 1 when one could not be sent; it stays kept. A damaged record stops no other one.
    """
    from pipelines.cli.failure import with_extra
    from pipelines.config import load_config

    loaded = load_config(config)
    with with_extra("transform"):
        from pipelines.tracking import Published, TrackingFailed, publish_pending

        answers = publish_pending(loaded)
    done = [answer for answer in answers if isinstance(answer, Published)]
    failed = [answer for answer in answers if isinstance(answer, TrackingFailed)]
    damaged = [answer for answer in answers if not isinstance(answer, Published | TrackingFailed)]
    if as_json:
        emit_json(
            {
                "published": [asdict(answer) for answer in done],
                "failed": [asdict(answer) for answer in failed],
                "unreadable": [asdict(answer) for answer in damaged],
            }
        )
    else:
        for cause, number in Counter(answer.cause for answer in failed).items():
            print_note(f"{number:,} of the records could not be sent to {cause}; kept in the lake")
        for answer in damaged:
            print_note(answer.message)
        click.echo(
            f"{len(done)} of {len(answers)} kept run records are in MLflow now."
            if answers
            else "No run record waits to be sent."
        )
    return 1 if failed or damaged else 0
