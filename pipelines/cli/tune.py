"""`gristmill tune`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_note, print_pairs, print_table

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.evaluate.evidence import EvidenceSet
    from pipelines.evaluate.tune_outcome import Outcome


@click.command("tune", context_settings=SETTINGS)
@config_argument
@click.option("--strategy", help="Whose policy [default: the first].")
@click.option(
    "--evidence", type=click.Path(path_type=Path), help="In place of the configuration's."
)
@click.option("--feedback/--no-feedback", default=True, help="Whether feedback counts [yes].")
@click.option(
    "--trials", type=click.IntRange(min=1), default=40, metavar="N",
    help="Policies to try in each search, those of an interrupted one included [40].",
)  # fmt: skip
@click.option("--minutes", type=click.FloatRange(min=0), metavar="N", help="Of all searches.")
@click.option(
    "--tokens", type=click.IntRange(min=1), metavar="N", help="Tokens to chunk for trials at most."
)
@click.option(
    "--held-out", type=click.FloatRange(min=0.05, max=0.9), default=0.3, metavar="SHARE",
    help="Share of the questions held out [0.3].",
)  # fmt: skip
@click.option(
    "--folds", type=click.IntRange(min=0, max=10), metavar="N",
    help="Hold out each of N parts of the documents in turn; 0: hold out once [3 with evidence in "
    "fewer than 10 documents, else 0].",
)  # fmt: skip
@click.option("--seed", default=0, metavar="N", help="Of the split and the search [0].")
@click.option("--storage", type=click.Path(path_type=Path), help="SQLite file of the trials.")
@click.option("--promote/--no-promote", default=True, help="Whether to promote [yes].")
@click.option(
    "--if-evidence", is_flag=True,
    help="With too little evidence, say so and exit with 0, as a schedule wants it.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@common_options
def command(
    config: Path,
    strategy: str | None,
    evidence: Path | None,
    feedback: bool,
    trials: int,
    minutes: float | None,
    tokens: int | None,
    held_out: float,
    folds: int | None,
    seed: int,
    storage: Path | None,
    promote: bool,
    if_evidence: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Search a better policy on evidence, and promote it if held-out evidence proves it better.

    Evidence is `evaluation.evidence` of CONFIG and the feedback in its lake. A search that was
    interrupted goes on where it was. Not to promote is a result, not a failure: the exit code is 0.
    """
    from pipelines.cli.failure import with_extra
    from pipelines.options import new_run_id

    loaded = open_config(config)
    chosen = loaded.strategy(strategy) if strategy else loaded.strategies[0]
    started_at, run_id = time.time(), new_run_id()
    with with_extra("evaluate"):
        from pipelines.evaluate.inputs import configured_embedder, read_snapshot
        from pipelines.evaluate.resolve import resolve
        from pipelines.evaluate.tune import TuneOptions, tune
        from pipelines.evaluate.tune_outcome import Tried
        from pipelines.evaluate.tune_report import log_outcome, write_report
        from pipelines.evaluate.tune_split import TooLittleEvidence
        from pipelines.evaluate.tune_trials import set_aside

        known = _evidence(loaded, evidence, feedback, if_evidence)
        corpus = read_snapshot(loaded, known)
        resolution = resolve(known, corpus)

        def tell(tried: Tried) -> None:
            if not quiet and not as_json:
                shown = "pruned" if tried.value is None else f"{tried.value:.4f}"
                where = f"part {tried.fold} held out, " if tried.fold else ""
                click.echo(f"{where}trial {tried.number}: {shown}", err=True)

        # A file that somebody names may be anything; what is at our own place is ours to rename.
        broken = None if storage else set_aside(_storage(loaded, chosen.name))
        if broken and not as_json:
            print_note(broken)
        try:
            outcome = tune(
                loaded,
                chosen,
                corpus,
                resolution.questions,
                TuneOptions(trials, minutes, tokens, held_out, seed, promote, folds),
                storage=storage or _storage(loaded, chosen.name),
                embedder=configured_embedder(loaded),
                progress=tell,
            )
        except TooLittleEvidence as error:
            if not if_evidence:
                raise
            return _too_little(chosen.name, str(error), as_json)
        folder = write_report(loaded, outcome, run_id)
        mlflow_run_id, note = log_outcome(loaded, corpus, outcome, run_id, started_at, folder)
    notes = _notes(loaded, outcome, len(resolution.problems), note)
    if as_json:
        notes = [broken, *notes] if broken else notes
        emit_json(_value(outcome, run_id, folder.uri, mlflow_run_id, notes))
        return 0
    _print(outcome, folder.uri, notes)
    return 0


def _too_little(strategy: str, why: str, as_json: bool) -> int:
    if as_json:
        emit_json({"strategy": strategy, "promoted": None, "verdict": f"kept: {why}"})
    else:
        print_note(f"strategy {strategy!r} is not tuned: {why}")
    return 0


def _evidence(config: Config, path: Path | None, feedback: bool, none_is_fine: bool) -> EvidenceSet:
    from pipelines.evaluate.evidence import EvidenceSet
    from pipelines.evaluate.evidence_files import read_evidence
    from pipelines.evaluate.inputs import read_configured
    from pipelines.feedback import feedback_evidence

    given = feedback_evidence(config).evidence if feedback else EvidenceSet()
    if path is not None:
        return read_evidence(path).joined(given)
    if not config.evaluation.evidence and (len(given) or none_is_fine):
        return given
    return read_configured(config).joined(given)


def _storage(config: Config, strategy: str) -> Path:
    """Beside a local lake's other tunings; SQLite needs a file system."""
    lake = Path(config.lake) if "://" not in config.lake else config.path.parent / ".gristmill"
    return lake / "_tune" / strategy / "trials.db"


def _notes(config: Config, outcome: Outcome, problems: int, note: str | None) -> list[str]:
    from pipelines.evaluate.tune_split import FEW

    notes = [f"not tuned: {why}" for why in outcome.skipped]
    if problems:
        notes.append(
            f"{problems} passages or questions cannot be used; see `gristmill evidence "
            f"{config.path} check`"
        )
    if outcome.split.mixed:
        notes.append(
            f"{outcome.split.mixed} questions have evidence in documents that were held out and in "
            "others, and nothing was judged by them"
        )
    if len(outcome.split.held_out) < FEW:
        notes.append(
            f"only {len(outcome.split.held_out)} questions are held out: intervals are wide, and "
            "more evidence would tell more"
        )
    if outcome.promoted is not None and not outcome.strategy.promoted:
        notes.append(
            f"strategy {outcome.strategy.name!r} does not follow promoted policies: set `policy: "
            "{alias: promoted, otherwise: FILE}` for transform to pick it up"
        )
    return [*notes, *([note] if note else [])]


def _value(
    outcome: Outcome, run_id: str, folder: str, mlflow_run_id: str | None, notes: list[str]
) -> dict[str, Any]:
    from pipelines.evaluate.tune_outcome import facts_of

    return {
        "run_id": run_id,
        "strategy": outcome.strategy.name,
        "promoted": outcome.promoted.number if outcome.promoted else None,
        "verdict": outcome.verdict,
        **facts_of(outcome),
        "importances": dict(outcome.importances),
        "by_type": {name: list(pair) for name, pair in outcome.by_type.items()},
        "stopped_by": outcome.stopped_by,
        "policy": outcome.best.policy.as_value(),
        "report": folder,
        "mlflow_run_id": mlflow_run_id,
        "seconds": outcome.seconds,
        "notes": notes,
    }


def _print(outcome: Outcome, folder: str, notes: list[str]) -> None:
    from pipelines.evaluate.report.words import writer

    rows = [
        ["held out", f"{outcome.before.mean:.4f}", f"{outcome.after.mean:.4f}"],
        ["tuned on", f"{outcome.train_before:.4f}", f"{outcome.train_after:.4f}"],
        *(
            [f"held out, {name}", f"{old:.4f}", f"{new:.4f}"]
            for name, (old, new) in outcome.by_type.items()
        ),
        *(
            [name.replace("_", " "), writer(name)(old), writer(name)(new)]
            for name, (old, new) in outcome.costs.items()
        ),
    ]
    print_table(outcome.objective, ["", "before", "after"], rows)
    if outcome.folds:
        print_table(
            "held out in turn",
            ["documents", "questions", "before", "after"],
            [
                [len(f.split.held_out_documents), len(f.split.held_out), f"{f.before:.4f}",
                 f"{f.after:.4f}"]
                for f in outcome.folds
            ],
        )  # fmt: skip
    pairs = [("verdict", outcome.verdict)]
    if outcome.importances:
        shown = [f"{name} {value:.2f}" for name, value in list(outcome.importances.items())[:5]]
        pairs.append(("decided by", ", ".join(shown)))
    states = [trial.state for trial in outcome.trials]
    pairs += [
        ("trials", f"{len(states)}, {states.count('pruned')} pruned, ended by "
         f"{outcome.stopped_by}, {outcome.seconds:.0f} s"),
        ("report", folder),
    ]  # fmt: skip
    print_pairs("", pairs)
    for note in notes:
        print_note(note)
