"""What a tuning leaves behind: a folder with figures and plots, and runs in MLflow."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import yaml

from lineage import fingerprint
from pipelines.config import Config
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.report.words import writer
from pipelines.evaluate.tune_outcome import Outcome, facts_of
from pipelines.evaluate.tune_plots import history_figure, importance_figure, verdict_figure
from pipelines.storage import Storage
from pipelines.tracking import Published, Publisher, TrackingFailed, new_record, record_run

FOLDER = "_tune"


def write_report(config: Config, outcome: Outcome, run_id: str) -> Storage:
    """Before and after, as Markdown, JSON, policies in YAML, and plots; returns the folder."""
    folder = Storage.from_uri(config.lake) / FOLDER / outcome.strategy.name / run_id
    folder.make_folder()
    value = {**facts_of(outcome), "verdict": outcome.verdict, "run_id": run_id}
    folder.write_bytes("tuning.json", json.dumps(value, indent=1).encode())
    folder.write_bytes("tuning.md", markdown(outcome).encode())
    for name, strategy in (("before", outcome.strategy), ("after", outcome.best)):
        text = yaml.safe_dump(strategy.policy.as_value(), sort_keys=False, allow_unicode=True)
        folder.write_bytes(f"policy-{name}.yaml", text.encode())
    for name, data in plots(outcome).items():
        folder.write_bytes(name, data)
    return folder


def plots(outcome: Outcome) -> dict[str, bytes]:
    """The plots as PNG by file name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    result = {}
    for name, make in (
        ("importance", importance_figure), ("history", history_figure), ("verdict", verdict_figure),
    ):  # fmt: skip
        figure = make(outcome)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=144, facecolor="white")
        plt.close(figure)
        result[f"{name}.png"] = buffer.getvalue()
    return result


def markdown(outcome: Outcome) -> str:
    """The report for people."""
    d = outcome.difference
    lines = [
        f"# Tuning of strategy {outcome.strategy.name}",
        "",
        f"**{outcome.verdict}**",
        "",
        "| | before | after |",
        "|---|---|---|",
        f"| {outcome.objective}, held out | {outcome.before.mean:.4f} | {outcome.after.mean:.4f} |",
        f"| {outcome.objective}, tuned on | {outcome.train_before:.4f} "
        f"| {outcome.train_after:.4f} |",
        *(
            f"| {name}, held out | {old:.4f} | {new:.4f} |"
            for name, (old, new) in outcome.by_type.items()
        ),
        *(
            f"| {name.replace('_', ' ')} | {writer(name)(old)} | {writer(name)(new)} |"
            for name, (old, new) in outcome.costs.items()
        ),
        "",
        f"Paired difference {d.mean:+.4f}, 95 % bootstrap interval {d.low:+.4f} … {d.high:+.4f}, "
        f"p = {outcome.p_value:.3g}, {d.number} questions about "
        f"{len(outcome.split.held_out_documents)} documents held out"
        f"{' in turn' if outcome.folds else ''}; the best policy was tuned on "
        f"{len(outcome.split.train)} questions about {len(outcome.split.train_documents)} "
        f"{'documents' if outcome.folds else 'others'}. "
        f"{len(outcome.trials)} trials, ended by {outcome.stopped_by}.",
        "",
        *_folds(outcome),
        "![verdict](verdict.png)",
        "![history](history.png)",
        "![importance](importance.png)",
        "",
    ]
    return "\n".join(lines)


def _folds(outcome: Outcome) -> list[str]:
    if not outcome.folds:
        return []
    return [
        "Each part of the documents was held out once; a policy tuned without it was judged on it.",
        "",
        "| documents held out | questions | before | after |",
        "|---|---|---|---|",
        *(
            f"| {len(fold.split.held_out_documents)} | {len(fold.split.held_out)} "
            f"| {fold.before:.4f} | {fold.after:.4f} |"
            for fold in outcome.folds
        ),
        "",
    ]


def log_outcome(
    config: Config,
    corpus: Corpus,
    outcome: Outcome,
    run_id: str,
    started_at: float,
    folder: Storage,
) -> tuple[str | None, str | None]:
    """One run for the tuning and one nested in it for each trial.

    Returns:
        MLflow's id of the parent run, and a note when something could not be logged; what was
        kept in the lake can be published later.
    """
    if config.mlflow is None:
        return None, None
    publisher = Publisher(config)
    records = records_of(config, corpus, outcome, run_id, started_at, folder)
    try:
        for record in records:
            record_run(config.lake, record)
            publisher.send(record)
        results = publisher.results()
    finally:
        publisher.close()
    failed = next((each for each in results if isinstance(each, TrackingFailed)), None)
    parent = results[0]
    return (
        parent.mlflow_run_id if isinstance(parent, Published) else None,
        failed.message if failed else None,
    )


def records_of(
    config: Config,
    corpus: Corpus,
    outcome: Outcome,
    run_id: str,
    started_at: float,
    folder: Storage,
) -> list[dict[str, Any]]:
    """The parent's record, then the trials'."""
    common: Mapping[str, Any] = {
        "strategy": outcome.strategy.name,
        "encoding": outcome.strategy.encoding,
        "max_tokens": outcome.strategy.max_tokens,
        "corpus_fingerprint": corpus.fingerprint,
        "gristmill_version": version("gristmill"),
    }
    d = outcome.difference
    parent = new_record(
        pipeline=config.name,
        stage="tune",
        run_id=run_id,
        strategy=outcome.strategy.name,
        started_at=started_at,
        parameters={
            **common,
            "objective": outcome.objective,
            "policy": outcome.best.policy.as_value(),
            "policy_fingerprint": outcome.best.policy.fingerprint(),
            "policy_before": outcome.strategy.policy.fingerprint(),
            "held_out_documents": list(outcome.split.held_out_documents),
            "folds": len(outcome.folds),
        },
        metrics={
            "held_out_before": outcome.before.mean,
            "held_out_after": outcome.after.mean,
            "held_out_difference": d.mean,
            "held_out_difference_low": d.low,
            "held_out_difference_high": d.high,
            "p_value": outcome.p_value,
            "train_before": outcome.train_before,
            "train_after": outcome.train_after,
            "trials": len(outcome.trials),
            "seconds": outcome.seconds,
            **{f"importance/{name}": value for name, value in outcome.importances.items()},
            **{f"{name}_before": pair[0] for name, pair in outcome.costs.items()},
            **{f"{name}_after": pair[1] for name, pair in outcome.costs.items()},
        },
        metrics_by_type={
            name: {"held_out_before": old, "held_out_after": new}
            for name, (old, new) in outcome.by_type.items()
        },
        tags={
            "verdict": outcome.verdict,
            "promoted_version": str(outcome.promoted.number if outcome.promoted else 0),
        },
        inputs=[{"name": "documents", "uri": corpus.uri, "version": corpus.version}],
        policy=outcome.best.policy.as_value(),
        artifacts=[
            {"path": name, "uri": f"{folder.uri}/{name}"}
            for name in folder.list()
            if name[0] != "."
        ],
    )
    trials = [
        new_record(
            pipeline=config.name,
            stage="trial",
            run_id=f"{run_id}-{trial.fold}-{trial.number:04d}",
            strategy=outcome.strategy.name,
            started_at=started_at,
            ended_at=time.time(),
            parameters={**common, "fold": trial.fold, "trial": trial.number, **trial.parameters},
            metrics={
                outcome.objective: trial.value,
                "tokens": trial.tokens,
                "seconds": trial.seconds,
            },
            tags={"state": trial.state, "trial": fingerprint(dict(trial.parameters))[:12]},
            failed=trial.state == "failed",
            parent=parent["run_key"],
        )
        for trial in outcome.trials
    ]
    return [parent, *trials]
