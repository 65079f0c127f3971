"""The verbs that ask questions of a lake, over one that the stages have really made."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from lineage import Acl
from lineage.schemas import CHUNKS
from pipelines.cli.main import cli
from pipelines.config import load_config
from pipelines.tables import Lake, read_chunks
from pipelines.tables.parts import PartWriter

CONFIG = """\
name: small
lake: lake
sources:
  - {name: docs, uri: docs, labels: {owner: hr}}
strategies:
  - name: default
    max_tokens: 64
    policy:
      default: {chunker: structure}
      rules:
        - {name: tables, when: {data_type: table}, use: {chunker: table}}
        - {name: hr, when: {path: "hr/**", data_type: markdown}, use: {chunker: sentence}}
sinks: [{name: index, kind: lancedb, uri: index}]
"""

LEAVE = "# Leave\n\nEverybody has twenty days of leave.\n\n" + "\n\n".join(
    f"## Case {n}\n\nIn case {n} there are {n} more days, on the word of the manager." * 2
    for n in range(6)
)


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="gristmill")


def answer(*args: str | Path, code: int = 0) -> dict[str, Any]:
    """The object that a verb prints with `--json`."""
    result = run(*args, "--json")
    assert result.exit_code == code, result.output
    assert len(result.stdout.splitlines()) == 1
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents, a config, and a lake that `run` has made of them."""
    root = tmp_path_factory.mktemp("made")
    docs = root / "docs"
    (docs / "hr").mkdir(parents=True)
    (docs / "hr/_acl.yaml").write_text("allow_groups: [hr]\ndeny_users: [eve]\n")
    (docs / "hr/leave.md").write_text(LEAVE)
    (docs / "people.csv").write_text("name,town\nAnn,Ostwick\nBob,Larkmoor\n")
    (docs / "people.csv.acl.yaml").write_text("public\n")
    (docs / "notes.txt").write_text("Nobody has said who may read these notes.\n")
    (docs / "broken.bin").write_bytes(b"\x00\x01\x02\x03" * 50)
    (root / "gristmill.yaml").write_text(CONFIG)
    result = run("run", root / "gristmill.yaml", "--workers", "1", "--json")
    assert result.exit_code == 3, result.output
    return root


@pytest.fixture
def config(made: Path) -> Path:
    return made / "gristmill.yaml"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy to damage; its sources stay where they are, and so do the document ids."""
    shutil.copytree(made / "lake", tmp_path / "lake")
    path = tmp_path / "gristmill.yaml"
    path.write_text(CONFIG.replace("uri: docs", f"uri: {made / 'docs'}"))
    return path


def chunks_of(made: Path, name: str) -> list[dict[str, Any]]:
    rows = read_chunks(str(made / "lake"), "default").to_pylist()
    return [row for row in rows if row["lineage"]["source_uri"].endswith(name)]


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


def test_verify_finds_nothing_wrong(config: Path) -> None:
    value = answer("verify", config, "--sources")
    assert (value["documents"], value["violations"], value["behind"]) == (4, [], 0)
    assert value["chunks"] == read_chunks(str(config.parent / "lake"), "default").num_rows
    assert value["sources"]["checked"] == 4
    assert value["sources"]["changed"] == value["sources"]["missing"] == 0


Change = Callable[[list[dict[str, Any]]], None]


def rewrite(config: Path, name: str, change: Change) -> None:
    """Commit a document's header and chunk rows once more, changed."""
    loaded = load_config(config)
    table = Lake(loaded.lake).chunks("default")
    heads = table.headers()
    documents = read_chunks(loaded.lake, "default", ["document_id", "lineage"]).to_pylist()
    key = next(d["document_id"] for d in documents if d["lineage"]["source_uri"].endswith(name))
    head = heads.filter(pc.equal(heads["document_id"], key)).to_pylist()[0]
    found = [row for part in table.chunk_batches({key: head["upsert_seq"]})
             for row in part.to_pylist()]  # fmt: skip
    header = {name: head.get(name) for name in CHUNKS.names}
    rows = [header, *found]
    change(rows)
    batch = table.begin(loaded.strategies[0].consumer(), 1, "damage")
    for row in rows:
        row["seq"] = batch.seq
    writer = PartWriter(table.folder, table.part_path(batch, "0"), CHUNKS)
    writer.write(pa.Table.from_pylist(rows, schema=CHUNKS))
    part = writer.close()
    assert part is not None
    batch = type(batch)(**{**{f: getattr(batch, f) for f in batch.__slots__}, "parts": (part,)})
    table.manifests.write(batch)
    table.commit(batch)


def _shift(rows: list[dict[str, Any]]) -> None:
    rows[1]["start"] += 1
    rows[1]["end"] += 1


def _lose(rows: list[dict[str, Any]]) -> None:
    del rows[1]
    rows[0]["chunk_count"] -= 1


def _miscount(rows: list[dict[str, Any]]) -> None:
    del rows[1]


def _exceed(rows: list[dict[str, Any]]) -> None:
    rows[1]["max_tokens"] = 2


def _wrong_tokens(rows: list[dict[str, Any]]) -> None:
    rows[1]["token_count"] += 1


def _forget_acl(rows: list[dict[str, Any]]) -> None:
    rows[1]["acl"] = None


def _open_up(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["acl"] = Acl.public().as_dict()


def _forge(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["acl"] = {**row["acl"], "allow_groups": ["everybody"]}


def _rename(rows: list[dict[str, Any]]) -> None:
    rows[1]["chunk_id"] = "0" * 32


@pytest.mark.parametrize(
    ("change", "promise", "words"),
    [
        (_shift, "P1", "its text is not characters"),
        (_lose, "P2", "are in no chunk"),
        (_miscount, "table", "its header says"),
        (_exceed, "P9", "above its cap of 2"),
        (_wrong_tokens, "P9", "its row says"),
        (_forget_acl, "P3", "has no ACL state"),
        (_open_up, "P3", "carry other rights"),
        (_forge, "P3", "fingerprint does not fit"),
        (_rename, "P5", "should have the id"),
    ],
)
def test_verify_sees_each_kind_of_damage(
    copy: Path, change: Change, promise: str, words: str
) -> None:
    rewrite(copy, "leave.md", lambda rows: None)
    assert answer("verify", copy)["violations"] == []
    rewrite(copy, "leave.md", change)
    found = answer("verify", copy, code=1)["violations"]
    assert any(v["promise"] == promise and words in v["message"] for v in found), found
    assert all(v["source_uri"].endswith("leave.md") for v in found)


def test_verify_of_sources_tells_changed_from_rotten(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "lake", tmp_path / "lake")
    shutil.copytree(made / "docs", tmp_path / "docs")
    path = tmp_path / "gristmill.yaml"
    path.write_text(CONFIG)
    # A copy has other inodes and times: every document counts as changed, none as wrong.
    (tmp_path / "docs/notes.txt").unlink()
    (tmp_path / "docs/more.txt").write_text("more")
    counts = answer("verify", path, "--sources")["sources"]
    assert (counts["changed"], counts["missing"], counts["new"], counts["checked"]) == (3, 1, 1, 0)


def test_verify_of_sources_finds_other_bytes_of_the_same_version(
    made: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.ingest.sources.base import Fetched
    from pipelines.ingest.sources.local import LocalSource

    real = LocalSource.fetch

    def rotten(self: LocalSource, listed_key: str, version: str) -> Fetched:
        fetched = real(self, listed_key, version)
        return Fetched(fetched.data + b"!", version) if listed_key == "notes.txt" else fetched

    monkeypatch.setattr(LocalSource, "fetch", rotten)
    (violation,) = answer("verify", copy, "--sources", code=1)["violations"]
    assert violation["promise"] == "source"
    assert violation["source_uri"].endswith("notes.txt")


def test_verify_counts_what_transform_has_not_reached(copy: Path, made: Path) -> None:
    shutil.rmtree(copy.parent / "lake/chunks")
    value = answer("verify", copy)
    assert (value["behind"], value["chunks"], value["violations"]) == (3, 0, [])


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


def test_publish_without_mlflow_is_a_wrong_configuration(config: Path) -> None:
    result = run("publish", config)
    assert result.exit_code == 2
    assert "mlflow: {tracking_uri" in result.stderr
