"""`gristmill drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_note, print_pairs, print_table

if TYPE_CHECKING:
    from pipelines.evaluate.drift import Drift

DRIFTED = 6


@click.command("drift", context_settings=SETTINGS)
@config_argument
@click.option("--strategy", help="Only this one [default: all].")
@click.option(
    "--runs", type=click.IntRange(min=5), default=30, metavar="N",
    help="Earlier runs to compare with at most [30].",
)  # fmt: skip
@click.option(
    "--min-documents", type=click.IntRange(min=1), default=20, metavar="N",
    help="Runs over fewer documents are left out [20].",
)  # fmt: skip
@click.option(
    "--limit", type=click.FloatRange(min=0.5), default=3.5, metavar="X",
    help="Scaled deviations from the median that are still in line [3.5].",
)  # fmt: skip
@common_options
def command(
    config: Path, strategy: str | None, runs: int, min_documents: int, limit: float, as_json: bool
) -> int:
    """Compare the newest run's quality figures with those of the runs before.

    Exits with 6 when a figure is out of line, and with 0 when none is, or when there are not enough
    runs of the same policy to tell.
    """
    from pipelines.evaluate.drift import find_drift

    loaded = open_config(config)
    chosen = [loaded.strategy(strategy)] if strategy else list(loaded.strategies)
    found = {
        each.name: find_drift(
            loaded.lake, each.name, runs=runs, least_documents=min_documents, limit=limit
        )
        for each in chosen
    }
    if as_json:
        emit_json({"strategies": {name: _value(each) for name, each in found.items()}})
    else:
        for name, each in found.items():
            _print(name, each)
    return DRIFTED if any(each.alarms for each in found.values()) else 0


def _value(drift: Drift) -> dict[str, Any]:
    return {
        "run_id": drift.run_id,
        "compared_with": drift.runs,
        "note": drift.note,
        "alarms": [
            {"figure": s.name, "value": s.value, "median": s.median, "low": s.low,
             "high": s.high, "direction": s.direction}
            for s in drift.alarms
        ],
        "figures": {s.name: s.value for s in drift.shifts},
    }  # fmt: skip


def _print(name: str, drift: Drift) -> None:
    pairs = [("run", drift.run_id), ("compared with", f"{drift.runs} runs")]
    print_pairs(f"drift of {name}", pairs)
    if drift.note:
        print_note(drift.note)
        return
    if not drift.alarms:
        print_pairs("", [("in line", f"all {len(drift.shifts)} figures")])
        return
    print_table(
        "out of line",
        ["figure", "now", "median", "in line", ""],
        [
            [s.name, f"{s.value:.4g}", f"{s.median:.4g}", f"{s.low:.4g} … {s.high:.4g}",
             s.direction]
            for s in drift.alarms
        ],
    )  # fmt: skip
