"""Chunks of two sizes, and rules about structure, from the configuration to the search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipelines.cli.main import cli
from tests.pipelines.conftest import Project

PROSE = "Every sentence of this paragraph is about as long as the last one was. "
GUIDE = "".join(
    f"# Part {i}\n\n"
    + "".join(f"## Step {i}.{j}\n\nThe word{i}{j} is here. {PROSE * 4}\n\n" for j in range(4))
    for i in range(4)
)
TABLE = "| name | value |\n|---|---|\n" + "\n".join(f"| row {i} | {i * i} |" for i in range(40))
POLICY: dict[str, Any] = {
    "profiles": {
        "lookup": {"query": "lookup"},
        "analysis": {"target_tokens": 300, "max_tokens": 420},
        "plain": {"target_tokens": 60},
    },
    "default": {"chunker": "optimal", "profile": ["lookup", "analysis"]},
    "rules": [
        {
            "name": "tables",
            "when": {"structure": {"table_share": {"min": 0.5}}},
            "use": {"chunker": "table", "profile": "plain"},
        }
    ],
}


def answer(*args: str | Path) -> dict[str, Any]:
    result = CliRunner().invoke(cli, [*(str(arg) for arg in args), "--json"])
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.mark.xdist_group("granularities")
def test_two_sizes_from_the_policy_to_the_search(project: Project) -> None:
    project.settings["strategies"] = [{"name": "default", "max_tokens": 160, "policy": POLICY}]
    project.write("guide.md", GUIDE)
    project.write("table.md", TABLE)
    project.run()
    rows = project.chunks()
    by_id = {row["chunk_id"]: row for row in rows}
    guide = [row for row in rows if row["lineage"]["source_uri"].endswith("guide.md")]
    small = [row for row in guide if row["level"] == 0]
    large = [row for row in guide if row["level"] == 1]
    assert {row["granularity"] for row in small} == {"lookup"}
    assert {row["granularity"] for row in large} == {"analysis"}
    assert {row["max_tokens"] for row in small} == {160}
    assert {row["max_tokens"] for row in large} == {420}
    assert max(row["token_count"] for row in large) > 160
    for row in small:
        parent = by_id[row["parent_chunk_id"]]
        assert parent["start"] <= row["start"] < row["end"] <= parent["end"]
    assert {row["lineage"]["chunker"] for row in guide} == {"hierarchical"}
    tables = [row for row in rows if row["lineage"]["rule"] == "tables"]
    assert tables
    assert all(row["lineage"]["source_uri"].endswith("table.md") for row in tables)

    config = project.config_path
    assert answer("verify", config)["violation_count"] == 0
    hits = answer("search", config, "word13", "--parents")["hits"]
    assert "word13" in hits[0]["text"]
    assert hits[0]["granularity"] == "lookup"
    assert "word13" in hits[0]["parent"]["text"]
    assert len(hits[0]["parent"]["text"]) > len(hits[0]["text"])
    whole = answer("search", config, "word13", "--granularity", "analysis")["hits"]
    assert whole[0]["chunk_id"] == hits[0]["parent"]["chunk_id"]
    shown = CliRunner().invoke(cli, ["search", str(config), "word13", "--parents"]).stdout
    assert f"in analysis {whole[0]['chunk_id']}" in shown
    shown = CliRunner().invoke(cli, ["search", str(config), "paragraph", "--parents"]).stdout
    assert "shown above" in shown, "what is around several hits is printed once"

    traced = answer("trace", config, hits[0]["chunk_id"])
    assert traced["parents"][0]["chunk_id"] == whole[0]["chunk_id"]
    assert traced["chunker"]["rule_now"] == "default"
    text = CliRunner().invoke(cli, ["trace", str(config), hits[0]["chunk_id"]]).stdout
    assert "in analysis" in text

    told = answer("explain", config, "guide.md", "--chunks")
    strategy = told["strategies"]["default"]
    assert strategy["target_tokens"] == strategy["size"][-1]["tokens"] == 128
    assert set(strategy["profiles"]) == {"lookup", "analysis"}
    assert {chunk["granularity"] for chunk in strategy["chunks"]} == {"lookup", "analysis"}
    shown = CliRunner().invoke(cli, ["explain", str(config), "guide.md", "--chunks"]).stdout
    assert "table_share is 0, not at least 0.5" in shown
    assert "what running text should have" in shown
    told = answer("explain", config, "table.md")
    assert told["strategies"]["default"]["rule"] == "tables"


@pytest.mark.xdist_group("granularities")
def test_a_changed_profile_chunks_just_its_documents_again(project: Project) -> None:
    strategy = {"name": "default", "max_tokens": 160, "policy": POLICY}
    project.settings["strategies"] = [strategy]
    project.write("guide.md", GUIDE)
    project.write("table.md", TABLE)
    project.ingest()
    first = project.transform().strategies["default"]
    assert first.counts["documents"] == 2
    plain = {**POLICY, "profiles": {**POLICY["profiles"], "plain": {"target_tokens": 80}}}
    project.settings["strategies"] = [{**strategy, "policy": plain}]
    second = project.transform().strategies["default"]
    assert second.counts["documents"] == 1
    assert project.transform().strategies["default"].counts.get("documents", 0) == 0
    changed = {row["lineage"]["rule"] for row in project.chunks() if row["seq"] == 2}
    assert changed == {"tables"}
