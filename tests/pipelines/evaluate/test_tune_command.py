"""`gristmill tune` as it is used: killed and taken up again, recorded, promoted, and undone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gauges
import pytest

pytest.importorskip("optuna")
pytestmark = [pytest.mark.xdist_group("tune"), pytest.mark.slow]

TRIALS = 5


def set_up(project: Any) -> str:
    """A corpus in which small chunks are better, and evidence of it as feedback."""
    project.settings = {
        "strategies": [gauges.STRATEGY],
        "evaluation": gauges.EVALUATION,
        "mlflow": {"tracking_uri": "sqlite:///state/mlflow.db", "experiment": "tuning"},
    }
    lines = []
    for n in range(4):
        project.write(f"d{n}.txt", gauges.readings(f"{n}"))
        lines.append(gauges.corrections(f"{n}", f"d{n}.txt"))
    project.ingest()
    (project.root / "feedback.jsonl").write_text("".join(lines))
    config = str(project.config_path)
    assert project.command("feedback", config, "add", "feedback.jsonl")[0] == 0
    return config


def test_it_is_killed_goes_on_promotes_and_is_undone(project: Any) -> None:
    config = set_up(project)
    words = ["tune", config, "--trials", str(TRIALS)]
    running = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli.main", *words],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=project.root,
    )  # fmt: skip
    assert running.stderr is not None
    done = []
    for line in running.stderr:
        done.append(line.strip())
        if line.startswith("part 1 held out, trial 2"):
            running.kill()
            break
    running.wait()
    assert running.returncode < 0
    running.stderr.close()
    code, value, errors = project.command(*words, "--json")
    assert code == 0, errors
    assert (value["promoted"], value["low"] > 0) == (1, True)
    assert len(value["folds"]) == 3
    # What was tried before the kill was not tried again.
    assert value["trials"] == 4 * TRIALS
    assert value["verdict"].startswith("promoted as version 1")

    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{project.root}/state/mlflow.db")
    experiment = client.get_experiment_by_name("tuning")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    (parent,) = [run for run in runs if run.info.run_id == value["mlflow_run_id"]]
    nested = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(nested) == 4 * TRIALS
    assert {run.data.params["fold"] for run in nested} == {"0", "1", "2", "3"}
    assert parent.data.metrics["held_out_difference_low"] == pytest.approx(value["low"])
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert {"importance.png", "history.png", "verdict.png", "policy-after.yaml"} <= names
    # The trials of the killed run are among them, with the figures that they had.
    told = [line.rpartition(": ")[2] for line in done if line.startswith("part 1")]
    first = {int(r.data.params["trial"]): r for r in nested if r.data.params["fold"] == "1"}
    for number, shown in enumerate(told):
        figure = first[number].data.metrics.get("recall_at_60_tokens")
        assert shown == ("pruned" if figure is None else f"{figure:.4f}")

    assert project.transform().as_dict()["documents"] == 4
    assert {chunk["lineage"]["rule"] for chunk in project.chunks()} == {"tuned-prose"}
    code, value, _ = project.command("policy", config, "diff", "--json")
    assert (code, value["from"], value["to"]) == (0, 0, 1)
    assert any("tuned-prose" in line for line in value["diff"])
    assert project.command("policy", config, "rollback", "--json")[1]["to"] == 0
    assert project.transform().as_dict()["documents"] == 4
    assert {chunk["lineage"]["rule"] for chunk in project.chunks()} == {"default"}


def test_a_broken_file_of_trials_is_set_aside(project: Any) -> None:
    config = set_up(project)
    folder = project.root / "state" / "lake" / "_tune" / "default"
    folder.mkdir(parents=True)
    (folder / "trials.db").write_bytes(b"no database")
    words = ["tune", config, "--trials", "1", "--folds", "0", "--no-promote", "--json"]
    code, value, errors = project.command(*words)
    assert code == 0, errors
    assert any("trials begin anew, and the file is kept as" in note for note in value["notes"])
    (kept,) = folder.glob("trials.db.broken-*")
    assert kept.read_bytes() == b"no database"
    code, _, errors = project.command(*words, "--storage", str(kept))
    assert (code, f"{kept.name}: no trials can be kept there" in errors) == (2, True)


def test_too_little_evidence_is_an_error_or_is_said(project: Any) -> None:
    project.write("a.txt", "Gauge 1 was read at noon.")
    project.ingest()
    config = str(project.config_path)
    code, _, errors = project.command("tune", config)
    assert (code, "names no evidence" in errors) == (2, True)
    code, value, _ = project.command("tune", config, "--if-evidence", "--json")
    assert (code, value["promoted"]) == (0, None)
    assert "evidence in 0" in value["verdict"]
