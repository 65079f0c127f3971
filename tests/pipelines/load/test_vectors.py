from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineage import Acl, Principal
from pipelines.config import BudgetConfig, EmbedderConfig, Limits
from pipelines.load.fusion import fuse

load_tables = pytest.importorskip("load_tables")
MODEL = Path(os.environ.get("GRISTMILL_TEST_DATA", "/nowhere")) / "models" / "all-MiniLM-L6-v2"
pytestmark = [
    pytest.mark.skipif(not MODEL.is_dir(), reason="GRISTMILL_TEST_DATA has no embedding model"),
    pytest.mark.xdist_group("onnx"),
]
STAFF = Principal(groups=frozenset({"staff"}))
TEXTS = {
    "leave.md": ("Employees may stay at home for twenty days each year.", "Ask the manager."),
    "cars.md": ("The automobile has four wheels.", "Petrol is paid by the company."),
    "tides.md": ("High water comes twice a day.", "The gauge is at the pier."),
}


class Spy:
    """Counts the texts that the real model embeds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from pipelines.embedding.onnx import OnnxEmbedder

        self.texts: list[str] = []
        original = OnnxEmbedder.embed

        def embed(made: Any, texts: Any) -> Any:
            self.texts += texts
            return original(made, texts)

        monkeypatch.setattr(OnnxEmbedder, "embed", embed)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(monkeypatch)


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = load_tables.World(tmp_path)
    embedder = EmbedderConfig("onnx", str(MODEL))
    sinks = tuple(replace(sink, embedder=embedder) for sink in made.config.sinks)
    made.config = replace(made.config, sinks=sinks, embedder=embedder)
    return made


def docs(**changes: Any) -> list[Any]:
    return [load_tables.Doc(name, texts=texts, **changes) for name, texts in TEXTS.items()]


def hits(world: Any, query: str, who: Principal = STAFF) -> list[str]:
    from pipelines.load.search import search

    return [hit.text for hit in search(world.config, query, who, 10)]


def test_search_finds_by_meaning_and_by_word_what_the_caller_may_read(world: Any, spy: Spy) -> None:
    secret = load_tables.Doc(
        "secret.md", texts=("Holidays of the board: forty days a year.",),
        acl=Acl(state="explicit", allow_groups=("board",)),
    )  # fmt: skip
    world.commit(*docs(), secret)
    summary = world.load()
    assert summary.ledger.total().embedded_tokens == sum(len(text.split()) for text in spy.texts)
    assert len(spy.texts) == 7
    # None of its words is in the passage; the words alone would not have found it.
    assert hits(world, "vacation entitlement")[0] == TEXTS["leave.md"][0]
    assert hits(world, "gauge")[0] == TEXTS["tides.md"][1]
    assert not any("board" in text for text in hits(world, "holidays of the board"))
    board = Principal(groups=frozenset({"board"}))
    assert hits(world, "holidays of the board", board) == [
        "Holidays of the board: forty days a year."
    ]
    assert hits(world, "anything", Principal()) == []


def test_vectors_in_the_index_are_the_model_s(world: Any) -> None:
    from pipelines.embedding import open_configured

    world.commit(*docs(context="Guide"))
    world.load()
    rows = world.index()
    model = open_configured(world.config.embedder)
    expected = model.embed([row["embedded_text"] for row in rows])
    assert np.array_equal(np.array([row["vector"] for row in rows], np.float32), expected)
    assert {row["embedding_model"] for row in rows} == {model.name}


def test_only_new_texts_are_embedded_and_rights_embed_nothing(world: Any, spy: Spy) -> None:
    world.commit(*docs())
    world.load()
    before = {row["chunk_id"]: row["vector"] for row in world.index()}
    spy.texts.clear()
    world.commit(load_tables.Doc("cars.md", op="acl", acl=Acl.public(), texts=()))
    world.load()
    assert spy.texts == []
    assert {row["chunk_id"]: row["vector"] for row in world.index()} == before
    assert TEXTS["cars.md"][0] in hits(world, "automobile", Principal())
    spy.texts.clear()
    world.commit(load_tables.Doc("cars.md", texts=(TEXTS["cars.md"][0], "Diesel is not.")))
    summary = world.load()
    assert spy.texts == ["Diesel is not."]
    assert summary.ledger.total().embedded_tokens == 3


def test_a_lost_index_is_built_again_from_the_cache_and_a_changed_model_rebuilds(
    world: Any, spy: Spy, tmp_path: Path
) -> None:
    import shutil

    world.commit(*docs())
    world.load()
    rows = world.index()
    shutil.rmtree(world.folder / "index")
    spy.texts.clear()
    world.load()
    assert spy.texts == []
    assert [row["vector"] for row in world.index()] == [row["vector"] for row in rows]

    copy = tmp_path / "model"
    shutil.copytree(MODEL, copy)
    (copy / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    embedder = EmbedderConfig("onnx", str(copy))
    sinks = tuple(replace(sink, embedder=embedder) for sink in world.config.sinks)
    world.config = replace(world.config, sinks=sinks)
    world.load()
    assert len(spy.texts) == 6
    again = world.index()
    assert len(again) == len(rows)
    assert all(new["vector"] != old["vector"] for new, old in zip(again, rows, strict=True))
    assert len({row["embedding_model"] for row in rows + again}) == 2
    world.config = replace(
        world.config, sinks=tuple(replace(sink, embedder=None) for sink in sinks)
    )
    world.load()
    assert "vector" not in world.index()[0]
    assert world.load().documents == 0


def test_a_load_stops_at_the_budget_and_goes_on_later(world: Any, spy: Spy) -> None:
    world.commit(*docs())
    config = world.config
    world.config = replace(config, budget=BudgetConfig(run=Limits(tokens=20)))
    summary = world.load()
    assert summary.stopped is not None
    assert "budget.run.tokens is 20 tokens" in summary.stopped
    spent = summary.ledger.total().embedded_tokens
    assert 0 < spent <= 20
    assert spent == sum(len(text.split()) for text in spy.texts)
    world.commit(load_tables.Doc("leave.md", op="delete"))
    world.load()
    assert "leave.md" not in world.texts()
    world.config = config
    world.load()
    assert len(spy.texts) == len(set(spy.texts))
    assert set(world.texts()) == {"cars.md", "tides.md"}


def test_ranks_are_fused_with_ties_by_id() -> None:
    assert fuse([["b", "a"], ["a", "b"]], 5) == {"a": 1 / 61 + 1 / 62, "b": 1 / 61 + 1 / 62}
    assert list(fuse([["c"], ["b"], ["a"]], 2)) == ["a", "b"]
    assert list(fuse([["x", "y", "z"], ["z"]], 3)) == ["z", "x", "y"]
    assert fuse([[], []], 3) == {}


def test_a_dry_run_says_how_much_will_be_embedded(tmp_path: Path) -> None:
    import yaml

    from pipelines.config import load_config
    from pipelines.ingest import stage as ingest
    from pipelines.load import stage as load
    from pipelines.options import RunOptions
    from pipelines.queries.forecast import forecast
    from pipelines.transform import stage as transform

    value: dict[str, Any] = {
        "name": "test",
        "lake": "lake",
        "sources": [{"name": "docs", "uri": "docs", "labels": {"owner": "hr"}}],
        "strategies": [{"name": "default", "max_tokens": 64}],
        "sinks": [{"name": "index", "kind": "lancedb", "uri": "index", "embedder": True}],
        "embedder": {"kind": "onnx", "model": str(MODEL)},
        "budget": {"prices": {"embedding": 100}},
    }
    path = tmp_path / "gristmill.yaml"
    (tmp_path / "docs").mkdir()
    for n in range(4):
        body = " ".join(f"Station {n} has {m} gauges." for m in range(30))
        (tmp_path / "docs" / f"{n}.txt").write_text(body)
    path.write_text(yaml.safe_dump(value))
    config, options = load_config(path), RunOptions(workers=1)
    before = forecast(config, options)["usage"]["total"]
    ingest.run(config, options)
    transform.run(config, options)
    behind = forecast(config, options)["usage"]["total"]
    done = load.run(config, options).usage
    assert before["embedded_tokens"] == done["total"]["embedded_tokens"] > 0
    assert before["money"] == pytest.approx(done["total"]["money"])
    assert behind["embedded_tokens"] == before["embedded_tokens"]
    assert done["by_label"]["owner"]["hr"]["embedded_tokens"] == before["embedded_tokens"]
    assert forecast(config, options)["usage"]["total"]["embedded_tokens"] == 0


def test_larger_chunks_around_others_are_not_embedded(tmp_path: Path, spy: Spy) -> None:
    import yaml

    from pipelines.config import load_config
    from pipelines.ingest import stage as ingest
    from pipelines.load import stage as load
    from pipelines.load.profile import ANALYSIS, read
    from pipelines.options import RunOptions
    from pipelines.queries.forecast import forecast
    from pipelines.transform import stage as transform

    profiles = {"lookup": {"target_tokens": 24}, "analysis": {"target_tokens": 120}}
    policy = {
        "profiles": profiles,
        "default": {"chunker": "optimal", "profile": ["lookup", "analysis"]},
    }
    value: dict[str, Any] = {
        "name": "test",
        "lake": "lake",
        "sources": [{"uri": "docs", "acl": {"default": "public"}}],
        "strategies": [{"name": "default", "max_tokens": 200, "policy": policy}],
        "sinks": [{"name": "index", "kind": "lancedb", "uri": "index", "embedder": True}],
        "embedder": {"kind": "onnx", "model": str(MODEL)},
    }
    (tmp_path / "docs").mkdir()
    body = " ".join(f"Station {m} has {m} gauges on the quay." for m in range(40))
    (tmp_path / "docs" / "a.txt").write_text(f"{body} Holidays are twenty days.")
    path = tmp_path / "gristmill.yaml"
    path.write_text(yaml.safe_dump(value))
    config, options = load_config(path), RunOptions(workers=1)
    forecasted = forecast(config, options)
    told = forecasted["usage"]["total"]["embedded_tokens"]
    assert forecasted["not_forecast"] == ["seconds of embedding"]
    ingest.run(config, options)
    transform.run(config, options)
    done = load.run(config, options).usage["total"]["embedded_tokens"]
    import lancedb

    rows = lancedb.connect(tmp_path / "index").open_table("chunks").search().to_list()
    small = [row for row in rows if row["level"] == 0]
    assert len(small) < len(rows)
    assert sorted(spy.texts) == sorted(row["embedded_text"] for row in small)
    assert told == done == sum(row["token_count"] for row in small)
    assert {row["embedding_model"] for row in rows if row["level"]} == {None}
    hit = read(config, "vacation entitlement", Principal(), ANALYSIS).hits[0]
    assert (hit.granularity, "Holidays" in hit.text) == ("analysis", True)
