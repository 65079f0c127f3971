"""`gristmill compact`: the same state from less history, and nobody misses a deletion."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lineage import ConfigError
from pipelines.queries.status import status
from pipelines.tables.fold import fold
from pipelines.upkeep.compact import compact
from pipelines.upkeep.drop import drop


def index(project: Any, folder: str = "state/index") -> list[tuple[str, str, str]]:
    import lancedb

    table = lancedb.connect(project.root / folder).open_table("chunks")
    rows = table.search().limit(100_000).to_list()
    return sorted((r["document_id"], r["text"], ",".join(r["allow_groups"])) for r in rows)


def history(project: Any) -> None:
    """Some runs: new, changed, deleted, rights."""
    for name in "abcd":
        project.write(f"{name}.md", f"# {name}\n\nThe first words of {name}.")
    project.run()
    project.write("a.md", "# a\n\nOther words of a.")
    (project.root / "docs" / "b.md").unlink()
    project.run()
    project.write("c.md.acl.yaml", "allow_groups: [hr]\n")
    project.write("a.md", "# a\n\nThe last words of a.")
    project.run()


def test_compact_keeps_state_and_index_and_later_runs_go_on(project: Any) -> None:
    history(project)
    before, served = project.state(), index(project)
    done = compact(project.config, vacuum=True)
    assert done.folded["documents"].rows_after == 4
    assert done.folded["chunks/default"].files_after == 1
    assert (project.state(), index(project)) == (before, served)
    assert (project.ingest().rows_written, project.load().documents) == (0, 0)
    assert project.transform().as_dict()["rows_written"] == 0
    (project.root / "docs" / "d.md").unlink()
    project.write("c.md", "# c\n\nNew words of c.")
    project.run()
    assert set(project.documents()) == {"a.md", "c.md"}
    assert {row[1].rpartition("\n")[2] for row in index(project)} == {
        "The last words of a.",
        "New words of c.",
    }
    assert compact(project.config).folded


def test_who_has_read_least_decides_how_far_history_is_folded(project: Any) -> None:
    history(project)
    (project.root / "docs" / "d.md").unlink()
    project.ingest()
    assert compact(project.config).horizons["documents"] == 3
    project.transform()
    assert project.load().deleted == 1
    assert len({row[0] for row in index(project)}) == 2


def test_a_strategy_that_fell_behind_the_horizon_learns_of_deletions(project: Any) -> None:
    history(project)
    project.write("e.md", "# e\n\nWords of e.")
    (project.root / "docs" / "d.md").unlink()
    project.ingest()
    documents = project.lake.documents
    assert fold(documents, documents.seq) is not None
    project.transform()
    assert {c["text"].rpartition("\n")[2] for c in project.chunks()} == {
        "The last words of a.",
        "The first words of c.",
        "Words of e.",
    }
    assert project.load().deleted == 1
    assert project.transform().as_dict()["rows_written"] == 0


def test_a_sink_that_fell_behind_the_horizon_is_filled_again(project: Any) -> None:
    history(project)
    shutil.copytree(project.root / "state/index", project.root / "old")
    (project.root / "docs" / "d.md").unlink()
    project.write("a.md", "# a\n\nEven later words of a.")
    project.run()
    served = index(project)
    compact(project.config)
    shutil.rmtree(project.root / "state/index")
    (project.root / "old").rename(project.root / "state/index")
    assert len(index(project)) > len(served)
    project.load()
    assert index(project) == served
    assert project.load().documents == 0


def test_what_left_the_config_is_dropped_by_name_and_only_then(project: Any) -> None:
    history(project)
    project.settings["strategies"] = [
        {"name": name, "max_tokens": 64} for name in ("default", "small")
    ]
    project.settings["sinks"] = [
        {"name": name, "kind": "lancedb", "uri": f"state/{name}", "strategy": "default"}
        for name in ("index", "second")
    ]
    project.run()
    config = project.config
    for name in ("docs", "small", "second"):
        with pytest.raises(ConfigError, match="Take it out"):
            drop(config, name, "run")
    with pytest.raises(ConfigError, match="nothing to drop"):
        drop(config, "nonsense", "run")
    project.write("../other/x.md", "Elsewhere.")
    project.settings = {
        "sources": [{"name": "other", "uri": "other", "acl": {"default": "public"}}]
    }
    project.ingest()
    config = project.config
    warnings = " ".join(status(config)["warnings"])
    assert all(f"{name!r}" in warnings for name in ("docs", "small", "second"))
    with pytest.raises(ConfigError, match="sink:second, source:docs, strategy:small"):
        drop(config, "nonsense", "run")
    assert drop(config, "second", "run").kind == "sink"
    assert not (project.root / "state/second/chunks.lance").exists()
    assert drop(config, "strategy:small", "run").files > 0
    assert not (project.root / "state/lake/chunks/small").exists()
    assert drop(config, "docs", "run").documents == 3
    project.run()
    assert [c["text"] for c in project.chunks()] == ["Elsewhere."]
    assert [row[1] for row in index(project)] == ["Elsewhere."]
    assert not any("docs" in warning for warning in status(config)["warnings"])


def test_the_verb(project: Any, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from pipelines.cli.main import cli

    history(project)
    path = str(project.config_path)
    shown = CliRunner().invoke(cli, ["compact", path, "--vacuum"])
    assert "documents" in shown.output
    assert "chunks/default" in shown.output
    assert shown.exit_code == 0
    again = CliRunner().invoke(cli, ["compact", path, "--json"])
    assert '"folded": null' in again.output
    wrong = CliRunner().invoke(cli, ["compact", path, "--retention", "1"])
    assert wrong.exit_code == 2
