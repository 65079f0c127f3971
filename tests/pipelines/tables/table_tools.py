"""Commits of made-up documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from lineage.schemas import DOCUMENTS
from pipelines.tables import Batch, PartWriter, Table


def row(identifier: str, seq: int, op: str = "upsert", **values: object) -> dict[str, object]:
    content = {"text": f"text of {identifier} at {seq}", "content_seq": seq, "blocks": []}
    return {
        "document_id": identifier,
        "seq": seq,
        "op": op,
        "source": "s",
        "labels": {},
        "acl": {"state": "public", "fingerprint": "f"},
        **(content if op == "upsert" else {}),
        **values,
    }


def written(
    table: Table, batch: Batch, rows: Sequence[dict[str, object]], part: str = "0"
) -> Batch:
    writer = PartWriter(table.folder, table.part_path(batch, part), DOCUMENTS)
    writer.write(pa.Table.from_pylist(list(rows), schema=DOCUMENTS))
    finished = writer.close()
    assert finished is not None
    batch = dataclasses.replace(batch, parts=(*batch.parts, finished))
    table.manifests.write(batch)
    return batch


def commit(table: Table, rows: Sequence[dict[str, object]], consumer: str = "c") -> Batch:
    batch = table.begin(consumer, table.seq + 1, "run")
    batch = written(table, batch, [{**r, "seq": batch.seq} for r in rows])
    table.commit(batch)
    return batch
