from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pytest
from table_tools import commit, row, written

from lineage import CommitConflict, SchemaVersionError, TerminalError
from lineage.schemas import DOCUMENTS
from pipelines.tables import Lake, PartWriter, Table, newest_documents, read_documents
from pipelines.tables.fold import fold
from pipelines.tables.reading import scan
from pipelines.tables.views import current_documents_sql


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Lake(str(tmp_path / "lake")).documents


def test_nothing_is_there_before_the_first_commit(table: Table) -> None:
    assert not table.exists
    assert (table.seq, table.version, table.position("c")) == (0, None, None)
    assert newest_documents(table, ["op"]).num_rows == 0


def test_rows_and_position_become_visible_together(table: Table) -> None:
    batch = written(table, table.begin("c", 42, "run"), [row("a", 1)])
    assert Lake(table.folder.uri.removesuffix("/documents")).documents.seq == 0
    table.commit(batch)
    assert (table.seq, table.position("c")) == (1, 42)
    assert [r["document_id"] for t in scan(table, ["document_id"]) for r in t.to_pylist()] == ["a"]
    assert list(table.manifests.pending("c")) == []


def test_the_newest_row_wins_and_its_content_is_found(table: Table, tmp_path: Path) -> None:
    commit(table, [row("a", 1), row("b", 1)])
    commit(table, [row("a", 2, "acl", content_seq=1)])
    commit(table, [row("b", 3, "delete", content_seq=None)])
    state = newest_documents(table, ["op", "content_seq"]).to_pylist()
    assert [(r["document_id"], r["op"], r["seq"]) for r in state] == [
        ("a", "acl", 2),
        ("b", "delete", 3),
    ]
    current = read_documents(str(tmp_path / "lake"), ["document_id", "op", "text"]).to_pylist()
    assert current == [{"document_id": "a", "op": "acl", "text": "text of a at 1"}]


def test_only_files_of_later_commits_are_opened(table: Table) -> None:
    for n in range(4):
        commit(table, [row(f"d{n}", 0)])
    opened = list(scan(table, ["document_id", "seq"], after_seq=2))
    assert [t["document_id"].to_pylist() for t in opened] == [["d2"], ["d3"]]
    assert [t.num_rows for t in scan(table, ["seq"], seqs=(2, 3))] == [1, 1]


def test_the_second_of_two_writers_loses_with_the_name_of_the_first(table: Table) -> None:
    commit(table, [row("a", 1)])
    ours = written(table, table.begin("ours", 1, "run-ours"), [row("x", 2)])
    other = Lake(table.folder.uri.removesuffix("/documents")).documents
    theirs = written(other, other.begin("theirs", 1, "run-theirs"), [row("y", 2)])
    other.commit(theirs)
    with pytest.raises(CommitConflict, match="run-theirs"):
        table.commit(ours)
    ids = {r for t in scan(table, ["document_id"]) for r in t["document_id"].to_pylist()}
    assert ids == {"a", "y"}


def test_committing_again_is_a_success_and_adds_nothing(table: Table) -> None:
    batch = commit(table, [row("a", 1)])
    version = table.version
    table.manifests.write(batch)
    assert table.commit(batch) == version
    assert sum(t.num_rows for t in scan(table, ["seq"])) == 1


def test_a_finished_batch_of_a_dead_run_is_adopted(table: Table) -> None:
    written(table, table.begin("c", 7, "dead"), [row("a", 1)])
    fresh = Lake(table.folder.uri.removesuffix("/documents")).documents
    assert fresh.adopt("someone-else") == []
    assert [batch.run_id for batch in fresh.adopt("c")] == ["dead"]
    assert (fresh.seq, fresh.position("c")) == (1, 7)
    assert fresh.adopt("c") == []


def test_a_batch_that_lost_its_turn_or_its_parts_is_dropped(table: Table) -> None:
    late = written(table, table.begin("c", 1, "late"), [row("a", 1)])
    commit(table, [row("b", 1)], consumer="other")
    assert table.adopt("c") == []
    broken = written(table, table.begin("c", 1, "broken"), [row("a", 2)])
    table.folder.delete(broken.parts[0].path)
    assert table.adopt("c") == []
    assert list(table.manifests.pending("c")) == []
    assert late.seq == 1


def test_a_missing_part_is_never_committed(table: Table) -> None:
    batch = written(table, table.begin("c", 1, "run"), [row("a", 1)])
    table.folder.delete(batch.parts[0].path)
    with pytest.raises(TerminalError, match="missing"):
        table.commit(batch)
    assert table.seq == 0


def test_an_empty_commit_moves_the_position(table: Table) -> None:
    commit(table, [row("a", 1)])
    batch = table.begin("c", 9, "run")
    table.manifests.write(batch)
    table.commit(batch)
    assert (table.seq, table.position("c")) == (2, 9)
    assert table.commit(batch) == table.version


def test_a_newer_schema_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    table = Lake(str(tmp_path)).documents
    newer = Table("documents", table.folder, table.manifests.folder, DOCUMENTS, "2.0")
    newer.create()
    with pytest.raises(SchemaVersionError, match="Upgrade gristmill"):
        _ = table.seq


def test_a_foreign_delta_table_is_refused(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    table = Lake(str(tmp_path)).documents
    table.folder.make_folder()
    DeltaTable.create(table.folder.uri, DOCUMENTS)
    with pytest.raises(TerminalError, match="another folder"):
        _ = table.seq


def test_row_groups_are_capped_and_remembered(table: Table) -> None:
    big = [row(f"d{n:03}", 1, text="x" * 100_000) for n in range(120)]
    commit(table, big)
    places = newest_documents(table, ["op"])
    assert len(set(places["row_group"].to_pylist())) > 1
    lake = table.folder.uri.removesuffix("/documents")
    assert read_documents(lake, ["text"]).num_rows == 120


def test_the_sql_view_is_the_reader(table: Table, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    commit(table, [row("a", 1), row("b", 1), row("c", 1)])
    commit(table, [row("a", 2, "acl", content_seq=1), row("b", 2, "delete", content_seq=None)])
    log = pa.concat_tables(scan(table, DOCUMENTS.names)).select(DOCUMENTS.names)
    connection = duckdb.connect()
    connection.register("log", log)
    columns = ["document_id", "op", "text", "content_seq"]
    rows = connection.execute(current_documents_sql("log")).to_arrow_table().select(columns)
    expected = read_documents(str(tmp_path / "lake"), columns).to_pylist()
    assert sorted(rows.to_pylist(), key=str) == sorted(expected, key=str)
    assert [r["document_id"] for r in expected] == ["a", "c"]


def older(table: Table) -> Table:
    """The documents table as schema version 1.0 had it."""
    schema = pa.schema([field for field in DOCUMENTS if field.name != "warnings"])
    return Table("documents", table.folder, table.manifests.folder, schema, "1.0")


def commit_older(table: Table, *rows: dict[str, object]) -> None:
    batch = table.begin("c", table.seq + 1, "run")
    writer = PartWriter(table.folder, table.part_path(batch, "0"), table.schema)
    values = [{**row, "seq": batch.seq} for row in rows]
    writer.write(pa.Table.from_pylist(values, schema=table.schema))
    part = writer.close()
    assert part is not None
    batch = dataclasses.replace(batch, parts=(part,))
    table.manifests.write(batch)
    table.commit(batch)


def test_a_table_of_an_older_minor_version_is_read_and_gets_its_columns_with_a_commit(
    table: Table, tmp_path: Path
) -> None:
    from deltalake import DeltaTable

    lake = str(tmp_path / "lake")
    commit_older(older(table), row("a", 1), row("b", 1))
    names = ["document_id", "warnings", "text"]
    assert [r["warnings"] for r in read_documents(lake, names).to_pylist()] == [None, None]
    assert "warnings" not in DeltaTable(table.folder.uri).schema().to_arrow().names
    commit(table, [row("b", 2, warnings=["cut short"])])
    delta = DeltaTable(table.folder.uri)
    assert delta.metadata().configuration["gristmill.schema"] == "1.1"
    log = delta.to_pyarrow_table().to_pylist()
    told = {(r["document_id"], r["seq"]): r["warnings"] for r in log}
    assert told == {("a", 1): None, ("b", 1): None, ("b", 2): ["cut short"]}
    assert [r["warnings"] for r in read_documents(lake, names).to_pylist()] == [None, ["cut short"]]
    version = table.version
    commit(table, [row("c", 3)])
    assert table.version == version + 1

    # Who has not been upgraded goes on beside it.
    commit_older(older(table), row("d", 4))
    assert read_documents(lake, names)["document_id"].to_pylist() == ["a", "b", "c", "d"]
    assert fold(Lake(lake).documents, 4) is not None
    assert read_documents(lake, names)["warnings"].to_pylist() == [None, ["cut short"], None, None]


def test_widening_that_was_stopped_half_way_is_finished_by_the_next_commit(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake.table import TableAlterer

    commit_older(older(table), row("a", 1))

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TableAlterer, "set_table_properties", stop)
        with pytest.raises(KeyboardInterrupt):
            commit(table, [row("b", 2)])
    table.refresh()
    assert table.seq == 1
    commit(table, [row("b", 2, warnings=["cut short"])])
    assert newest_documents(table, ["warnings"])["warnings"].to_pylist() == [None, ["cut short"]]


def test_two_that_widen_at_once(table: Table) -> None:
    commit_older(older(table), row("a", 1))
    other = Lake(table.folder.uri.removesuffix("/documents")).documents
    assert (table.seq, other.seq) == (1, 1)
    commit(other, [row("b", 2)])
    table.create()
    commit(table, [row("c", 3)])
    assert newest_documents(table, ["op"]).num_rows == 3
