"""Running stages from the command line: their options, their summary, their exit code."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lineage.errors import ConfigError
from pipelines.cli.common import (
    BEAM_ARGS,
    check_lake,
    common_options,
    config_argument,
    open_config,
)
from pipelines.cli.failure import with_extra
from pipelines.cli.output import emit_json, print_note, print_pairs, print_table

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.options import RunOptions
    from pipelines.usage import Ledger

DONE, WITH_REJECTS, HELD, STOPPED = 0, 3, 4, 5
STAGES = ("ingest", "transform", "load")
_WARNINGS = 5
"""Documents whose warnings are printed; `--json` has more."""
_INGEST_COLUMNS = (
    "listed", "new", "changed", "acl", "touched", "unchanged", "rejected", "deleted", "held",
    "empty",
)  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def stage_options(*, ingest: bool) -> Callable[[F], F]:
    """CONFIG and the options of a stage's run; with `ingest` also those that only it has."""

    def decorate(function: F) -> F:
        # The help shows what is added last first.
        function = common_options(function)
        if ingest:
            function = click.option(
                "--verify-hash", is_flag=True,
                help="Read every source's bytes and compare hashes, whatever its version says.",
            )(function)  # fmt: skip
            function = click.option(
                "--allow-deletes", is_flag=True,
                help="Delete what is gone from the sources even where the guard would hold it.",
            )(function)  # fmt: skip
        function = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")(function)
        function = click.option(
            "--batch", type=click.IntRange(min=1), metavar="N", help="Documents to commit at once."
        )(function)
        function = click.option(
            "-w", "--workers", type=click.IntRange(min=1), metavar="N",
            help="Processes in all [default: CPUs].",
        )(function)  # fmt: skip
        return config_argument(function)

    return decorate


def run_stages(
    config_path: Path,
    stages: Sequence[str],
    *,
    as_json: bool,
    workers: int | None = None,
    batch: int | None = None,
    quiet: bool = False,
    verify_hash: bool = False,
    allow_deletes: bool = False,
    retry_rejects: bool = False,
    reparse: str | None = None,
) -> int:
    """Run `stages` one after the other and print their summary; returns the exit code."""
    from pipelines.arrow import give_memory_back, trim_memory
    from pipelines.budget import usage_value
    from pipelines.lineage_events.watch import RunEvents
    from pipelines.options import RunOptions, cpu_count
    from pipelines.progress import open_progress

    config = open_config(config_path, lake=False)
    if not config.sinks and list(stages) == ["load"]:
        raise ConfigError(
            f"{config.path}: there is nothing to load into. Add a sink, for example "
            "`sinks: [{name: index, kind: lancedb, uri: .gristmill/index}]`."
        )
    options = RunOptions(
        workers=workers or cpu_count(),
        batch=batch,
        beam_args=click.get_current_context().meta.get(BEAM_ARGS, ()),
        verify_hash=verify_hash,
        allow_deletes=allow_deletes,
        retry_rejects=retry_rejects,
        reparse=reparse,
        progress=open_progress(quiet=quiet or as_json),
    )
    started = time.monotonic()
    give_memory_back()
    check_lake(config, stages, write=True)
    if "load" in stages:
        with with_extra("load"):
            from pipelines.load.open import check_sinks

            check_sinks(config)
    done: dict[str, Any] = {}
    took: dict[str, float] = {}
    events = RunEvents(config, options)
    try:
        for stage in stages:
            part = _loadable(config, done) if stage == "load" else config
            if stage == "load" and not part.sinks:
                continue
            began = time.monotonic()
            done[stage] = events.watch(stage, partial(run_stage, stage, part))
            took[stage] = round(time.monotonic() - began, 3)
            trim_memory()
        _await_tracking(done, options)
    except BaseException as error:
        events.close(error)
        if isinstance(error, Exception):
            _await_tracking(done, options)
        else:
            _give_up_tracking(done)
        options.progress.close()
        if done and not as_json:
            _print(config, done, time.monotonic() - started)
        raise
    events.close()
    options.progress.close()
    seconds = time.monotonic() - started
    if as_json:
        for note in [*_notes(done), *events.notes]:
            click.echo(note, err=True)
        emit_json(
            {
                "run_id": options.run_id,
                "stages": {
                    stage: {**summary.as_dict(), "seconds": took[stage]}
                    for stage, summary in done.items()
                },
                "usage": usage_value(config, _ledger(done)),
                "seconds": round(seconds, 3),
            }
        )
    else:
        _print(config, done, seconds, events.notes)
    return exit_code(done.values())


def run_stage(stage: str, config: Config, options: RunOptions) -> Any:
    """Run one stage; raises MissingExtra when its libraries are not installed."""
    with with_extra(stage):
        return importlib.import_module(f"pipelines.{stage}.stage").run(config, options)


def _loadable(config: Config, done: Mapping[str, Any]) -> Config:
    """`config` without the sinks for which a transform that was stopped has made no table yet."""
    if getattr(done.get("transform"), "stopped", None) is None:
        return config
    from pipelines.tables.lake import Lake

    lake = Lake(config.lake)
    made = {each.name for each in config.strategies if lake.chunks(each.name).exists}
    return replace(config, sinks=tuple(sink for sink in config.sinks if sink.strategy in made))


def _await_tracking(done: Mapping[str, Any], options: RunOptions) -> None:
    """Wait until MLflow has the run, which is logged while other stages work."""
    tracking = getattr(done.get("transform"), "tracking", None)
    if tracking is not None and tracking.under_way:
        options.progress.note("logging the run to MLflow")
        done["transform"].as_dict()


def _give_up_tracking(done: Mapping[str, Any]) -> None:
    tracking = getattr(done.get("transform"), "tracking", None)
    if tracking is not None:
        tracking.close()


def exit_code(summaries: Any) -> int:
    """A budget at its limit outranks deletions held back, and those rejects of this run.

    A listing that broke off counts as deletions held back, whatever it hid.
    """
    summaries = [summary.as_dict() for summary in summaries]
    if any(summary.get("stopped") for summary in summaries):
        return STOPPED
    if any(summary.get("held") or summary.get("incomplete") for summary in summaries):
        return HELD
    return WITH_REJECTS if any(summary.get("rejected") for summary in summaries) else DONE


def _notes(done: Mapping[str, Any]) -> list[str]:
    notes = [note for summary in done.values() for note in getattr(summary, "notes", ())]
    notes += [reason for summary in done.values() if (reason := getattr(summary, "stopped", None))]
    unknown = getattr(done.get("ingest"), "unknown_acl", 0)
    if unknown:
        notes.append(
            f"nobody can find {unknown} of the listed documents, which have no readable ACL: add "
            "_acl.yaml files, or set `acl: {default: …}` on the source"
        )
    warnings: Mapping[str, str] = getattr(done.get("ingest"), "warnings", {})
    if warnings:
        count = done["ingest"].counts["warned"]
        notes.append(
            f"{count} {'document was' if count == 1 else 'documents were'} read, with warnings"
            + (f"; the first {_WARNINGS}" if count > _WARNINGS else "")
        )
        notes += [f"  {uri}: {text}" for uri, text in list(warnings.items())[:_WARNINGS]]
    return notes


def _print(
    config: Config, done: Mapping[str, Any], seconds: float, more_notes: Sequence[str] = ()
) -> None:
    from pipelines.budget import usage_value

    values = {stage: summary.as_dict() for stage, summary in done.items()}
    if "ingest" in values:
        sources: Mapping[str, Mapping[str, int]] = values["ingest"].get("sources") or {}
        names = [
            name for name in _INGEST_COLUMNS
            if name == "listed" or any(each.get(name) for each in sources.values())
        ]  # fmt: skip
        rows = [
            [source, *(each.get(name, 0) for name in names)] for source, each in sources.items()
        ]
        if len(rows) > 1:
            rows.append(["all", *(values["ingest"].get(name, 0) for name in names)])
        print_table("ingest", ["source", *names], rows)
    for stage in ("transform", "load"):
        if stage in values:
            counts = [
                (name, value)
                for name, value in values[stage].items()
                if isinstance(value, int) and (value or name == "documents")
            ]
            print_table(stage, [name for name, _ in counts], [[value for _, value in counts]])
    print_costs(config, usage_value(config, _ledger(done)))
    for note in [*_notes(done), *more_notes]:
        print_note(note)
    print_pairs("", _next_steps(config, values, seconds))


def _ledger(done: Mapping[str, Any]) -> Ledger:
    """What all stages cost together."""
    from pipelines.usage import Ledger

    total = Ledger()
    for summary in done.values():
        total = total.merge(getattr(summary, "ledger", Ledger()))
    return total


def print_costs(config: Config, usage: Mapping[str, Any]) -> None:
    """The costs by each label that anything carries, adding up to the total."""
    from pipelines.usage import UNLABELLED

    total = usage["total"]
    columns = [("tokens", "tokens"), ("embedded", "embedded_tokens"), ("seconds", "seconds")]
    if total["money"] is not None:
        columns.append((config.budget.currency or "money", "money"))
    by_label: Mapping[str, Mapping[str, Any]] = usage["by_label"]
    told = {label: values for label, values in by_label.items() if not set(values) <= {UNLABELLED}}
    if not told and total["money"] is not None:
        told = dict(list(by_label.items())[:1])
    for label, values in told.items():
        rows = [
            [name, *(_amount(each[key], key) for _, key in columns)]
            for name, each in [*values.items(), ("all", total)]
        ]
        print_table("costs", [label, *(name for name, _ in columns)], rows)


def _amount(value: float, key: str) -> Any:
    return round(value, 2) if key == "seconds" else f"{value:,.4f}" if key == "money" else value


def _next_steps(
    config: Config, values: Mapping[str, Mapping[str, Any]], seconds: float
) -> list[tuple[str, str]]:
    path = _short(config.path)
    written = sum(value.get("rows_written", 0) for value in values.values())
    moved = written or values.get("load", {}).get("documents")
    end = "stopped" if any(value.get("stopped") for value in values.values()) else "done"
    pairs = [(end, f"{'' if moved else 'nothing had changed, '}{seconds:.1f} s")]
    rights = values.get("ingest", {}).get("acl_as_of")
    if rights is not None:
        pairs.append(("rights as of", f"{rights:%Y-%m-%d %H:%M:%S} UTC, the oldest"))
    if any(value.get("rejected") for value in values.values()):
        pairs.append(("rejects", f"gristmill rejects {path}"))
    if "load" in values:
        pairs.append(("search", f'gristmill search {path} "…" --group GROUP'))
    if values.get("transform", {}).get("mlflow_run_id") and config.mlflow:
        pairs.append(("figures", f"mlflow ui --backend-store-uri {config.mlflow.tracking_uri}"))
    return pairs


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
