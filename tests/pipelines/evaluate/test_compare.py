"""Strategies compared: ranked, kept, reused; some fail, some are not reached."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compare_tools import set_up

from lineage.errors import ConfigError
from pipelines.config import load_config
from pipelines.evaluate.compare import choose, compare
from pipelines.evaluate.publish import publish, report_folder
from pipelines.evaluate.records import strategy_from_parameters
from pipelines.evaluate.work import evaluate_unit

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("tracking")]


def test_a_strategy_that_fails_does_not_stop_the_others(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(unit: Any) -> str:
        if unit.strategy.name == "base":
            raise RuntimeError("no memory left")
        return evaluate_unit(unit)

    monkeypatch.setattr("pipelines.evaluate.work.evaluate_unit", failing)
    made = compare(config, choose(config))
    assert "no memory left" in made.failed["base"]
    assert [r.name for r in made.ranking] == ["fixed-24"]
    outcome = publish(made, report_folder(config))
    assert "no memory left" in outcome.report.read_text()

    from mlflow import MlflowClient

    client = MlflowClient(config.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name("chunking")
    (failed,) = client.search_runs(
        [experiment.experiment_id], "attributes.status = 'FAILED' and params.strategy = 'base'"
    )
    assert strategy_from_parameters(failed.data.params) == config.strategies[0]
    assert failed.data.params["corpus_fingerprint"] == made.corpus.fingerprint


def test_an_interruption_keeps_what_is_done(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(unit: Any) -> str:
        if unit.strategy.name != "base":
            raise KeyboardInterrupt
        return evaluate_unit(unit)

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.evaluate.work.evaluate_unit", interrupted)
        made = compare(config, choose(config))
    assert (made.interrupted, made.unfinished) == (True, ["fixed-24"])
    outcome = publish(made, report_folder(config))
    assert "was not reached" in outcome.report.read_text()

    from mlflow import MlflowClient

    client = MlflowClient(config.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name("chunking")
    killed = client.search_runs([experiment.experiment_id], "attributes.status = 'KILLED'")
    assert {run.data.params.get("strategy") for run in killed} == {None, "fixed-24"}
    resumed = compare(config, choose(config))
    assert resumed.reused == {"base"}
    assert resumed.results.keys() == {"base", "fixed-24"}


def test_changed_documents_and_questions_are_evaluated_anew(project: Any) -> None:
    path = set_up(project)
    config = load_config(path)
    compare(config, choose(config))
    project.write("harbour.md", "# The harbour\n\nIt is kept by keeper harbour0.\n")
    project.ingest()
    made = compare(config, choose(config))
    assert made.reused == set()
    assert made.resolution.counts == {"quote_not_found": 7}
    evidence = project.root / "evidence.jsonl"
    evidence.write_text("\n".join(evidence.read_text().splitlines()[8:]))
    assert compare(config, choose(config)).reused == set()
    assert compare(config, choose(config)).reused == {"base", "fixed-24"}
    assert compare(config, choose(config), again=True).reused == set()


def test_documents_that_change_meanwhile_fail_the_strategy(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(unit: Any) -> str:
        return evaluate_unit(replace(unit, corpus_fingerprint="another"))

    monkeypatch.setattr("pipelines.evaluate.work.evaluate_unit", late)
    made = compare(config, choose(config, ["base"]))
    assert "documents have changed" in made.failed["base"]


def test_without_evidence_there_are_figures_of_the_cuts_alone(project: Any) -> None:
    path = set_up(project)
    del project.settings["evaluation"]["evidence"]
    config = load_config(project.config_path)
    made = compare(config, choose(config))
    assert made.ranking == []
    assert made.results["base"].metrics["coverage"] == 1
    assert "label-free figures alone" in publish(made, report_folder(config)).report.read_text()
    assert path.exists()


def test_a_metric_that_no_question_has_gives_no_ranking(project: Any) -> None:
    config = load_config(set_up(project))
    (project.root / "evidence.jsonl").write_text('{"question": "?", "unanswerable": true}')
    made = compare(config, choose(config))
    assert (made.ranking, made.failed) == ([], {})
    page = publish(made, report_folder(config)).report.read_text()
    assert "The only question has no" in page


@pytest.mark.slow
def test_vectors_are_made_once_for_all_strategies(project: Any) -> None:
    root = os.environ.get("GRISTMILL_TEST_DATA")
    if not root:
        pytest.skip("GRISTMILL_TEST_DATA is not set: it names the folder of a model")
    pytest.importorskip("onnxruntime")
    model = str(Path(root, "models", "all-MiniLM-L6-v2"))
    project.settings["embedder"] = {"kind": "onnx", "model": model, "threads": 2}
    config = load_config(set_up(project, retrievers=["hybrid", "dense", "bm25"]))
    made = compare(config, choose(config), workers=2)
    assert made.failed == {}
    assert list(made.results["base"].variants) == ["hybrid", "dense", "bm25"]
    for variant in made.results["base"].variants.values():
        assert variant["metrics"]["recall_at_200_tokens"] > 0.5
    for result in made.results.values():
        for metric in ("embedding_cohesion", "embedding_separation"):
            assert 0 < result.metrics[metric] < 1
            assert result.metrics[metric] != result.metrics[metric.removeprefix("embedding_")]
            assert 0 < result.by_type["markdown"][metric] < 1

    from deltalake import DeltaTable

    keys = DeltaTable(f"{config.lake}/vectors").to_pyarrow_table()["text_sha256"].to_pylist()
    assert len(keys) == len(set(keys))
    assert compare(config, choose(config)).reused == {"base", "fixed-24"}


@pytest.mark.parametrize("name", ["summary.json", "questions.parquet"])
def test_a_damaged_result_is_evaluated_anew(config: Any, name: str) -> None:
    made = compare(config, choose(config, ["base"]))
    Path(config.lake, "_evaluations", made.results["base"].key, name).write_bytes(b"{")
    again = compare(config, choose(config, ["base"]))
    assert (again.reused, again.failed) == (set(), {})
    assert compare(config, choose(config, ["base"])).reused == {"base"}


def test_an_embedder_that_no_retriever_needs_may_be_away(project: Any) -> None:
    set_up(project)
    project.settings["embedder"] = {"kind": "onnx", "model": str(project.root / "nowhere")}
    config = load_config(project.config_path)
    made = compare(config, choose(config, ["base"]))
    assert made.failed == {}
    assert "by words alone" in made.notes[0]
    assert "nowhere" in made.notes[0]
    assert "cohesion" in made.results["base"].metrics
    assert "embedding_cohesion" not in made.results["base"].metrics


def test_names_that_are_not_strategies_are_refused(config: Any) -> None:
    with pytest.raises(ConfigError, match="fixed-24"):
        choose(config, ["fixed-42"])
    assert [s.name for s in choose(config, ["fixed-24"])] == ["fixed-24"]
