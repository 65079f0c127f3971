"""The verbs that ask questions of a lake, over one that the stages have really made."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from cli_tools import CONFIG, LEAVE, answer, chunks_of, run

from chunkers.sentence import SentenceChunker
from lineage.schemas import CHUNKS
from pipelines.cli import stages
from pipelines.ingest.summary import IngestSummary
from pipelines.pool import ProcessPool
from pipelines.tables import read_chunks
from pipelines.transform import work


def test_status_counts_everything(config: Path) -> None:
    value = answer("status", config)
    documents = value["documents"]
    assert (documents["current"], documents["rejected"]) == (4, 1)
    assert documents["by_data_type"] == {"prose": 1, "markdown": 1, "table": 1}
    assert documents["by_acl"] == {"unknown": 2, "explicit": 1, "public": 1}
    assert documents["by_op"] == {"upsert": 3, "reject": 1}
    strategy = value["strategies"]["default"]
    assert (strategy["documents"], strategy["behind"]) == (3, 0)
    assert strategy["by_rule"] == {"default": 1, "hr": 1, "tables": 1}
    assert strategy["chunks"] == sum(strategy["by_data_type"].values()) > 3
    assert (value["sinks"]["index"]["position"], value["sinks"]["index"]["behind"]) == (1, 0)
    assert any("nobody can find 2 of the documents" in warning for warning in value["warnings"])
    text = run("status", config).stdout
    assert "prose 1" in text
    assert "! nobody can find 2 of" in text


def test_status_warns_of_what_is_behind_or_not_configured(copy: Path, made: Path) -> None:
    text = copy.read_text().replace("name: docs", "name: renamed")
    copy.write_text(text.replace("- name: default", "- name: other"))
    warnings = " ".join(answer("status", copy)["warnings"])
    assert "source 'docs' is not in the config" in warnings
    assert "strategy 'default' is not in the config" in warnings
    assert "commits that strategy 'other' is behind: 1" in warnings
    assert "sink 'index' is empty or was lost" in warnings


def test_verbs_before_the_first_run_say_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "gristmill.yaml"
    path.write_text(CONFIG)
    assert "nothing was ingested yet" in answer("status", path)["warnings"][0]
    for args in (["trace", path, "abcd"], ["verify", path], ["rejects", path],
                 ["export", path, tmp_path / "x.csv"]):  # fmt: skip
        result = run(*args)
        assert result.exit_code == 2
        assert "gristmill ingest" in result.stderr
    assert not (tmp_path / "lake").exists()


def test_trace_tells_the_whole_lineage(config: Path, made: Path) -> None:
    chunk = chunks_of(made, "leave.md")[1]
    value = answer("trace", config, chunk["chunk_id"][:12])
    assert value["chunk_id"] == chunk["chunk_id"]
    assert value["source"]["key"] == "hr/leave.md"
    assert value["source"]["span_of_source"]
    start, end = value["position"]["start"], value["position"]["end"]
    assert LEAVE[start:end] == value["text"]
    assert (value["chunker"]["name"], value["chunker"]["rule"]) == ("sentence", "hr")
    assert value["chunker"]["rule_now"] == "hr"
    assert value["acl"]["allow_groups"] == ["hr"]
    assert value["labels"] == {"owner": "hr"}
    assert all(value["checks"].values())
    text = run("trace", config, chunk["chunk_id"]).stdout
    assert "group hr, but not user eve (sidecar:hr/_acl.yaml)" in text


def test_trace_refuses_what_it_cannot_find(config: Path) -> None:
    assert run("trace", config, "ab").exit_code == 2
    unknown = run("trace", config, "zzzz")
    assert unknown.exit_code == 1
    assert "no current chunk of default" in unknown.stderr
    assert run("trace", config, "zzzz", "--strategy", "nope").exit_code == 2


@pytest.mark.parametrize("form", ["key", "path", "uri", "id"])
def test_explain_finds_a_document_by_any_name(config: Path, made: Path, form: str) -> None:
    chunk = chunks_of(made, "leave.md")[0]
    path = made / "docs/hr/leave.md"
    target = {
        "key": "hr/leave.md",
        "path": str(path),
        "uri": path.as_uri(),
        "id": chunk["document_id"][:10],
    }[form]
    value = answer("explain", config, target)
    assert value["ingested"]
    assert value["facts"]["path"] == "hr/leave.md"
    rules = {rule["rule"]: rule for rule in value["strategies"]["default"]["rules"]}
    assert rules["tables"]["reason"] == 'data_type is "markdown", not "table"'
    assert rules["hr"]["fired"]
    assert rules["default"]["reason"] == "'hr' matches"
    assert value["strategies"]["default"]["chunker"] == "sentence"


def test_explain_previews_the_chunks_that_transform_made(config: Path, made: Path) -> None:
    for name in ("hr/leave.md", "people.csv"):
        value = answer("explain", config, name, "--chunks")
        previewed = value["strategies"]["default"]["chunks"]
        stored = chunks_of(made, name)
        assert [(c["start"], c["end"], c["context"], c["tokens"]) for c in previewed] == [
            (c["start"], c["end"], c["context"], c["token_count"]) for c in stored
        ]


def test_explain_takes_a_file_that_was_not_ingested(config: Path, made: Path) -> None:
    new = made / "docs" / "hr" / "new.md"
    new.write_text("# New\n\nNot ingested.\n")
    try:
        value = answer("explain", config, new, "--chunks")
    finally:
        new.unlink()
    assert not value["ingested"]
    assert value["facts"]["path"] == "hr/new.md"
    assert value["facts"]["labels"] == {"owner": "hr"}
    assert value["strategies"]["default"]["rule"] == "hr"
    assert value["strategies"]["default"]["chunks"]
    assert "not ingested yet" in value["note"]
    missing = run("explain", config, "no-such")
    assert missing.exit_code == 2
    assert "neither a document of the lake" in missing.stderr
    assert "would be rejected" in run(
        "explain", config.parent / "gristmill.yaml", _binary(made), "--chunks"
    ).stderr  # fmt: skip


def _binary(made: Path) -> Path:
    path = made / "other.bin"
    path.write_bytes(b"\x00\x01\x02\x03" * 50)
    return path


def test_rejects_are_listed_by_class_and_source(config: Path) -> None:
    value = answer("rejects", config)
    (entry,) = value["rejects"]
    assert entry["source_uri"].endswith("/broken.bin")
    assert (entry["stage"], entry["error_class"]) == ("ingest", "unsupported")
    assert not entry["serves_old_content"]
    assert value["by_class"] == {"unsupported": 1}
    assert answer("rejects", config, "--class", "timeout")["rejects"] == []
    wrong = run("rejects", config, "--class", "unsuported")
    assert wrong.exit_code == 2
    assert "did you mean 'unsupported'?" in wrong.stderr
    assert "broken.bin" in run("rejects", config, "--source", "docs").stdout
    assert run("rejects", config, "--source", "nope").exit_code == 2


def test_replay_runs_the_stages_that_rejected_and_nothing_else(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retried: list[tuple[str, bool]] = []

    def run_stage(stage: str, _config: Any, options: Any) -> Any:
        retried.append((stage, options.retry_rejects))
        return IngestSummary({}, {}, 0, 1)

    monkeypatch.setattr(stages, "run_stage", run_stage)
    assert run("rejects", copy, "--replay").exit_code == 0
    assert retried == [("ingest", True)]
    assert run("rejects", copy, "--replay", "--source", "docs").exit_code == 2
    assert len(retried) == 1


def test_a_document_that_a_chunker_failed_on_is_withdrawn_until_a_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text("# Page\n\nOne sentence.\n")
    config = tmp_path / "gristmill.yaml"
    config.write_text(
        "name: x\nlake: lake\nsources: [{uri: docs, acl: {default: public}}]\n"
        "strategies: [{name: default, policy: {default: {chunker: sentence}}}]\n"
    )
    # Chunk in this process, where a chunker can be made to fail.
    inline = ProcessPool(0, function="pipelines.transform.work:chunk_unit")
    monkeypatch.setattr(work, "chunk_pool", lambda *_, **__: inline)
    with monkeypatch.context() as broken:

        def fail(*_: Any) -> Any:
            raise ZeroDivisionError("a bug")

        broken.setattr(SentenceChunker, "spans", fail)
        assert run("run", config, "--workers", "1").exit_code == 3
    (entry,) = answer("rejects", config)["rejects"]
    assert (entry["stage"], entry["error_class"]) == ("transform", "chunker_error")
    assert "ZeroDivisionError: a bug" in entry["message"]
    assert not entry["serves_old_content"]
    assert answer("transform", config, "--workers", "1")["stages"]["transform"]["rows_written"] == 0

    stages_run = answer("rejects", config, "--replay")["stages"]
    assert list(stages_run) == ["transform"]
    assert stages_run["transform"]["documents"] == 1
    assert answer("rejects", config)["rejects"] == []
    assert [row["text"] for row in chunks_of(tmp_path, "page.md")] == ["# Page\n\nOne sentence."]
    assert "No document is rejected" in run("rejects", config, "--replay").stdout


def test_search_shows_only_what_the_caller_may_read(config: Path) -> None:
    assert answer("search", config, "leave days")["hits"] == []
    hits = answer("search", config, "leave days", "--group", "hr", "--limit", "2")["hits"]
    assert len(hits) == 2
    assert {"chunk_id", "document_id", "source_uri", "text", "start", "end", "score"} <= set(
        hits[0]
    )
    assert answer("search", config, "leave", "--group", "hr", "--user", "eve")["hits"] == []
    assert answer("search", config, "Ostwick")["hits"][0]["source_uri"].endswith("people.csv")
    assert answer("search", config, "notes", "--group", "hr")["hits"] == []
    assert "--group NAME" in run("search", config, "leave").stdout


def test_export_writes_the_current_chunks_with_their_rights(config: Path, tmp_path: Path) -> None:
    expected = read_chunks(str(config.parent / "lake"), "default")
    value = answer("export", config, tmp_path / "c.parquet")
    assert value["rows"] == expected.num_rows
    written = pq.read_table(tmp_path / "c.parquet")
    assert sorted(written["chunk_id"].to_pylist()) == sorted(expected["chunk_id"].to_pylist())
    assert written.schema.field("acl").type == CHUNKS.field("acl").type
    answer("export", config, tmp_path / "c.jsonl", "--columns", "chunk_id,labels")
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert len(lines) == expected.num_rows
    assert set(lines[0]) == {"chunk_id", "labels", "acl"}
    assert lines[0]["labels"] == {"owner": "hr"}
    answer("export", config, tmp_path / "c.csv", "--columns", "chunk_id,text")
    with open(tmp_path / "c.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["text"] for row in rows} == set(expected["text"].to_pylist())
    assert {row["acl_state"] for row in rows} == {"explicit", "public", "unknown"}
    assert '["hr"]' in {row["acl_allow_groups"] for row in rows}


def test_export_of_documents_and_what_it_refuses(config: Path, tmp_path: Path) -> None:
    answer("export", config, tmp_path / "d.jsonl", "--what", "documents")
    rows = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    texts = {row["source_uri"].rpartition("/")[2]: row["text"] for row in rows}
    assert texts["leave.md"] == LEAVE
    assert texts["broken.bin"] is None
    for args, words in [
        (["x"], "cannot tell the format"),
        (["x.csv", "--columns", "chunk"], "did you mean 'chunk_id'?"),
        (["x.csv", "--strategy", "nope"], "unknown strategy 'nope'"),
        (["no/x.csv"], "there is no folder"),
    ]:
        result = run("export", config, tmp_path / args[0], *args[1:])
        assert result.exit_code == 2
        assert words in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.jsonl"]


def test_doctor_tells_what_answers(config: Path, copy: Path) -> None:
    value = answer("doctor", config)
    checks = {check["name"]: check for check in value["checks"]}
    for name in ("python", "base", "config", "lake", "source docs", "sink index"):
        assert checks[name]["state"] == "ok", checks[name]
    copy.write_text(copy.read_text().replace("uri: /", "uri: /no/such/place/"))
    value = answer("doctor", copy, code=1)
    checks = {check["name"]: check for check in value["checks"]}
    assert checks["source docs"]["state"] == "failed"
    assert "does not exist" in checks["source docs"]["detail"]
    assert "python" in run("doctor").stdout


def test_doctor_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from pipelines.queries import doctor

    monkeypatch.setattr(doctor, "PATIENCE_SECONDS", 0.05)
    gate = threading.Event()

    def hang() -> doctor.Check:
        gate.wait(30)
        return doctor.Check("x", "ok", "")

    check = doctor._answer("x", hang)
    gate.set()
    assert (check.state, check.detail) == ("failed", "no answer within 0.05 s")


def test_publish_without_mlflow_is_wrong_where_something_waits(config: Path, made: Path) -> None:
    from pipelines.tracking import new_record, record_run

    result = run("publish", config)
    assert (result.exit_code, "No run record waits" in result.stdout) == (0, True)
    record = new_record(pipeline="x", stage="transform", run_id="r1", started_at=0.0)
    kept = Path(record_run(str(made / "lake"), record))
    result = run("publish", config)
    kept.unlink()
    assert result.exit_code == 2
    assert "mlflow: {tracking_uri" in result.stderr


def test_a_prefix_that_means_several_chunks_lists_them(
    config: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.queries import find

    monkeypatch.setattr(find, "_SHORTEST_PREFIX", 1)
    chunks = read_chunks(str(made / "lake"), "default")["chunk_id"].to_pylist()
    first = next(c[0] for c in chunks if sum(other[0] == c[0] for other in chunks) > 1)
    result = run("trace", config, first)
    assert result.exit_code == 2
    assert f"{first!r} begins the ids of" in result.stderr
    assert all(c in result.stderr for c in [c for c in chunks if c[0] == first][:10])
    other = run("explain", config, "")
    assert other.exit_code == 2


def test_a_replaced_chunk_is_told_from_one_that_never_was(copy: Path) -> None:
    import re

    # Chunked again under other rules, the old ids are history.
    old = chunks_of(copy.parent, "leave.md")[0]["chunk_id"]
    copy.write_text(re.sub("use: {chunker: sentence}", "use: {chunker: fixed}", copy.read_text()))
    assert run("transform", copy, "--workers", "1", "--json").exit_code == 0
    result = run("trace", copy, old)
    assert result.exit_code == 1
    assert f"{old} was written by commit 1 of 'default' and has been replaced" in result.stderr


@pytest.mark.parametrize("table", ["documents", "chunks/default"])
def test_a_lake_of_a_newer_version_is_left_alone(copy: Path, table: str) -> None:
    for log in (copy.parent / "lake" / table / "_delta_log").glob("*.json"):
        text = log.read_text()
        log.write_text(text.replace('"gristmill.schema":"1', '"gristmill.schema":"9'))
    before = sorted(str(path) for path in copy.parent.rglob("*"))
    ingest = run("ingest", copy, "--workers", "1")
    assert ingest.exit_code == (1 if table == "documents" else 0), ingest.output
    for verb in (["status"], ["transform"], ["run"], ["trace", "abcdef"], ["verify"], ["rejects"]):
        result = run(verb[0], copy, *verb[1:])
        assert result.exit_code == 1, (verb, result.output)
        assert f"table '{table}'" in result.stderr
        assert "schema version 9" in result.stderr
        assert "Upgrade gristmill, or point `lake` at another folder" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert sorted(str(path) for path in copy.parent.rglob("*")) == before


@pytest.mark.parametrize("place", ["/proc/x.csv", "/dev/null/x.csv", "."])
def test_an_output_that_cannot_be_written_is_named(config: Path, place: str) -> None:
    for args in (["export", config, place, "--format", "csv"], ["init", config, "-o", place]):
        result = run(*args)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith(f"Error: {place}")


HEAVY = ("apache_beam", "mlflow", "lancedb", "unstructured", "pandas")


@pytest.mark.parametrize("verb", ["status", "rejects", "run", "verify"])
def test_a_question_and_a_run_with_nothing_to_do_import_nothing_heavy(
    config: Path, verb: str
) -> None:
    import subprocess
    import sys

    script = (
        "import sys\nfrom pipelines.cli.main import cli\n"
        f"try:\n    cli.main([{verb!r}, {str(config)!r}])\n"
        "except SystemExit as error:\n    assert not error.code, error.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_empty_query_and_a_missing_file_are_told(config: Path) -> None:
    empty = run("search", config, " ")
    assert empty.exit_code == 2
    assert "QUERY is empty" in empty.output
    missing = run("feedback", config, "add", "nowhere.jsonl")
    assert missing.exit_code == 2
    assert "nowhere.jsonl: there is no such file" in missing.output
    assert "Errno" not in missing.output


def test_policies_before_any_promotion(config: Path) -> None:
    told = run("policy", config, "diff")
    assert told.exit_code == 0
    assert "No policy of default was promoted yet" in told.output
