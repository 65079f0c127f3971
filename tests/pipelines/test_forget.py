"""`gristmill forget`: nothing of the document is left on disk, and it does not come back."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from change_tools import everything
from click.testing import CliRunner

from lineage import CommitConflict, ConfigError
from lineage.records import embedded_text
from pipelines import steps
from pipelines.cli.main import cli
from pipelines.embedding.cache import VectorCache, text_key
from pipelines.tables import Table
from pipelines.upkeep import forget, forgotten
from pipelines.upkeep.compact import compact

SECRET = "Xanthippe-4711"
TEXT = f"# Leave\n\nThe employee {SECRET} was given thirty more days of leave last spring.\n"


def leaks(root: Path) -> list[str]:
    """Files below the project's state that hold the secret, compressed columns included."""
    found = []
    for path in (root / "state").rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.suffix == ".parquet" and data[:4] == b"PAR1":
            data += repr(pq.read_table(path).to_pydict()).encode()
        if SECRET.encode() in data:
            found.append(str(path.relative_to(root)))
    return found


def history(project: Any) -> None:
    for name in "abc":
        project.write(f"{name}.md", f"# {name}\n\nThe words of document {name}.")
    project.write("secret.md", TEXT)
    project.run()
    project.write("secret.md", TEXT + "\nMore about it.")
    project.write("a.md", "# a\n\nOther words of document a.")
    project.run()
    compact(project.config)
    project.write("secret.md", TEXT + "\nLast of all.")
    project.run()


def test_nothing_is_left_and_the_others_stay(project: Any) -> None:
    history(project)
    reports = project.root / "state/lake/_reports"
    reports.mkdir()
    (reports / "compare.html").write_text(f"<p>The employee {SECRET} was given thirty more days of")
    outside = project.root / "state/reports"
    outside.mkdir()
    (outside / "compare-1.html").write_text(
        f"<p>The employee {SECRET} was given thirty more days of"
    )
    (reports / "other.html").write_text("<p>Words of other documents</p>")
    chunk = next(c for c in project.chunks() if SECRET in c["text"])
    feedback(project, chunk)
    vectors = VectorCache.of(project.config.lake)
    texts = (embedded_text(chunk["context"] or "", chunk["text"]), "words of another document")
    vectors.put("model", [text_key(text) for text in texts], np.ones((2, 3), np.float32))
    before = everything(project)
    assert len(leaks(project.root)) > 3
    done = forget.forget(project.config, "secret.md", "run-1")
    assert done.complete, done.outcomes
    assert leaks(project.root) == []
    assert not (reports / "compare.html").exists()
    assert (reports / "other.html").exists()
    after = everything(project)
    for name, state in before.items():
        state.pop(done.document_id)
        assert after[name] == state
    record = json.dumps(forgotten.read(project.config.lake, done.document_id))
    assert "finished_at" in record
    assert "secret.md" not in record
    assert vectors.known("model", [text_key(text) for text in texts]) == {text_key(texts[1])}
    from deltalake import DeltaTable

    rows = DeltaTable(str(project.root / "state/lake/_feedback")).to_pyarrow_table()
    assert rows["query"].to_pylist() == ["other"]


def feedback(project: Any, chunk: dict[str, Any]) -> None:
    from deltalake import write_deltalake

    rows = pa.table(
        {
            "query": ["who", "other"],
            "chunk_id": [chunk["chunk_id"], "none"],
            "text": [chunk["text"], "words"],
        }
    )
    write_deltalake(str(project.root / "state/lake/_feedback"), rows)


def test_it_stays_away_until_it_is_restored(project: Any) -> None:
    history(project)
    state = everything(project)
    forget.forget(project.config, "secret.md", "run-1")
    summary = project.ingest()
    assert (summary.counts["listed"], summary.rows_written) == (3, 0)
    assert "forgotten" in summary.notes[0]
    project.write("secret.md", TEXT + "\nChanged since.")
    project.run()
    assert leaks(project.root) == []
    assert project.transform().as_dict()["rows_written"] == 0
    with pytest.raises(ConfigError, match="means no forgotten"):
        forget.restore(project.config, "a.md")
    forget.restore(project.config, "secret.md")
    project.write("secret.md", TEXT + "\nLast of all.")
    project.run()
    assert everything(project) == state


def test_a_document_that_was_deleted_before_is_forgotten_as_well(project: Any) -> None:
    history(project)
    (project.root / "docs/secret.md").unlink()
    project.run()
    assert leaks(project.root)
    assert forget.forget(project.config, "secret.md", "run-1").complete
    assert leaks(project.root) == []


def crash_after(count: int) -> Any:
    left = iter(range(count))

    def crash(*_: str) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return crash


def test_an_interrupted_erasure_is_finished_by_the_next(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(project)
    identifier, _ = forget.find(project.config, "secret.md")
    # A copy is not needed: what was done before the crash is never done again.
    finished = False
    for number in range(0, 60, 4):
        monkeypatch.setattr(steps, "hook", crash_after(number))
        with suppress(KeyboardInterrupt):
            forget.forget(project.config, identifier, f"run-{number}")
            finished = True
            break
    assert finished
    monkeypatch.setattr(steps, "hook", None)
    assert forget.forget(project.config, identifier, "run-last").complete
    assert leaks(project.root) == []
    assert project.ingest().rows_written == 0
    assert len(project.documents()) == 3


def test_a_run_that_is_under_way_cannot_bring_it_back(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(project)
    project.write("secret.md", TEXT + "\nAnd even more.")
    original = Table.commit

    def commit(self: Table, batch: Any) -> int:
        monkeypatch.setattr(Table, "commit", original)
        forget.forget(project.config, "secret.md", "run-1")
        return original(self, batch)

    monkeypatch.setattr(Table, "commit", commit)
    with pytest.raises(CommitConflict):
        project.ingest()
    project.run()
    assert leaks(project.root) == []
    assert len(project.documents()) == 3


def test_the_verb_says_what_is_left(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    history(project)
    path = str(project.config_path)
    wrong = CliRunner().invoke(cli, ["forget", path, "nothing-like-that.md", "--yes"])
    assert wrong.exit_code == 2
    asked = CliRunner().invoke(cli, ["forget", path, "secret.md"], input="n\n")
    assert asked.exit_code != 0
    assert leaks(project.root)
    from pipelines.load.lancedb import LanceSink

    def away(*_: Any) -> None:
        raise OSError("the disk of the index is away")

    with monkeypatch.context() as patch:
        patch.setattr(LanceSink, "erase", away)
        left = CliRunner().invoke(cli, ["forget", path, "secret.md", "--yes"])
    assert left.exit_code == 1
    assert "NOT erased" in left.output
    assert "the disk of the index is away" in " ".join(left.output.split())
    identifier = next(iter(forgotten.forgotten_ids(project.config.lake)))
    again = CliRunner().invoke(cli, ["forget", path, identifier, "--yes", "--json"])
    assert again.exit_code == 0
    assert json.loads(again.output.splitlines()[-1])["complete"] is True
    assert leaks(project.root) == []
    back = CliRunner().invoke(cli, ["forget", path, identifier[:12], "--restore"])
    assert back.exit_code == 0


def test_what_mlflow_keeps_of_it_goes_and_what_cannot_is_named(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    (project.root / "state").mkdir()
    uri = f"sqlite:///{project.root}/state/mlflow.db"
    project.settings["mlflow"] = {"tracking_uri": uri, "experiment": "test"}
    project.write("secret.md", TEXT)
    project.write("a.md", "# a\n\nWords of document a.")
    project.ingest()
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(
        "test", artifact_location=(project.root / "state/artifacts").as_uri()
    )
    run = client.create_run(experiment).info.run_id
    source = (project.root / "docs/secret.md").as_uri()
    client.log_text(run, f"<p>{source}</p>", "reports/quotes.html")
    client.log_text(run, "<p>Words of others</p>", "reports/other.html")
    client.set_tag(run, "error", f"the chunker lost a piece of {source}")
    client.set_tag(run, "other", "stays")
    (row,) = [r for name, r in project.documents().items() if name == "secret.md"]
    client.log_param(run, "held_out", row["document_id"])  # a hash, which says nothing by itself
    done = forget.forget(project.config, "secret.md", "run-1")
    assert done.complete, done.outcomes
    assert [each.path for each in client.list_artifacts(run, "reports")] == ["reports/other.html"]
    tags = client.get_run(run).data.tags
    assert ("error" in tags, tags["other"]) == (False, "stays")

    client.log_param(run, "documents", source)
    again = forget.forget(project.config, done.document_id, "run-2")
    assert again.complete  # nothing tells any more what it was called
    forget.restore(project.config, done.document_id)
    project.ingest()
    left = forget.forget(project.config, "secret.md", "run-3")
    assert not left.complete
    assert [outcome.place for outcome in left.outcomes if not outcome.erased] == [
        f"MLflow experiment 'test', parameter documents of run {run}"
    ]


def test_evidence_that_names_it_by_its_key_is_named(project: Any) -> None:
    line = {"question": "What?", "evidence": [{"document": "secret.md", "quote": "thirty more"}]}
    (project.root / "evidence.jsonl").write_text(json.dumps(line) + "\n")
    (project.root / "other.jsonl").write_text('{"question": "What of not-secret.md?"}\n')
    project.settings["evaluation"] = {"evidence": ["evidence.jsonl", "other.jsonl"]}
    project.write("secret.md", TEXT)
    project.ingest()
    left = forget.forget(project.config, "secret.md", "run-1")
    assert [outcome.place for outcome in left.outcomes if not outcome.erased] == [
        str(project.root / "evidence.jsonl")
    ]


def test_a_sink_with_vectors_that_left_the_configuration_is_found(project: Any) -> None:
    """Its model may be gone by then."""
    from pipelines.config import EmbedderConfig
    from pipelines.upkeep import sinks

    project.write("secret.md", TEXT)
    project.write("a.md", "# a\n\nWords of document a.")
    project.run()
    (sink,) = project.config.sinks
    sinks.remember(
        project.config.lake, replace(sink, embedder=EmbedderConfig("onnx", "/gone/model"))
    )
    project.settings["sinks"] = []
    assert forget.forget(project.config, "secret.md", "run-1").complete
    assert leaks(project.root) == []


def test_feedback_goes_on_after_it(project: Any) -> None:
    history(project)
    path = project.root / "feedback.jsonl"

    def give(name: str, quote: str) -> None:
        value = {
            "query": f"what of {name}?",
            "kind": "correction",
            "document": name,
            "quote": quote,
        }
        path.write_text(json.dumps(value) + "\n")
        done = CliRunner().invoke(cli, ["feedback", str(project.config_path), "add", str(path)])
        assert done.exit_code == 0, done.output

    give("secret.md", "was given thirty more days")
    give("b.md", "words of document b")
    assert forget.forget(project.config, "secret.md", "run-1").complete
    assert leaks(project.root) == []
    give("b.md", "words of document b")
    give("b.md", "The words of document b")
    give("c.md", "words of document c")
    listed = CliRunner().invoke(cli, ["feedback", str(project.config_path), "list", "--json"])
    assert listed.exit_code == 0, listed.output
    told = listed.output
    assert (told.count("what of b.md?"), told.count("what of c.md?")) == (2, 1)
    assert "secret.md" not in told
