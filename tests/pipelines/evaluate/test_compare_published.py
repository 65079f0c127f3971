"""What comes of a comparison: its report, its runs in MLflow, and what the command says."""

from __future__ import annotations

import json
import socket
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from compare_tools import HOSTILE, set_up

from lineage.errors import ConfigError
from pipelines.cli.main import cli
from pipelines.config import load_config
from pipelines.evaluate import compare as comparing
from pipelines.evaluate.compare import choose, compare
from pipelines.evaluate.publish import publish, report_folder
from pipelines.evaluate.records import strategy_from_parameters
from pipelines.tracking import pending

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.usefixtures("tracking")]


class Links(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[tuple[str, str]] = []
        self.scripts = 0
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action", "poster"):
                self.loads.append((tag, value or ""))
            if name.startswith("on"):
                self.handlers.append(name)


@pytest.mark.slow
def test_a_comparison_from_the_command_line(project: Any) -> None:
    path = set_up(project)
    code, value, error = project.command("compare", str(path), "--workers", "2", "--json")
    assert code == 0, error
    assert value["best"] == "base"
    by_name = {each["name"]: each for each in value["strategies"]}
    assert by_name.keys() == {"base", "fixed-24"}
    assert by_name["base"]["objective"]["mean"] > by_name["fixed-24"]["objective"]["mean"]
    assert not by_name["fixed-24"]["level_with_best"]
    assert by_name["base"]["metrics"]["negative_query_rate"] == 1
    assert not any(each["reused"] for each in value["strategies"])
    assert value["problems_by_kind"] == {}

    page = Path(value["report"]).read_text("utf-8")
    assert len(page.encode()) < 5_000_000
    assert HOSTILE not in page
    links = Links()
    links.feed(page)
    assert [load for load in links.loads if not load[1].startswith("#")] == []
    assert (links.scripts, links.handlers) == (1, [])
    assert "default-src 'none'" in page

    code, again, error = project.call("compare", str(path), "--json")
    assert code == 0, error
    assert all(each["reused"] for each in again["strategies"])
    assert [each["objective"] for each in again["strategies"]] == [
        each["objective"] for each in value["strategies"]
    ]

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project.root}/state/mlflow.db")
    experiment = client.get_experiment_by_name("chunking")
    runs = client.search_runs([experiment.experiment_id])
    whole = client.get_run(value["mlflow_run_id"])
    assert whole.data.tags["best_strategy"] == "base"
    assert whole.data.metrics["strategies_done"] == 2
    assert "report.html" in {a.path for a in client.list_artifacts(whole.info.run_id)}
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == whole.info.run_id]
    assert {run.data.params["strategy"] for run in children} == {"base", "fixed-24"}
    base = next(run for run in children if run.data.params["strategy"] == "base")
    assert base.data.metrics["objective"] == pytest.approx(by_name["base"]["objective"]["mean"])
    assert base.data.metrics["recall_at_60_tokens/markdown"] > 0
    assert base.data.params["corpus_fingerprint"] == value["corpus_fingerprint"]
    steps = client.get_metric_history(base.info.run_id, "recall_by_k")
    assert sorted(point.step for point in steps) == [1, 3, 5, 10, 20]
    (dataset,) = base.inputs.dataset_inputs
    assert json.loads(dataset.dataset.source)["delta_version"] == 1
    names = {a.path for a in client.list_artifacts(base.info.run_id)}
    assert {"questions.json", "questions.parquet", "chunks.parquet", "plots"} <= names


@pytest.mark.slow
def test_a_script_rebuilds_the_best_strategy_from_mlflow_alone(project: Any) -> None:
    config = load_config(set_up(project))
    made = compare(config, choose(config))
    publish(made, report_folder(config))

    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{project.root}/state/mlflow.db")
    (best,) = mlflow.search_runs(
        experiment_names=["chunking"],
        filter_string="tags.`gristmill.stage` = 'compare' and params.strategy != ''",
        order_by=["metrics.objective DESC"],
        max_results=1,
        output_format="list",
    )
    rebuilt = strategy_from_parameters(best.data.params)
    assert rebuilt == next(s for s in choose(config) if s.name == made.ranking[0].name)

    from pipelines.evaluate.chunked import chunk_corpus
    from pipelines.evaluate.corpus import read_corpus

    corpus = read_corpus(config)
    assert corpus.fingerprint == best.data.params["corpus_fingerprint"]
    ids = chunk_corpus(corpus, rebuilt).ids
    assert ids == made.chunks(rebuilt.name)["chunk_id"].to_pylist()
    project.settings["strategies"] = [
        {
            "name": rebuilt.name,
            "encoding": rebuilt.encoding,
            "max_tokens": rebuilt.max_tokens,
            "policy": rebuilt.policy.as_value(),
        }
    ]
    project.transform()
    assert sorted(ids) == sorted(row["chunk_id"] for row in project.chunks(rebuilt.name))


@pytest.mark.slow
@pytest.mark.runner
def test_a_server_that_is_away_costs_a_bounded_time_and_nothing_is_lost(project: Any) -> None:
    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen(16)
        path = set_up(project)
        project.settings["mlflow"]["tracking_uri"] = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        config = load_config(project.config_path)
        made = compare(config, choose(config))
        outcome = publish(made, report_folder(config))
    assert outcome.mlflow_run_id is None
    assert "gristmill publish" in outcome.notes[0]
    assert outcome.report.exists()
    assert len(pending(config.lake)) == 3
    project.settings["mlflow"]["tracking_uri"] = "sqlite:///state/later.db"
    code, value, error = project.call("publish", str(project.config_path), "--json")
    assert (code, len(value["published"])) == (0, 3), error
    assert path.exists()


def test_a_deleted_experiment_is_said_and_the_runs_are_kept(project: Any) -> None:
    from mlflow import MlflowClient

    config = load_config(set_up(project))
    client = MlflowClient(config.mlflow.tracking_uri)
    client.delete_experiment(client.create_experiment("chunking"))
    made = compare(config, choose(config, ["base"]))
    outcome = publish(made, report_folder(config))
    assert "deleted" in outcome.notes[0]
    assert len(pending(config.lake)) == 2


def test_a_report_folder_that_is_not_writable_is_said_before_the_work(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = set_up(project)
    (project.root / "taken").write_text("a file")
    config = load_config(path)
    with pytest.raises(ConfigError, match="reports cannot be written"):
        report_folder(config, project.root / "taken" / "reports")
    monkeypatch.setattr(comparing, "read_snapshot", None)
    code, value, _ = project.call(
        "compare", str(path), "--report", str(project.root / "taken"), "--json"
    )
    assert code == 2
    assert "--report" in value["error"]["message"]


def test_a_forgotten_document_leaves_no_trace_in_reports_and_results(config: Any) -> None:
    from pipelines.evaluate.results import Results
    from pipelines.upkeep.erasers import Trace, erase_files, erase_reports

    made = compare(config, choose(config, ["base"]))
    outcome = publish(made, report_folder(config))
    document = made.corpus.documents[0].document
    trace = Trace(document.document_id, (document.source_uri,), (), (document.text,))
    assert [o.erased for o in (*erase_files(config, trace), *erase_reports(config, trace))] == [
        True,
        True,
    ]
    assert not outcome.report.exists()
    assert Results(config.lake).read(made.results["base"].key) is None
    lake = Path(config.lake)
    left = [
        path
        for top in ("_evaluations", "_runs")
        for path in (lake / top).rglob("*")
        if path.is_file() and document.document_id.encode() in path.read_bytes()
    ]
    assert left == []
    assert compare(config, choose(config, ["base"])).reused == set()


def test_a_report_keeps_within_its_size_whatever_the_text(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every character escaped, a chunk every few words: more bytes than any text should take."""
    from pipelines.evaluate.report import page

    set_up(project)
    for number in range(8):
        project.write(f"markup-{number}.md", f"Number {number}.\n\n" + "<&> <&> <&>\n" * 600)
    project.ingest()
    project.settings["evaluation"]["grid"] = {"chunker": ["fixed"], "max_tokens": [12, 16, 20]}
    config = load_config(project.config_path)
    made = compare(config, choose(config))
    excerpts = []
    for room in (2_000_000, 300_000, 100_000):
        monkeypatch.setattr(page, "LARGEST", room)
        shown = page.report(made)
        assert len(shown.encode()) <= room
        assert "Quality of the cuts" in shown
        excerpts.append(shown.count('data-view="d'))
    assert excerpts == sorted(excerpts, reverse=True)
    assert (excerpts[0], excerpts[-1]) == (8, 0)


def test_an_interruption_before_anything_was_done_reports_nothing(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = set_up(project)

    def interrupted(_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.evaluate.work.evaluate_unit", interrupted)
    reports = project.root / "reports-of-nothing"
    told = CliRunner().invoke(cli, ["compare", str(path), "-w", "1", "--report", str(reports)])
    assert told.exit_code == 130, told.output
    assert list(reports.iterdir()) == []
    assert pending(load_config(path).lake) == []
    assert told.output.splitlines()[-1].startswith("Interrupted.")


def test_questions_that_cannot_be_used_rank_nothing(project: Any) -> None:
    path = set_up(project)
    evidence = project.root / "evidence.jsonl"
    evidence.write_text(
        '{"question": "a", "evidence": [{"document": "nowhere.md", "quote": "x"}]}\n'
        '{"question": "b", "evidence": [{"document": "nowhere.md", "quote": "y"}]}\n'
    )
    first, again = (
        json.loads(CliRunner().invoke(cli, ["compare", str(path), "-w", "1", "--json"]).stdout)
        for _ in range(2)
    )
    assert first["notes"] == again["notes"]
    assert any("none of the 2 questions can be used" in note for note in again["notes"])
    page = Path(again["report"]).read_text()
    assert "None of the 2 questions can be used" in page
    assert 'class="rank ' not in page
    for absent in ("No question has evidence", "level with the best", "By kind of question"):
        assert absent not in page
