from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from load_tables import Doc, World

from lineage import Acl, ConfigError, Principal, TerminalError
from pipelines.config import SinkConfig
from pipelines.load.search import search

# One worker for all: the index is made once.
pytestmark = pytest.mark.xdist_group("load search")

ANYONE = Principal()
PUBLIC = Acl.public()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("search"))
    ties = [Doc(f"tie{n}", texts=("identical wording",), acl=PUBLIC) for n in range(300)]
    world.commit(
        Doc("leave", texts=("Parental leave is twelve weeks.", "Ask Ann."), acl=PUBLIC,
            context="Handbook > Leave"),
        Doc("running", texts=("He was running through the naïve café.",), acl=PUBLIC),
        Doc("german", texts=("Die Häuser der Stadt",), acl=PUBLIC),
        Doc("chinese", texts=("分布式数据库系统的设计",), acl=PUBLIC),
        Doc("long", texts=("x " + "k" * 150 + " y",), acl=PUBLIC),
        Doc("staff", texts=("Parental leave of directors",)),
        *ties,
    )  # fmt: skip
    world.load()
    return world


def found(world: World, query: str, principal: Principal = ANYONE, limit: int = 10) -> list[str]:
    hits = search(world.config, query, principal, limit)
    return [hit.source_uri.removeprefix("file:///docs/") for hit in hits]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("parental leave", {"leave"}),
        ("handbook", {"leave"}),
        ("PARENTAL", {"leave"}),
        ("run", {"running"}),
        ("naive cafe", {"running"}),
        ("数据库", {"chinese"}),
        ("k" * 150, {"long"}),
        ("is", {"leave"}),
        ("nothing-like-this", set()),
    ],
)
def test_finds(world: World, query: str, names: set[str]) -> None:
    assert set(found(world, query)) == names


def test_hit_has_what_the_command_line_prints(world: World) -> None:
    (hit,) = search(world.config, "twelve", ANYONE)
    value = hit.as_dict()
    assert list(value)[:7] == [
        "chunk_id", "document_id", "source_uri", "text", "start", "end", "score"
    ]  # fmt: skip
    assert value["text"] == "Parental leave is twelve weeks."
    assert (value["start"], value["end"]) == (0, len(value["text"]))
    assert value["score"] > 0
    assert value["heading_path"] == ["Guide", "leave"]


def test_trimmed_to_the_caller(world: World) -> None:
    assert "staff" not in found(world, "directors")
    assert "staff" not in found(world, "directors", Principal("staff", frozenset({"Staff"})))
    assert found(world, "directors", Principal(groups=frozenset({"staff"}))) == ["staff"]


@pytest.mark.parametrize("limit", [1, 7, 40, 299, 300, 1000])
def test_ties_come_in_order_of_their_ids(world: World, limit: int) -> None:
    everything = sorted(
        str(row["chunk_id"]) for row in world.index() if row["text"] == "identical wording"
    )
    for _ in range(3):
        hits = search(world.config, "identical", ANYONE, limit)
        assert [hit.chunk_id for hit in hits] == everything[:limit]


def test_limit_takes_the_best(world: World) -> None:
    scores = [hit.score for hit in search(world.config, "parental twelve ask identical", ANYONE, 5)]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 5


ODD = [
    "", " ", "\n\t", "'", '"', "''", '"parental', "parental'", "parental AND NOT leave",
    "+parental", "-parental", "text:parental", "par*", "*", "parental~", "parental^5", "(parental",
    "[a TO b]", "\\", "\\'", "%", "\U0001f600", "\U0001f469\u200d\U0001f467 parental", "\x00",
    "par\x00ental", "\ud800", "parental \udfff", "') OR true --",
    "parental' OR acl_state = 'unknown", "; DROP TABLE chunks", "{}", "null", "\ufeff",
    "parental " * 2000, "q" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("query", ODD, ids=range(len(ODD)))
def test_odd_queries_neither_crash_nor_widen(world: World, query: str) -> None:
    hits = search(world.config, query, ANYONE, 400)
    assert all(hit.text != "Parental leave of directors" for hit in hits)
    if "parental" in query:
        assert "Parental leave is twelve weeks." in [hit.text for hit in hits]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_query(world: World, query: str) -> None:
    hits = search(world.config, query, ANYONE, 400)
    assert all(hit.text != "Parental leave of directors" for hit in hits)


def test_language_of_the_sink(tmp_path: Path) -> None:
    world = World(tmp_path, language="German")
    world.commit(Doc("german", texts=("Die Häuser der Stadt",), acl=PUBLIC))
    world.load()
    assert found(world, "Haus") == ["german"]


def test_no_index_yet_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no index at .* yet; run `gristmill load CONFIG`"):
        search(World(tmp_path).config, "x", ANYONE)


def test_empty_index_finds_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.commit(Doc("gone", op="delete"))
    world.load()
    assert found(world, "x") == []


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_wrong_limit(world: World, limit: int) -> None:
    with pytest.raises(ConfigError, match="from 1 to 10000"):
        search(world.config, "x", ANYONE, limit)


def test_sink_by_name(world: World) -> None:
    assert search(world.config, "twelve", ANYONE, sink="index")
    with pytest.raises(ConfigError, match=r"unknown sink 'other'\. Known: index"):
        search(world.config, "x", ANYONE, sink="other")
    with pytest.raises(ConfigError, match="no sink that can be searched"):
        search(replace(world.config, sinks=()), "x", ANYONE)


def test_search_while_the_index_is_being_rebuilt(tmp_path: Path) -> None:
    from pipelines.load.open import open_sink

    world = World(tmp_path)
    world.commit(Doc("a", texts=("some words",), acl=PUBLIC))
    world.load()
    open_sink(SinkConfig("index", "lancedb", str(tmp_path / "index"))).begin_rebuild()
    assert found(world, "words") == ["a"]


def test_an_index_whose_files_are_damaged_is_named_with_the_cure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.commit(Doc("leave", texts=("Parental leave is twelve weeks.",), acl=PUBLIC))
    world.load()
    folder = Path(world.config.sinks[0].uri)
    for path in folder.rglob("*"):
        if path.is_file() and "_indices" in path.parts:
            path.write_bytes(b"\xa5" * 40)
    with pytest.raises(TerminalError, match=r"index in .* Remove this folder and run") as raised:
        found(world, "leave")
    assert str(folder) in str(raised.value)
