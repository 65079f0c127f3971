"""Compaction and erasure of a lake in a container."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.tables import Lake, read_chunks, read_documents
from pipelines.tables.fold import fold
from pipelines.upkeep import forget
from pipelines.upkeep.compact import compact, sweep

pytestmark = pytest.mark.azurite


def texts(lake: str) -> list[str]:
    return sorted(read_chunks(lake, "default", ["text"])["text"].to_pylist())


def test_a_lake_in_a_container_is_folded_swept_and_made_to_forget(
    azurite: Any, project: Any
) -> None:
    uri = f"az://{azurite.container().container_name}/some/lake"
    project.settings = {"lake": uri, "sinks": []}
    for name in "abc":
        project.write(f"{name}.md", f"The words of document {name}.")
    project.ingest()
    project.transform()
    project.write("a.md", "Other words of document a.")
    (project.root / "docs/c.md").unlink()
    project.ingest()
    project.transform()
    before = texts(uri)
    done = compact(project.config, vacuum=True)
    assert set(done.folded) == {"documents", "chunks/default"}
    assert texts(uri) == before
    lake = Lake(uri)
    assert fold(lake.documents, lake.documents.seq) is None
    assert sweep(lake.documents, 0) == 2
    assert texts(uri) == before
    identifier = forget.forget(project.config, "a.md", "run-1").document_id
    assert texts(uri) == ["The words of document b."]
    assert identifier not in read_documents(uri, ["document_id"])["document_id"].to_pylist()
    files = (lake.storage / "documents" / "data").files()
    assert len(files) == len(lake.documents.files)
    assert project.ingest().counts["listed"] == 1
    forget.restore(project.config, identifier)
    project.ingest()
    project.transform()
    assert texts(uri) == before


def test_a_table_of_an_older_minor_version_is_widened_in_a_container(azurite: Any) -> None:
    import dataclasses

    import pyarrow as pa

    from lineage.schemas import DOCUMENTS
    from pipelines.tables import PartWriter, Table

    uri = f"az://{azurite.container().container_name}/lake"
    now = Lake(uri).documents
    schema = pa.schema([field for field in DOCUMENTS if field.name != "warnings"])
    before = Table("documents", now.folder, now.manifests.folder, schema, "1.0")
    for number, table in enumerate((before, now), 1):
        batch = table.begin("c", number, "run")
        row = {"document_id": str(number), "seq": number, "op": "reject", "source": "s"}
        if table is now:
            row["warnings"] = ["cut short"]
        writer = PartWriter(table.folder, table.part_path(batch, "0"), table.schema)
        writer.write(pa.Table.from_pylist([row], schema=table.schema))
        part = writer.close()
        assert part is not None
        batch = dataclasses.replace(batch, parts=(part,))
        table.manifests.write(batch)
        table.commit(batch)
    rows = read_documents(uri, ["document_id", "warnings"]).to_pylist()
    assert [row["warnings"] for row in rows] == [None, ["cut short"]]
    assert "warnings" in now.opened().schema().to_arrow().names
