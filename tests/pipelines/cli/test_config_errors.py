"""What a configuration leads to later is told with its file, line and key, and before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_tools import answer, run

from pipelines.config.place import ConfigPlace

DOCS = "sources: [{uri: docs, acl: {default: public}}]"
EMBEDS = "sinks: [{name: index, kind: lancedb, uri: index, embedder: true}]"

WRONG = {
    "no folder": ("sources: [{uri: nowhere}]", 3, "sources[0].uri", "does not exist; create it"),
    "a file": ("sources: [{uri: file}]", 3, "sources[0].uri", "is not a folder"),
    "two sources": (
        f"{DOCS[:-1]},\n  {{name: other,\n   uri: nowhere}}]", 5, "sources[1].uri", "not exist",
    ),
    "a scheme": ("sources: [{uri: 'ftp://host/x'}]", 3, "sources[0].uri", "unknown scheme 'ftp'"),
    "no container": ("sources: [{uri: 'az:///x'}]", 3, "sources[0].uri", "names no container"),
    "no account": ("sources: [{uri: 'az://c/x'}]", 3, "sources[0].uri", "names no storage account"),
    "no table": ("sources: [{uri: none.csv}]", 3, "sources[0].uri", "does not exist"),
    "no column": ("sources: [{uri: rows.csv}]", 3, "sources[0].records", "has no column 'text'"),
    "a parser": (
        "sources:\n  - uri: docs\n    parser: pfd", 5, "sources[0].parser", "no parser is called",
    ),
    "a format": ("sources: [{uri: docs, parser: {tekst: text}}]", 3, "sources[0].parser",
                 "unknown format 'tekst'"),
    "no format of it": ("sources: [{uri: docs, parser: {text: pdf}}]", 3, "sources[0].parser",
                        "'pdf' does not read 'text'"),
    "no Parquet": ("sources: [{uri: bad.parquet}]", 3, "sources[0].uri", "be read as Parquet"),
    "an index in a container": (
        f"{DOCS}\nsinks: [{{kind: lancedb, uri: 'az://c/x'}}]", 4, "sinks[0].uri", "local folder",
    ),
    "an index in a file": (
        f"{DOCS}\nsinks: [{{kind: lancedb, uri: file}}]", 4, "sinks[0].uri", "is a file",
    ),
    "an option": (
        f"{DOCS}\nsinks:\n  - kind: lancedb\n    uri: index\n    options: {{langauge: German}}",
        7, "sinks[0].options", "unknown option 'langauge'; did you mean 'language'",
    ),
    "an option's value": (
        f"{DOCS}\nsinks: [{{kind: lancedb, uri: index, options: {{language: Klingon}}}}]",
        4, "sinks[0].options", "cannot be 'Klingon'",
    ),
    "no model": (
        f"{DOCS}\nembedder: {{model: docs}}\n{EMBEDS}", 4, "embedder.model", "no model.onnx",
    ),
    "no such model": (
        f"{DOCS}\nembedder: {{model: nothing/like-it}}\n{EMBEDS}", 4, "embedder.model",
        "unknown embedding model 'nothing/like-it'",
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("Some words.")
    (tmp_path / "file").write_text("")
    (tmp_path / "rows.csv").write_text("id,body\n1,x\n")
    (tmp_path / "bad.parquet").write_text("PAR1 and nothing more")
    return tmp_path


@pytest.mark.parametrize("name", WRONG)
def test_each_names_file_line_key_and_cure_before_anything_is_done(folder: Path, name: str) -> None:
    rest, line, key, reason = WRONG[name]
    if "embedder" in rest:
        pytest.importorskip("fastembed")
    config = folder / "gristmill.yaml"
    config.write_text(f"name: test\nlake: lake\n{rest}\n")
    result = run("run", config, "--quiet", "--json")
    assert result.exit_code == 2, result.output
    message = json.loads(result.stdout.splitlines()[-1])["error"]["message"]
    assert message.startswith(f"{config}, line {line}: {key}: ")
    assert message.count(str(config)) == 1
    assert reason in message
    assert not (folder / "lake/documents").exists()
    assert not (folder / "index").exists()


def test_a_lake_that_cannot_be_is_told_the_same_way(folder: Path) -> None:
    config = folder / "gristmill.yaml"
    for lake, reason in (("file", "is a file"), ("az://c/x", "names no storage account")):
        config.write_text(f"name: test\nlake: {lake}\n{DOCS}\n")
        result = run("run", config, "--quiet")
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith(f"Error: {config}, line 2: lake: ")
        assert reason in result.stderr


def test_sources_without_a_document_are_a_state_like_any_other(folder: Path) -> None:
    (folder / "empty").mkdir()
    config = folder / "gristmill.yaml"
    config.write_text(
        "name: test\nlake: lake\nsources: [{uri: empty, acl: {default: public}}]\n"
        "sinks: [{kind: lancedb, uri: index}]\n"
    )
    for _ in range(2):
        result = run("run", config, "--quiet", "--workers", "1")
        assert result.exit_code == 0, result.output
        assert "source 'empty' lists no document" in " ".join(result.output.split())
    assert answer("search", config, "words")["hits"] == []
    assert answer("verify", config)["violations"] == []


def test_a_place_made_by_hand_has_no_file() -> None:
    assert ConfigPlace("sources[2]").at("uri") == "sources[2].uri"
    assert ConfigPlace("embedder").at() == "embedder"
