from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.main import cli
from pipelines.config import load_config
from pipelines.queries.init import default_name


def init(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, ["init", *map(str, args)])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "Our Docs"
    (folder / "hr").mkdir(parents=True)
    (folder / "a.md").write_text("a")
    (folder / "b.md").write_text("b")
    (folder / "hr/c.pdf").write_text("c")
    return folder


def test_a_folder_gives_a_valid_commented_config(here: Path) -> None:
    result = init("Our Docs")
    assert result.exit_code == 0, result.output
    assert "No access files were found" in result.output
    config = load_config("gristmill.yaml")
    assert (config.name, config.sources[0].uri) == ("our-docs", str(here))
    assert config.sources[0].acl is not None
    assert config.sources[0].acl.state == "unknown"
    assert config.sink().kind == "lancedb"
    text = Path("gristmill.yaml").read_text()
    assert "# 3 files: 2 .md, 1 .pdf" in text
    assert "No access file" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_access_files_are_found_and_told_of(here: Path) -> None:
    (here / "hr/_acl.yaml").write_text("allow_groups: [hr]")
    (here / "a.md.acl.yaml").write_text("public")
    result = init("Our Docs", "--json")
    assert json.loads(result.stdout) == {
        "config": "gristmill.yaml", "name": "our-docs", "files": 3, "acl_files": 2,
    }  # fmt: skip
    assert "2 access files" in Path("gristmill.yaml").read_text()


def test_a_config_inside_its_own_source_leaves_itself_and_the_lake_out(here: Path) -> None:
    result = init(here, "--output", here / "my.yaml")
    assert result.exit_code == 0, result.output
    source = load_config(here / "my.yaml").sources[0]
    assert source.uri == str(here)
    assert source.exclude == (".gristmill/**", "my.yaml")
    init(here, "--output", here / "hr/my.yaml")
    source = load_config(here / "hr/my.yaml").sources[0]
    assert source.exclude == ("hr/.gristmill/**", "hr/my.yaml")


@pytest.mark.parametrize("target", ["az://box/some path", "abfss://box@acc.dfs.core.windows.net/x"])
def test_a_container_needs_no_access_to_be_written_down(here: Path, target: str) -> None:
    assert init(target).exit_code == 0
    assert load_config("gristmill.yaml").sources[0].uri == target
    assert "AZURE_STORAGE_CONNECTION_STRING" in Path("gristmill.yaml").read_text()


def test_a_table_of_records_names_its_columns(here: Path) -> None:
    (here / "rows.jsonl").write_text("{}")
    assert init(here / "rows.jsonl").exit_code == 0
    config = load_config("gristmill.yaml")
    assert config.name == "rows"
    assert config.sources[0].records is not None
    assert config.sources[0].records.key == "id"


def test_what_cannot_be_written_is_refused(here: Path) -> None:
    assert init("missing").exit_code == 2
    assert not Path("gristmill.yaml").exists()
    assert init("Our Docs").exit_code == 0
    again = init("Our Docs")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert init("Our Docs", "--force", "--name", "other").exit_code == 0
    assert load_config("gristmill.yaml").name == "other"
    assert init("Our Docs", "--output", "no/such/x.yaml").exit_code == 2
    assert init("Our Docs", "--name", "not/valid", "--force").exit_code == 2
    assert load_config("gristmill.yaml").name == "other"


@pytest.mark.parametrize("name", ["a'b", 'a"b', "${X}", "yes", "12", "#a", "- a", "ünï", "a: b"])
def test_any_folder_name_survives(here: Path, name: str) -> None:
    (here / name).mkdir()
    assert init(here / name).exit_code == 0
    assert load_config("gristmill.yaml", {}).sources[0].uri == str(here / name)


@pytest.mark.parametrize(
    ("target", "name"),
    [("a/b", "b"), ("az://x/My Docs/", "my-docs"), ("rows.csv", "rows"), ("/", "documents")],
)
def test_default_names(target: str, name: str) -> None:
    assert default_name(target) == name
