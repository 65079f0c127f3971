from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pytest

from lineage.schemas import CHUNKS
from pipelines.tables import ChunkTable, Lake, PartWriter, read_chunks
from pipelines.tables.reading import scan
from pipelines.tables.views import current_chunks_sql

OLD = {"state": "explicit", "allow_groups": ["old"], "fingerprint": "old"}
NEW = {"state": "explicit", "allow_groups": ["new"], "fingerprint": "new"}


def commit(table: ChunkTable, rows: list[dict[str, object]]) -> None:
    batch = table.begin("transform", table.seq + 1, "run")
    writer = PartWriter(table.folder, table.part_path(batch, "0"), CHUNKS)
    writer.write(pa.Table.from_pylist([{**r, "seq": batch.seq} for r in rows], schema=CHUNKS))
    part = writer.close()
    assert part is not None
    batch = dataclasses.replace(batch, parts=(part,))
    table.manifests.write(batch)
    table.commit(batch)


def upsert(identifier: str, *texts: str) -> list[dict[str, object]]:
    header = {"document_id": identifier, "op": "upsert", "chunk_count": len(texts), "acl": OLD}
    chunks = [
        {
            "document_id": identifier,
            "op": "chunk",
            "chunk_id": f"{identifier}-{text}",
            "ordinal": n,
            "text": text,
            "acl": OLD,
            "labels": {"k": "old"},
        }
        for n, text in enumerate(texts)
    ]
    return [header, *chunks]


def test_current_chunks_are_those_of_the_newest_upsert_with_the_newest_rights(
    tmp_path: Path,
) -> None:
    table = Lake(str(tmp_path)).chunks("default")
    commit(table, [*upsert("a", "one", "two"), *upsert("b", "three")])
    commit(table, upsert("a", "ONE"))
    commit(table, [{"document_id": "a", "op": "acl", "acl": NEW, "labels": {"k": "new"}}])
    commit(table, [{"document_id": "b", "op": "delete", "acl": OLD}])
    rows = read_chunks(str(tmp_path), "default", ["document_id", "text", "acl", "labels"])
    (row,) = rows.to_pylist()
    assert (row["text"], row["acl"]["allow_groups"]) == ("ONE", ["new"])
    assert dict(row["labels"]) == {"k": "new"}


def test_headers_tell_whether_the_chunks_changed_since(tmp_path: Path) -> None:
    table = Lake(str(tmp_path)).chunks("default")
    commit(table, [*upsert("a", "one"), *upsert("b", "two")])
    commit(table, [{"document_id": "a", "op": "acl", "acl": NEW}])
    since = {r["document_id"]: r for r in table.headers(1).to_pylist()}
    assert since.keys() == {"a"}
    assert (since["a"]["op"], since["a"]["upsert_seq"]) == ("acl", None)
    everything = {r["document_id"]: r["upsert_seq"] for r in table.headers().to_pylist()}
    assert everything == {"a": 1, "b": 1}


def test_a_document_deleted_and_back_has_only_its_new_chunks(tmp_path: Path) -> None:
    table = Lake(str(tmp_path)).chunks("default")
    commit(table, upsert("a", "one"))
    commit(table, [{"document_id": "a", "op": "delete", "acl": OLD}])
    assert read_chunks(str(tmp_path), "default").num_rows == 0
    commit(table, upsert("a", "again"))
    assert read_chunks(str(tmp_path), "default", ["text"]).to_pylist() == [{"text": "again"}]


def test_the_sql_view_is_the_reader(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    table = Lake(str(tmp_path)).chunks("default")
    commit(table, [*upsert("a", "one", "two"), *upsert("b", "three"), *upsert("c", "four")])
    commit(table, [*upsert("a", "ONE"), {"document_id": "b", "op": "delete", "acl": OLD}])
    commit(table, [{"document_id": "c", "op": "acl", "acl": NEW, "labels": {"k": "new"}}])
    log = pa.concat_tables(scan(table, CHUNKS.names)).select(CHUNKS.names)
    connection = duckdb.connect()
    connection.register("log", log)
    columns = ["document_id", "chunk_id", "start", "end", "text", "acl"]
    rows = connection.execute(current_chunks_sql("log")).to_arrow_table().select(columns)
    expected = read_chunks(str(tmp_path), "default", columns)
    assert sorted(map(str, rows.to_pylist())) == sorted(map(str, expected.to_pylist()))
    assert rows.num_rows == 2


def test_parts_of_an_older_minor_version_are_read_with_nulls(tmp_path: Path) -> None:
    older = pa.struct([("size_compliance", pa.float64()), ("coverage", pa.float64())])
    place = CHUNKS.get_field_index("quality")
    table = Lake(str(tmp_path)).chunks("default")
    table.schema = CHUNKS.set(place, pa.field("quality", older))
    row = {"document_id": "a", "op": "upsert", "chunk_count": 1, "acl": OLD}
    chunk = {**upsert("a", "one")[1], "quality": {"size_compliance": 0.5, "coverage": 1.0}}
    batch = table.begin("transform", 1, "run")
    writer = PartWriter(table.folder, table.part_path(batch, "0"), table.schema)
    writer.write(pa.Table.from_pylist([{**r, "seq": 1} for r in (row, chunk)], schema=table.schema))
    part = writer.close()
    assert part is not None
    batch = dataclasses.replace(batch, parts=(part,))
    table.manifests.write(batch)
    table.commit(batch)
    newer = Lake(str(tmp_path)).chunks("default")
    commit(newer, upsert("b", "two"))
    rows = read_chunks(str(tmp_path), "default", ["document_id", "quality"]).to_pylist()
    assert rows[0]["quality"]["size_compliance"] == 0.5
    assert rows[0]["quality"]["cohesion"] is None
    assert newer.headers().num_rows == 2
