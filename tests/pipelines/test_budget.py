from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lineage import ConfigError
from pipelines.budget import BudgetExceeded, Meter, counted_tokens, money
from pipelines.config import BudgetConfig, Limits, load_config
from pipelines.options import RunOptions
from pipelines.usage import Ledger, Usage

SENTENCE = "The tide gauge at the harbour reports every ten minutes to the station. "


def fill(project: Any, documents: int = 12) -> None:
    for n in range(documents):
        project.write(f"{n:02d}.txt", f"Report {n}. " + SENTENCE * 8)


def refuse(folder: Path, budget: str) -> str:
    path = folder / "gristmill.yaml"
    path.write_text(f"name: a\nlake: lake\nsources: [{{uri: docs}}]\nbudget: {budget}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


def test_what_the_configuration_says(tmp_path: Path) -> None:
    path = tmp_path / "gristmill.yaml"
    path.write_text(
        "name: a\nlake: lake\nsources: [{uri: docs}]\n"
        "budget:\n  labels: team\n  currency: EUR\n  prices: {embedding: 0.02, compute: 1}\n"
        "  run: {tokens: 100}\n  month: {money: 2.5}\n"
    )
    budget = load_config(path).budget
    assert budget == BudgetConfig(("team",), "EUR", 0.02, 1.0, Limits(100), Limits(None, 2.5))


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ("{month: {money: 5}}", "budget.month.money: a limit in money needs prices"),
        ("{run: {token: 5}}", "did you mean `tokens`?"),
        ("{run: {tokens: -1}}", "budget.run.tokens: must be a whole number of at least 0"),
        ("{prices: {embedding: cheap}}", "budget.prices.embedding: must be a number"),
        ("{day: {tokens: 5}}", "unknown key"),
        ("5", "budget: must be a mapping"),
    ],
)
def test_wrong_budgets_are_refused(tmp_path: Path, budget: str, says: str) -> None:
    assert says in refuse(tmp_path, budget)


def test_prices(project: Any) -> None:
    project.settings = {"budget": {"prices": {"embedding": 0.5, "compute": 36}}}
    usage = Usage(tokens=2_000_000, embedded_tokens=10, seconds=100)
    assert counted_tokens(project.config, usage) == 2_000_000
    assert money(project.config, usage) == pytest.approx(1.0 + 1.0)
    project.settings = {}
    assert money(project.config, usage) is None


def test_limits_count_what_other_runs_of_the_month_have_spent(project: Any) -> None:
    project.settings = {"budget": {"run": {"tokens": 100}, "month": {"tokens": 150}}}
    fill(project, 1)
    first, second = (Meter.of(project.config, RunOptions()) for _ in range(2))
    ledger = Ledger(("owner",))
    ledger.add({}, tokens=90)
    first.allow("transform", ledger.total())
    first.record("transform", "a", ledger)
    with pytest.raises(BudgetExceeded, match=r"budget\.run\.tokens is 100 tokens, 90 are spent"):
        first.allow("transform", Usage(tokens=11))
    first.allow("transform", Usage(tokens=10))
    second.allow("transform", Usage(tokens=60))
    with pytest.raises(BudgetExceeded, match=r"budget\.month\.tokens"):
        second.allow("transform", Usage(tokens=61))
    # The same piece of work recorded again, after a crash, is no further expense.
    second.record("transform", "a", ledger)
    Meter.of(project.config, RunOptions()).allow("transform", Usage(tokens=60))


def test_a_run_stops_before_its_budget_is_exceeded_and_a_later_one_goes_on(project: Any) -> None:
    fill(project)
    project.ingest()
    whole = project.config
    project.settings = {"budget": {"run": {"tokens": 700}}}
    summary = project.transform()
    assert summary.stopped is not None
    assert "budget.run.tokens is 700 tokens" in summary.stopped
    spent = sum(chunk["token_count"] for chunk in project.chunks())
    assert 0 < spent <= 700
    assert summary.usage["total"]["tokens"] == spent
    # Only what is committed is left in the table's folder.
    table = project.lake.chunks("default")
    files = {path.name for path in (Path(table.folder.uri) / "data").glob("*.parquet")}
    assert files == {Path(file.path).name for file in table.files}
    project.settings = {}
    assert project.config.strategies == whole.strategies
    project.transform()
    stopped_and_resumed = project.state()
    assert len({chunk["document_id"] for chunk in project.chunks()}) == 12

    project.settings = {"lake": "state/other"}
    project.ingest()
    project.transform()
    from pipelines.tables import read_chunks

    other = read_chunks(str(project.root / "state" / "other"), "default").to_pylist()
    assert sorted(c["chunk_id"] for c in other) == sorted(
        c[2] for c in stopped_and_resumed["chunks"]
    )


def test_a_budget_too_small_for_anything_stops_a_run_and_says_why(project: Any) -> None:
    fill(project)
    project.settings = {"budget": {"run": {"tokens": 10}}}
    code, value, errors = project.call("run", str(project.config_path), "--json", "--workers", "1")
    assert code == 5, errors
    assert "budget.run.tokens is 10 tokens" in value["stages"]["transform"]["stopped"]
    assert "load" not in value["stages"]
    project.settings = {}
    code, value, errors = project.call("run", str(project.config_path), "--json", "--workers", "1")
    assert code == 0, errors
    assert value["stages"]["load"]["upserted"] == 12


def test_rights_are_not_held_up_by_a_budget(project: Any) -> None:
    fill(project)
    project.run()
    project.write("00.txt.acl.yaml", "allow_groups: [hr]\n")
    (project.root / "docs" / "01.txt").unlink()
    project.write("02.txt", SENTENCE * 40)
    project.settings = {"budget": {"run": {"tokens": 0}}}
    code, value, errors = project.call("run", str(project.config_path), "--json", "--workers", "1")
    assert code == 5, errors
    assert "stopped" in value["stages"]["transform"]["stopped"]
    from lineage import Principal
    from pipelines.load.search import search

    hits = search(project.config, "tide gauge", Principal("somebody"), 1000)
    names = {hit.source_uri.rpartition("/")[2] for hit in hits}
    assert "00.txt" not in names
    assert "01.txt" not in names
    assert "02.txt" in names


def test_costs_by_label_sum_to_the_total(project: Any) -> None:
    fill(project, 3)
    project.write("other/a.txt", SENTENCE * 30)
    root = project.root / "docs"
    project.settings = {
        "sources": [
            {"name": "hr", "uri": str(root), "exclude": ["other/**"], "labels": {"owner": "hr"}},
            {"name": "rest", "uri": str(root / "other")},
        ],
        "budget": {"prices": {"embedding": 1000}, "currency": "EUR"},
    }
    project.ingest()
    usage = project.transform().as_dict()["usage"]
    rows = usage["by_label"]["owner"]
    assert set(rows) == {"hr", "(none)"}
    for name in ("documents", "chunks", "tokens", "money"):
        assert sum(row[name] for row in rows.values()) == pytest.approx(usage["total"][name])
    by_hand: dict[str, int] = {}
    for chunk in project.chunks():
        owner = dict(chunk["labels"]).get("owner", "(none)")
        by_hand[owner] = by_hand.get(owner, 0) + chunk["token_count"]
    assert {name: row["tokens"] for name, row in rows.items()} == by_hand
    recorded = [
        json.loads(path.read_text())
        for path in (project.root / "state/lake/_usage").glob("*/*-transform.json")
    ]
    assert sum(each["money"] for each in recorded) == pytest.approx(usage["total"]["money"])
