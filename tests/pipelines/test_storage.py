"""Where bytes live: the same operations on a local folder and in a container."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from lineage import ConfigError
from pipelines.storage import Storage


@pytest.fixture(params=["local", pytest.param("az", marks=pytest.mark.azurite)])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty folder with an odd name."""
    name = "some place/ü (1) a+b&c"
    if request.param == "local":
        return Storage.from_uri(tmp_path / name)
    container = request.getfixturevalue("azurite").container()
    return Storage.from_uri(f"az://{container.container_name}/{name}")


def test_what_is_written_is_there_and_nothing_else(folder: Storage) -> None:
    assert (folder.list(), folder.exists(), folder.size("a"), folder.exists("a")) == (
        [], False, None, False,
    )  # fmt: skip
    with pytest.raises(FileNotFoundError):
        folder.read_bytes("a")
    folder.write_bytes("b c", b"old")
    folder.write_bytes("b c", b"new!")
    folder.write_bytes("a", b"")
    (folder / "sub").write_bytes("x", b"x")
    assert folder.list() == ["a", "b c"]
    assert (folder.read_bytes("b c"), folder.size("b c"), folder.size("a")) == (b"new!", 4, 0)
    assert (folder.size("sub"), folder.exists("sub"), folder.exists()) == (None, True, True)
    for _ in range(2):  # what is gone already is no error
        folder.delete("b c")
    assert folder.list() == ["a"]


def test_tables_and_files_agree_on_where_they_are(folder: Storage) -> None:
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    folder.make_folder()
    table = folder / "documents"
    write_deltalake(table.uri, pa.table({"a": [1]}), storage_options=folder.delta_options())
    assert table.exists("_delta_log")
    paths = DeltaTable(table.uri, storage_options=folder.delta_options()).file_uris()
    assert table.size(paths[0].rpartition("/")[2])


def test_a_storage_is_a_value_without_credentials(folder: Storage) -> None:
    copy = pickle.loads(pickle.dumps(folder))
    assert copy == folder
    assert "Eby8" not in f"{folder!r}"


def test_a_local_object_is_never_seen_half_written(tmp_path: Path, monkeypatch: Any) -> None:
    folder = Storage.from_uri(tmp_path)
    folder.write_bytes("a", b"old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_bytes("a", b"new")
    assert (folder.read_bytes("a"), os.listdir(tmp_path)) == (b"old", ["a"])


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("/a/../b//c/", "/b/c"),
        ("file:///a%20b/c", "/a b/c"),
        ("az://c/lake/", "az://c/lake"),
        ("az://c", "az://c"),
        ("abfss://c@x.dfs.core.windows.net/lake", "abfss://c@x.dfs.core.windows.net/lake"),
    ],
)
def test_uris(uri: str, wanted: str) -> None:
    assert Storage.from_uri(uri).uri == wanted


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://host/x", "unknown scheme 'ftp'"),
        ("az:///path", "names no container"),
        ("az://c/a%20b", "can hold no `%`"),
        ("az://c/a#b", "can hold no `%`, `#`"),
        ("az://c/lake?sig=x", "keep credentials in the environment"),
        ("az://c//lake", "no empty part"),
    ],
)
def test_uris_that_are_refused(uri: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Storage.from_uri(uri)
    assert said in str(caught.value)
    assert "sig=" not in str(caught.value)
