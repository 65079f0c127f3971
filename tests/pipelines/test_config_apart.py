"""Documents and the pipeline's own tables are kept apart, wherever a user puts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lineage.errors import ConfigError
from pipelines.config import Config, load_config
from pipelines.ingest.sources import open_source


def config(folder: Path, source: str, lake: str, index: str = "elsewhere", **more: Any) -> Config:
    path = folder / "gristmill.yaml"
    value = {
        "name": "apart",
        "lake": lake,
        "sources": [{"name": "docs", "uri": source}],
        "sinks": [{"name": "index", "kind": "lancedb", "uri": index}],
    }
    path.write_text(yaml.safe_dump(value | more))
    return load_config(path)


@pytest.mark.parametrize(
    ("source", "lake", "apart"),
    [
        (".", "lake", ("lake",)),
        (".", ".gristmill/lake", (".gristmill/lake",)),
        ("docs", "lake", ()),
        ("docs", "docs2", ()),
        ("docs", "docs/a/lake", ("a/lake",)),
        ("az://c", "az://c/lake", ("lake",)),
        ("az://c/docs/", "az://c/docs/deep/lake/", ("deep/lake",)),
        ("az://c/docs", "az://c/lake", ()),
        ("az://c/docs", "az://c/docs-lake", ()),
        ("az://c", "az://d/lake", ()),
        ("abfss://c@one.dfs.core.windows.net/", "az://c/lake", ("lake",)),
        ("abfss://c@one.dfs.core.windows.net/", "abfss://c@two.dfs.core.windows.net/lake", ()),
        (".", "az://c/lake", ()),
    ],
)
def test_a_lake_below_a_source(
    tmp_path: Path, source: str, lake: str, apart: tuple[str, ...]
) -> None:
    found = config(tmp_path, source, lake, index="/elsewhere").sources[0]
    assert found.apart == apart


@pytest.mark.parametrize(
    ("source", "lake"),
    [
        (".", "."),
        ("docs", "."),
        ("docs", "docs"),
        ("az://c", "az://c"),
        ("az://c/docs", "az://c"),
        ("az://c/docs", "abfss://c@account.dfs.core.windows.net/"),
    ],
)
def test_a_source_inside_of_the_lake_is_refused(tmp_path: Path, source: str, lake: str) -> None:
    with pytest.raises(ConfigError, match=r"line \d+: sources\[0\]\.uri: .* `lake`; keep"):
        config(tmp_path, source, lake)


def test_everything_that_a_run_writes_is_kept_apart(tmp_path: Path) -> None:
    for name in ("lake/documents/a.parquet", "index/b.txt", "flow.db", "flow.db-journal",
                 "flow-artifacts/c.json", "flow.md", "lake.md"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = config(
        tmp_path, ".", "lake", "index",
        mlflow={"tracking_uri": "sqlite:///flow.db", "experiment": "e"},
    )  # fmt: skip
    listed = [one.key for one in open_source(found.sources[0]).list()]
    assert listed == ["flow.md", "gristmill.yaml", "lake.md"]


def test_a_lake_with_an_odd_name_is_no_document(project: Any) -> None:
    project.settings = {
        "sources": [{"name": "docs", "uri": ".", "acl": {"default": "public"}}],
        "lake": "[a] *é 100%/lake",
        "sinks": [],
    }
    project.write("a.md", "# One\n\nText.\n")
    code, first, _ = project.call("ingest", str(project.config_path), "--json")
    assert (code, first["stages"]["ingest"]["listed"]) == (0, 2)
    code, second, _ = project.call("ingest", str(project.config_path), "--json")
    assert (code, second["stages"]["ingest"]["listed"]) == (0, 2)
