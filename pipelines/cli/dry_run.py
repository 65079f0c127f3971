"""`gristmill run --dry-run`: what a run would do and cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.cli.common import check_lake, open_config
from pipelines.cli.failure import with_extra
from pipelines.cli.output import emit_json, print_note, print_pairs, print_table
from pipelines.cli.stages import DONE, HELD, STOPPED, print_costs

if TYPE_CHECKING:
    from pipelines.config import Config


_COLUMNS = ("documents", "rejected", "chunks", "tokens", "tokens_plus_minus")


def run_dry(
    config_path: Path,
    *,
    as_json: bool,
    workers: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> int:
    """Print a forecast; returns the exit code that the run would have for budget and guard."""
    from pipelines.options import RunOptions, cpu_count
    from pipelines.progress import open_progress

    config = open_config(config_path, lake=False)
    check_lake(config, ["ingest"])
    run_options = RunOptions(
        workers=workers or cpu_count(), progress=open_progress(quiet=quiet or as_json), **options
    )
    started = time.monotonic()
    with with_extra("ingest"):
        from pipelines.queries.forecast import forecast

        try:
            value = forecast(config, run_options)
        finally:
            run_options.progress.close()
    seconds = time.monotonic() - started
    if as_json:
        emit_json({**value, "seconds": round(seconds, 3)})
    else:
        _print(config, value, seconds)
    if value["over_budget"]:
        return STOPPED
    return HELD if value["ingest"]["held"] else DONE


def _print(config: Config, value: dict[str, Any], seconds: float) -> None:
    counts = [(name, count) for name, count in value["ingest"].items() if count or name == "listed"]
    names = [name.replace("_", " ") for name, _ in counts]
    print_table("would ingest", names, [[count for _, count in counts]])
    print_table(
        "would transform",
        ["strategy", "documents", "rejected", "chunks", "tokens", "±"],
        [[name, *(each[k] for k in _COLUMNS)] for name, each in value["strategies"].items()],
    )
    print_costs(config, value["usage"])
    if value["not_forecast"]:
        paid = f" and {config.budget.currency or 'money'}" if config.budget.compute_price else ""
        print_note(
            f"seconds{paid} are without the time of embedding, which a run counts, too: only "
            "embedding tells how long it takes"
        )
    if value["over_budget"]:
        print_note(value["over_budget"])
    sampled, population = value["sampled"], value["population"]
    how = "all read" if sampled == population else f"{sampled:,} read, 99 % confidence"
    print_pairs(
        "",
        [
            ("forecast", f"of {population:,} documents, {how}"),
            ("done", f"nothing was written, {seconds:.1f} s"),
        ],
    )
