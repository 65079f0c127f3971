"""A file of the lake that cannot be read is named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_tools import commit, row

from lineage import TerminalError
from pipelines.tables import Lake, newest_documents
from pipelines.tables.fold import row_groups
from pipelines.tables.part_files import open_part


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    commit(Lake(str(tmp_path)).documents, [row(f"{number:03d}", 1) for number in range(300)])
    return tmp_path


def the_file(lake: Path) -> Path:
    (path,) = (lake / "documents/data").glob("*.parquet")
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    """The foot is whole, what it points at is not."""
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(0xA5 for _ in data[4 : len(data) // 2])
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [cut, scramble, Path.unlink], ids=["cut", "scrambled", "gone"])
def test_a_file_that_cannot_be_read_is_named(lake: Path, damage: object) -> None:
    path = the_file(lake)
    damage(path)  # type: ignore[operator]
    table = Lake(str(lake)).documents
    for read in (
        lambda: newest_documents(table, ("document_id", "source", "labels")),
        lambda: list(row_groups(table, table.files[0])),
    ):
        with pytest.raises(TerminalError, match="move the lake away") as raised:
            read()
        assert str(path) in str(raised.value)


def test_what_the_system_refuses_is_not_damage(lake: Path) -> None:
    table = Lake(str(lake)).documents
    with pytest.raises(PermissionError), open_part(table.folder, table.files[0].path):
        raise PermissionError(13, "not allowed")


def test_a_log_that_cannot_be_read_is_named(lake: Path) -> None:
    newest = max((lake / "documents/_delta_log").glob("*.json"))
    newest.write_text('{"trunc')
    with pytest.raises(TerminalError, match="_delta_log: this part of the lake cannot be read"):
        Lake(str(lake)).documents.seq  # noqa: B018
