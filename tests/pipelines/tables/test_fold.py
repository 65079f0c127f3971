from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from table_tools import commit, row, written

from lineage import CommitConflict
from lineage.schemas import DOCUMENTS
from pipelines import steps
from pipelines.tables import Lake, Table, newest_documents, read_documents
from pipelines.tables import fold as folding
from pipelines.tables.fold import fold, row_groups
from pipelines.upkeep.compact import sweep


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Lake(str(tmp_path / "lake")).documents


def current(table: Table) -> list[dict[str, Any]]:
    lake = Lake(table.folder.uri.removesuffix("/documents"))
    return read_documents(lake, ["document_id", "op", "seq", "text"]).to_pylist()


def history(table: Table, count: int = 30, seed: int = 1) -> None:
    """Random commits of upserts, acl rows, rejects and deletes."""
    chance = random.Random(seed)
    content: dict[str, int] = {}
    for _ in range(count):
        seq = table.seq + 1
        rows = []
        for name in chance.sample("abcdefgh", 3):
            op = (
                chance.choice(["upsert", "acl", "delete", "reject"])
                if name in content
                else "upsert"
            )
            if op == "upsert":
                content[name] = seq
            elif op in ("delete", "reject"):
                del content[name]
            rows.append(row(name, seq, op, content_seq=content.get(name)))
        commit(table, rows)


@pytest.mark.parametrize("seed", range(4))
def test_readers_see_the_same_before_and_after(table: Table, seed: int) -> None:
    history(table, seed=seed)
    before = current(table)
    later = newest_documents(table, ["op", "content_seq"], after_seq=20).to_pylist()
    folded = fold(table, 20)
    assert folded is not None
    assert folded.files_after <= 1
    assert folded.rows_after <= 16
    assert (table.seq, table.horizon, table.position("c")) == (30, 20, 30)
    assert current(table) == before
    again = newest_documents(table, ["op", "content_seq"], after_seq=20).to_pylist()
    drop = ("file", "row_group")
    assert [{k: r[k] for k in r if k not in drop} for r in again] == [
        {k: r[k] for k in r if k not in drop} for r in later
    ]
    assert fold(table, 20) is None
    folded = fold(table, 30)
    assert folded is not None
    assert folded.files_after == 1
    assert current(table) == before
    alive = newest_documents(table, ["op"]).to_pylist()
    assert all(each["op"] != "delete" for each in alive)


def test_a_tombstone_stays_while_a_file_holds_what_it_deleted(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "SMALL_BYTES", 1)
    monkeypatch.setattr(folding, "WORTH_IT", 0.5)
    commit(table, [row(name, 1) for name in "abcdef"])
    commit(table, [row("a", 2, "delete", content_seq=None), row("b", 2)])
    commit(table, [row("b", 3)])
    fold(table, 3)
    assert [each["document_id"] for each in current(table)] == list("bcdef")
    monkeypatch.undo()
    fold(table, 3)
    assert [each["document_id"] for each in current(table)] == list("bcdef")
    assert newest_documents(table, ["op"]).num_rows == 5


def test_an_append_that_is_under_way_is_not_disturbed(table: Table) -> None:
    history(table, 6)
    other = Lake(table.folder.uri.removesuffix("/documents")).documents
    batch = other.begin("c", 7, "run")
    batch = written(other, batch, [row("new", batch.seq)])
    assert fold(table, 6) is not None
    other.commit(batch)
    assert "new" in {each["document_id"] for each in current(other)}
    assert (other.seq, other.horizon) == (7, 6)


def test_of_two_folds_one_wins(table: Table) -> None:
    history(table, 6)
    other = Lake(table.folder.uri.removesuffix("/documents")).documents
    assert other.files
    before = current(table)
    fold(table, 6)
    with pytest.raises(CommitConflict, match="upkeep"):
        fold(other, 6)
    table.refresh()
    assert current(table) == before
    on_disk = len(list((Path(table.folder.uri) / "data").glob("*fold*")))
    assert on_disk == 1


def test_a_reader_goes_on_with_the_files_that_were_folded_away(table: Table) -> None:
    history(table, 6)
    lake = Lake(table.folder.uri.removesuffix("/documents"))
    reader = lake.documents
    state = newest_documents(reader, ["op", "content_seq"])
    fold(table, 6)
    again = newest_documents(reader, ["op", "content_seq"])
    assert again.equals(state)


STEPS = ("part-open", "part-write", "part-close", "fold")


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_of_a_fold_changes_nothing(
    table: Table, monkeypatch: pytest.MonkeyPatch, name: str, moment: str
) -> None:
    history(table, 6)
    before = current(table)

    def crash(step: str, when: str) -> None:
        if (step, when) == (name, moment):
            raise KeyboardInterrupt

    monkeypatch.setattr(steps, "hook", crash)
    with pytest.raises(KeyboardInterrupt):
        fold(table, 6)
    monkeypatch.setattr(steps, "hook", None)
    table.refresh()
    assert current(table) == before
    fold(table, 6)
    assert current(table) == before


def test_the_sweep_removes_orphans_and_what_was_folded_away(table: Table) -> None:
    history(table, 6)
    before = current(table)
    dead = table.begin("c", 7, "dead")
    written(table, dead, [row("z", dead.seq)])
    empty = table.begin("c", 7, "run")
    table.manifests.write(empty)
    table.commit(empty)
    fold(table, 6)
    folder = Path(table.folder.uri) / "data"
    assert len(list(folder.iterdir())) == 6 + 1 + 1
    assert sweep(table, 24) == 0
    assert list(table.manifests.all()) == []
    assert sweep(table, 0) == 7
    assert len(list(folder.iterdir())) == 1
    assert current(table) == before


def test_rows_of_an_older_schema_get_the_columns_of_the_new_one(table: Table) -> None:
    commit(table, [row("a", 1), row("b", 1)])
    table.schema = DOCUMENTS.append(pa.field("later", pa.string()))
    rows = next(row_groups(table, table.files[0]))
    assert rows.schema.names[-1] == "later"
    assert rows["later"].null_count == rows.num_rows
