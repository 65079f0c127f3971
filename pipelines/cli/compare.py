"""`gristmill compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_entries, print_note, print_table

if TYPE_CHECKING:
    from pipelines.evaluate.compare import Comparison
    from pipelines.evaluate.publish import Outcome

INTERRUPTED, FAILED = 130, 1


@click.command("compare", context_settings=SETTINGS)
@config_argument
@click.argument("strategies", nargs=-1)
@click.option(
    "-w", "--workers", type=click.IntRange(min=1), metavar="N", help="Processes [default: CPUs]."
)
@click.option("--again", is_flag=True, help="Evaluate anew what was evaluated before.")
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FOLDER", help="Where the report goes."
)
@click.option("--open", "show", is_flag=True, help="Open the report in the browser.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@common_options
def command(
    config: Path,
    strategies: tuple[str, ...],
    workers: int | None,
    again: bool,
    report: Path | None,
    show: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Compare chunking strategies on the documents in the lake.

    STRATEGIES are names; without any, all of `strategies`, `evaluation.strategies` and
    `evaluation.grid`. Each is cut, indexed and asked the questions of `evaluation.evidence`; the
    outcome is a ranking with intervals, an HTML report, and MLflow runs, one in the other. A
    strategy that was evaluated before on the same documents and questions is not evaluated again.

    Exits with 1 when a strategy failed; the others are reported.
    """
    from pipelines.cli.failure import with_extra

    loaded = open_config(config)
    with with_extra("evaluate"):
        from pipelines.evaluate.compare import choose, compare
        from pipelines.evaluate.publish import publish, report_folder
        from pipelines.options import cpu_count
        from pipelines.progress import open_progress

        chosen = choose(loaded, strategies)
        folder = report_folder(loaded, report)
        progress = open_progress(quiet=quiet)
        try:
            made = compare(
                loaded, chosen, workers=workers or cpu_count(), again=again, progress=progress
            )
        finally:
            progress.close()
        if made.interrupted and not made.results and not made.failed:
            # There is nothing to report, and whoever interrupted it waits.
            raise KeyboardInterrupt
        outcome = publish(made, folder)
    if as_json:
        emit_json(_value(made, outcome))
    else:
        _print(made, outcome)
    if show and made.results:
        import webbrowser

        webbrowser.open(outcome.report.as_uri())
    if made.interrupted:
        return INTERRUPTED
    return FAILED if made.failed else 0


def _value(made: Comparison, outcome: Outcome) -> dict[str, Any]:
    ranked = {r.name: r for r in made.ranking}
    return {
        "run_id": made.run_id,
        "objective": made.settings.objective,
        "best": made.ranking[0].name if made.ranking else None,
        "strategies": [
            {
                "name": name,
                "reused": name in made.reused,
                "objective": _interval(ranked[name].interval) if name in ranked else None,
                "level_with_best": ranked[name].level_with_best if name in ranked else None,
                "metrics": dict(result.metrics),
                "by_type": {key: dict(value) for key, value in result.by_type.items()},
            }
            for name, result in _ordered(made)
        ],
        "failed": dict(made.failed),
        "unfinished": made.unfinished,
        "interrupted": made.interrupted,
        "documents": len(made.corpus),
        "questions": len(made.resolution.questions),
        "problems_by_kind": made.resolution.counts,
        "corpus_fingerprint": made.corpus.fingerprint,
        "evidence_fingerprint": made.evidence.fingerprint,
        "report": str(outcome.report),
        "mlflow_run_id": outcome.mlflow_run_id,
        "notes": [*_notes(made), *outcome.notes],
        "seconds": made.ended_at - made.started_at,
    }


def _interval(interval: Any) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _ordered(made: Comparison) -> list[tuple[str, Any]]:
    names = [r.name for r in made.ranking]
    names += [name for name in made.results if name not in names]
    return [(name, made.results[name]) for name in names]


def _print(made: Comparison, outcome: Outcome) -> None:
    from pipelines.evaluate.report.words import count, label, percent, points, seconds

    ranked = {r.name: r for r in made.ranking}
    rows = []
    for place, (name, result) in enumerate(_ordered(made), 1):
        one = ranked.get(name)
        bounds = "-"
        if one is not None:
            bounds = f"{percent(one.interval.low)} to {percent(one.interval.high)}"
        gap = None if one is None or one.against_best is None else one.against_best.difference
        metrics = result.metrics
        rows.append(
            [
                place if one is not None else "",
                name,
                "-" if one is None else percent(one.interval.mean),
                bounds,
                "" if gap is None else points(-gap.mean),
                "yes" if one is not None and one.level_with_best else "",
                count(metrics["chunks"]),
                count(metrics.get("tokens_per_chunk", 0)),
                count(metrics["stored_tokens"]),
                seconds(metrics["chunking_seconds"]),
            ]
        )
    if rows:
        print_table(
            f"{len(made.corpus):,} documents, {len(made.resolution.questions):,} questions: "
            f"{label(made.settings.objective)}",
            ["#", "strategy", "mean", "95 % interval", "points", "level", "chunks", "size",
             "stored", "CPU"],
            rows,
        )  # fmt: skip
    if made.failed:
        print_entries("failed", list(made.failed.items()))
    for note in _notes(made):
        print_note(note)
    for note in outcome.notes:
        print_note(note)
    if made.reused:
        click.echo(f"{len(made.reused)} of them were evaluated before, on the same documents.")
    click.echo(f"Report: {outcome.report}")
    if outcome.mlflow_run_id:
        click.echo(f"MLflow run: {outcome.mlflow_run_id}")


def _notes(made: Comparison) -> list[str]:
    from pipelines.evaluate.report.verdict import why_unranked

    notes = [f"left out of the grid: {text}" for text in made.config.evaluation.skipped]
    notes += made.notes
    lost = made.resolution.counts
    if lost:
        told = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in lost.items())
        notes.append(
            f"evidence that could not be used: {told}; `gristmill evidence {made.config.path} "
            "check` lists it"
        )
    if not made.config.evaluation.evidence:
        notes.append(
            "no evidence is configured (`evaluation: {evidence: evidence.jsonl}`): there are "
            "figures of the cuts alone, and no ranking"
        )
    elif not made.ranking and made.results:
        notes.append(f"{why_unranked(made)}: there are figures of the cuts alone, and no ranking")
    if made.interrupted:
        notes.append(
            f"interrupted: {', '.join(made.unfinished) or 'nothing'} not done; what is done is "
            "kept, and the same command goes on from there"
        )
    return notes
