"""The `evaluation` section: strategies of a grid, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineage.errors import ConfigError
from pipelines.config import Config, load_config

BASE = """\
name: handbook
lake: lake
sources: [{uri: docs}]
strategies:
  - name: default
    max_tokens: 400
    policy:
      default: {chunker: optimal, target_tokens: 300}
      rules: [{name: code, when: {data_type: code}, use: {chunker: code}}]
evaluation:
"""


def read(tmp_path: Path, evaluation: str) -> Config:
    path = tmp_path / "gristmill.yaml"
    path.write_text(BASE + "".join(f"  {line}\n" for line in evaluation.splitlines()))
    return load_config(path)


def test_a_grid_varies_the_default_and_keeps_the_rules(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "grid: {chunker: [optimal, structure], max_tokens: [128, 256], target_tokens: [200]}",
    )
    made = {s.name: s for s in config.evaluation.strategies}
    assert made.keys() == {"optimal-256-target-200", "structure-256-target-200"}
    one = made["structure-256-target-200"]
    assert (one.max_tokens, one.policy.default.chunker) == (256, "structure")
    assert one.policy.default.parameters == {"target_tokens": 200}
    assert [rule.name for rule in one.policy.rules] == ["code"]
    assert len(config.evaluation.skipped) == 2
    assert "target_tokens is 200" in config.evaluation.skipped[0]
    assert len(config.strategies) == 1


def test_strategies_beside_the_pipelines_own(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text("default: {chunker: sentence}\n")
    config = read(
        tmp_path,
        "evidence: [a.jsonl, b.csv]\nk: 7\nbudgets: [300]\n"
        "strategies:\n  - {name: small, max_tokens: 64, policy: small.yaml}",
    )
    (small,) = config.evaluation.strategies
    assert small.policy.default.chunker == "sentence"
    assert config.evaluation.evidence == (str(tmp_path / "a.jsonl"), str(tmp_path / "b.csv"))
    assert (config.evaluation.k, config.evaluation.budgets) == ((7,), (300,))
    assert config.evaluation.objective == "recall_at_300_tokens"


@pytest.mark.parametrize(
    ("evaluation", "says"),
    [
        ("evidences: a.jsonl", "did you mean `evidence`"),
        ("retrievers: [bm52]", "retriever 'bm52'"),
        ("retrievers: [dense]", "has no `embedder`"),
        ("objective: recall_at_7_tokens", "'recall_at_7_tokens'"),
        ("k: [0]", "k: must be whole numbers from 1"),
        ("budgets: []", "budgets: is empty"),
        ("encoding: o300k", "encoding 'o300k'"),
        ("grid: {chunker: [nope]}", "no combination is possible"),
        ("grid: [1]", "grid: must be a mapping"),
        ("grid: {max_tokens: []}", "is empty"),
        ("grid: {max_tokens: [64, 65, 66, 67, 68, 69, 70, 71, 72], overlap_tokens: "
         "[1, 2, 3, 4, 5, 6, 7, 8]}", "72 combinations"),
        ("strategies: [{name: default}]", "also the name of another strategy"),
        ("strategies: [{name: x, policy: {default: {chunker: nope}}}]", "'nope'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, evaluation: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, evaluation)
    assert says in str(caught.value)
    assert "line" in str(caught.value)
