from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from load_tables import STAFF, Doc, World, key

from lineage import Acl, ConfigError, TerminalError
from pipelines.config import SinkConfig
from pipelines.load import apply as units
from pipelines.load import lancedb as lance
from pipelines.load.stage import LoadSummary

STABLE = ("chunk_id", "document_id", "text", "start", "allow_groups", "acl_state", "labels", "seq")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def state(world: World) -> list[dict[str, object]]:
    return [{name: row[name] for name in STABLE} for row in world.index()]


def test_first_load_holds_every_chunk_with_its_columns(world: World) -> None:
    deny = Acl(state="explicit", allow_users=("ann",), deny_groups=("temps",), origin="sidecar:x")
    world.commit(
        Doc("a", texts=("one", "two"), context="Guide > A", labels={"k": "v", "a": "b"}, acl=deny),
        Doc("empty"),
    )
    assert world.load() == LoadSummary(2, 2, 0, 0, 1)
    first, second = world.index()
    assert [first["text"], second["text"]] == ["one", "two"]
    assert first["embedded_text"] == "Guide > A\n\none"
    assert (second["start"], second["end"], second["ordinal"]) == (4, 7, 1)
    assert first["heading_path"] == ["Guide", "a"]
    assert first["acl_state"] == "explicit"
    assert first["acl_denies"] is True
    assert first["acl_origin"] == "sidecar:x"
    assert (first["allow_users"], first["allow_groups"]) == (["ann"], [])
    assert (first["deny_users"], first["deny_groups"]) == ([], ["temps"])
    assert first["labels"] == ["a=b", "k=v"]
    assert json.loads(str(first["labels_json"])) == {"a": "b", "k": "v"}
    assert first["source_uri"] == "file:///docs/a"
    assert first["chunker"] == "fixed"


def test_changes_reach_the_index(world: World) -> None:
    world.commit(
        Doc("keep", texts=("k1",)),
        Doc("edit", texts=("e1", "e2", "e3")),
        Doc("shrink", texts=("s1", "s2")),
        Doc("drop", texts=("d1",)),
        Doc("reject", texts=("r1",)),
        Doc("rights", texts=("x1", "x2")),
    )
    world.load()
    world.commit(
        Doc("edit", texts=("e1", "e2 new")),
        Doc("shrink"),
        Doc("drop", op="delete"),
        Doc("reject", op="reject"),
        Doc("rights", op="acl", acl=Acl.unknown(), labels={"owner": "it"}),
        Doc("new", texts=("n1",)),
    )
    assert world.load() == LoadSummary(6, 3, 1, 2, 2)
    assert world.texts() == {
        "keep": ["k1"], "edit": ["e1", "e2 new"], "rights": ["x1", "x2"], "new": ["n1"]
    }  # fmt: skip
    rights = [row for row in world.index() if row["document_id"] == key("rights")]
    assert [row["acl_state"] for row in rights] == ["unknown", "unknown"]
    assert [row["allow_groups"] for row in rights] == [[], []]
    assert [row["labels"] for row in rights] == [["owner=it"], ["owner=it"]]


def test_newest_rights_win_over_those_of_the_chunking(world: World) -> None:
    world.commit(Doc("a", texts=("one",), acl=Acl.public()))
    world.commit(Doc("a", op="acl", acl=STAFF))
    world.load()
    assert [row["acl_state"] for row in world.index()] == ["explicit"]


def test_rights_only_change_leaves_the_rest_of_the_row_alone(world: World) -> None:
    world.commit(Doc("a", texts=("one", "two")))
    world.load()
    before = world.index()
    world.commit(Doc("a", op="acl", acl=Acl.public("config")))
    world.load()
    rights = {
        "acl_state", "acl_denies", "acl_origin", "allow_users", "allow_groups", "labels",
        "labels_json", "deny_users", "deny_groups",
    }  # fmt: skip
    without = [
        [{k: v for k, v in row.items() if k not in rights} for row in rows]
        for rows in (before, world.index())
    ]
    assert without[0] == without[1]


def test_several_commits_are_caught_up_in_one_load(world: World) -> None:
    for n in range(5):
        world.commit(Doc("a", texts=(f"a{n}",)), Doc(f"b{n}", texts=(f"b{n}",)))
    assert world.load(batch=2) == LoadSummary(6, 6, 0, 0, 5)
    assert world.texts() == {"a": ["a4"], **{f"b{n}": [f"b{n}"] for n in range(5)}}


def test_nothing_to_do_imports_neither_beam_nor_lancedb(world: World) -> None:
    world.commit(Doc("a", texts=("one",)))
    world.load()
    script = f"""
        import sys
        from dataclasses import replace
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from load_tables import World
        print(World(Path({str(world.folder)!r})).load())
        heavy = {{"apache_beam", "lancedb", "mlflow", "unstructured"}} & set(sys.modules)
        assert not heavy, heavy
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "documents=0" in done.stdout


@pytest.mark.parametrize("lost", ["table", "position", "folder"])
def test_lost_index_is_built_again(world: World, lost: str) -> None:
    world.commit(Doc("a", texts=("one",)), Doc("b", texts=("two",)))
    world.load()
    before = state(world)
    folder = world.folder / "index"
    if lost == "table":
        shutil.rmtree(folder / "chunks.lance")
    elif lost == "position":
        (folder / "_position.json").write_text("{")
    else:
        shutil.rmtree(folder)
    assert world.load().upserted == 2
    assert state(world) == before
    assert world.load().documents == 0


def test_older_copy_of_the_table_is_not_believed(world: World, tmp_path: Path) -> None:
    world.commit(Doc("a", texts=("one",)))
    world.load()
    table = world.folder / "index" / "chunks.lance"
    shutil.copytree(table, tmp_path / "copy")
    world.commit(Doc("b", texts=("two",)))
    world.load()
    shutil.rmtree(table)
    shutil.copytree(tmp_path / "copy", table)
    assert world.load().upserted == 2
    assert world.texts() == {"a": ["one"], "b": ["two"]}


def test_resync_deletes_what_the_table_does_not_have(world: World, tmp_path: Path) -> None:
    world.commit(Doc("a", texts=("one",)), Doc("b", texts=("two",)))
    world.load()
    shutil.rmtree(world.folder / "lake")
    # Another table, whose commits have the same numbers.
    world.commit(Doc("b", texts=("two again",)))
    summary = world.load()
    assert (summary.upserted, summary.deleted) == (1, 1)
    assert world.texts() == {"b": ["two again"]}


def test_changed_options_build_the_index_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.commit(Doc("a", texts=("running",)))
    world.load()
    other = World(tmp_path, stem=False)
    assert other.load().upserted == 1
    assert other.load().documents == 0


def test_crash_between_merges_leads_to_the_same_index(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        world.commit(*(Doc(f"d{n}{k}", texts=(f"t{n}{k}", "same")) for k in range(5)))
    reference = World(world.folder / "reference")
    reference.config = replace(reference.config, lake=world.config.lake)
    reference.load()

    apply = lance.LanceSink.apply
    calls = 0

    def failing(self: lance.LanceSink, batch: list[object]) -> None:
        nonlocal calls
        calls += 1
        if calls in (3, 7):
            raise OSError("the machine went away")
        apply(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(lance.LanceSink, "apply", failing)
    monkeypatch.setattr(units, "MERGE_DOCUMENTS", 3)
    runs = 0
    while True:
        runs += 1
        try:
            world.load(batch=5)
            break
        except OSError:
            assert not (world.folder / "index" / "_position.json").exists()
    assert runs > 1
    assert state(world) == state(reference)


def test_merges_are_bounded_by_documents_and_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    apply = lance.LanceSink.apply

    def watching(self: lance.LanceSink, batch: list[object]) -> None:
        sizes.append(len(batch))
        apply(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(lance.LanceSink, "apply", watching)
    world.commit(*(Doc(f"d{n}", texts=("x" * 1000,) * 3) for n in range(10)))
    table = world.table
    headers = table.headers()
    sink = lance.LanceSink.from_config(world.config.sinks[0], "o")

    class Held:
        def check(self) -> None: ...

    from pipelines.beam import ProgressHandle

    for limits, expected in (
        ({"merge_documents": 4, "merge_bytes": 1 << 30}, [4, 4, 2]),
        ({"merge_documents": 100, "merge_bytes": 10_000}, [2] * 5),
    ):
        sizes.clear()
        units.apply_replacements(headers, table, sink, Held(), ProgressHandle("x"), **limits)
        assert sizes == expected


def test_missing_chunk_rows_stop_the_load(world: World) -> None:
    world.commit(Doc("a", texts=("one",), claimed=2))
    with pytest.raises(TerminalError, match=r"holds 1 chunks of document .* header says 2"):
        world.load()
    assert not (world.folder / "index" / "_position.json").exists()


def test_strategy_without_chunks_is_named(world: World) -> None:
    with pytest.raises(ConfigError, match=r"no chunks of strategy 'default'.*gristmill transform"):
        world.load()


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        (
            SinkConfig("s", "lancebd", "/x"),
            "unknown kind of sink 'lancebd'; did you mean 'lancedb'",
        ),
        (SinkConfig("s", "lancedb", "az://c/x"), "not a local folder"),
        (
            SinkConfig("s", "lancedb", "/x", options={"langauge": "German"}),
            "unknown option 'langauge'; did you mean 'language'",
        ),
        (
            SinkConfig("s", "lancedb", "/x", options={"language": "Klingon"}),
            "options: 'language' .* cannot be 'Klingon'; known are Arabic",
        ),
        (SinkConfig("s", "lancedb", "/x", options={"stem": "yes"}), "cannot be 'yes'"),
    ],
)
def test_wrong_sink_is_refused_before_anything_is_written(
    world: World, sink: SinkConfig, message: str
) -> None:
    world.commit(Doc("a", texts=("one",)))
    world.config = replace(world.config, sinks=(*world.config.sinks, sink))
    with pytest.raises(ConfigError, match=message):
        world.load()
    assert not (world.folder / "index").exists()


def test_two_sinks_are_added_up(world: World) -> None:
    world.commit(Doc("a", texts=("one",)), Doc("b", op="delete"))
    second = SinkConfig("second", "lancedb", str(world.folder / "second"))
    world.config = replace(world.config, sinks=(*world.config.sinks, second))
    assert world.load() == LoadSummary(2, 2, 0, 0, 1)


@pytest.mark.slow
def test_killed_loads_leave_an_index_that_the_next_one_completes(world: World) -> None:
    for n in range(6):
        world.commit(*(Doc(f"d{n}{k}", texts=(f"t{n}{k}", "same")) for k in range(40)))
    world.commit(Doc("d00", op="delete"), Doc("d11", op="acl", acl=Acl.unknown()))
    reference = World(world.folder / "reference")
    reference.config = replace(reference.config, lake=world.config.lake)
    reference.load()
    script = f"""
        import os, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from load_tables import World
        from pipelines.load import apply as units, lancedb
        import lancedb as library
        from lancedb.table import LanceTable
        left = int(sys.argv[1])
        def deadly(name):
            before = getattr(LanceTable, name)
            def call(*arguments, **options):
                global left
                left -= 1
                if left == 0: os.kill(os.getpid(), 9)
                result = before(*arguments, **options)
                if left == 1: os.kill(os.getpid(), 9)
                return result
            setattr(LanceTable, name, call)
        for name in ("merge_insert", "delete", "create_index", "optimize"): deadly(name)
        units.MERGE_DOCUMENTS = 30
        World(Path({str(world.folder)!r})).load(batch=50)
    """
    killed = 0
    for calls in (1, 4, 9, 14):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(calls)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr
        killed += done.returncode == -9
    assert killed >= 3
    world.load()
    assert state(world) == state(reference)
    assert not list((world.folder / "index").glob("_lease.json*"))
