"""The columns of the search index, and how chunk rows become rows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lineage import Acl, TerminalError, embedded_text, fingerprint
from pipelines.load.sink import Replace, SetAcl

_names = pa.list_(pa.string())

_COPIED = (
    "chunk_id", "document_id", "text", "context", "start", "end", "ordinal", "level",
    "granularity", "parent_chunk_id", "data_type", "heading_path", "page_first", "page_last",
    "token_count",
)  # fmt: skip
_LINEAGE = (
    "source_uri", "source_version", "content_sha256", "content_seq", "chunker", "chunker_version",
    "rule", "parameters_hash", "encoding",
)  # fmt: skip

CHUNK_COLUMNS = (*_COPIED, "seq", "lineage")
"""Columns of the chunk table that the index is made of."""

RIGHTS = pa.schema(
    [
        ("acl_state", pa.string()),
        ("acl_denies", pa.bool_()),
        ("allow_users", _names),
        ("allow_groups", _names),
        ("deny_users", _names),
        ("deny_groups", _names),
        ("acl_origin", pa.string()),
        ("labels", _names),
        ("labels_json", pa.string()),
    ]
)
"""What `set_acl` changes. No list is ever null, so that no filter sees an unknown truth value.
`labels` holds `key=value` for filters, `labels_json` the mapping."""


VECTOR, MODEL = "vector", "embedding_model"
"""Columns of an index with vectors: the vector, and what made it; null where there is none."""


def index_schema(chunks: pa.Schema, dimensions: int | None = None) -> pa.Schema:
    """Columns of the index, in order, given those of the chunk table, and of its vectors if any."""
    vectors = (
        [pa.field(VECTOR, pa.list_(pa.float32(), dimensions)), pa.field(MODEL, pa.string())]
        if dimensions
        else []
    )
    lineage = chunks.field("lineage").type
    return pa.schema(
        [
            *(chunks.field(name) for name in _COPIED),
            ("embedded_text", pa.string()),
            ("seq", pa.int64()),
            *(lineage.field(name) for name in _LINEAGE),
            *RIGHTS,
            *vectors,
        ]
    )


def embedded_texts(chunks: pa.Table) -> list[str | None]:
    """What is embedded of each chunk row; null for larger chunks, which are read, not searched."""
    return [
        embedded_text(context or "", text) if level == 0 else None
        for context, text, level in zip(
            *(chunks[name].to_pylist() for name in ("context", "text", "level")), strict=True
        )
    ]


def rights(entries: Sequence[tuple[Acl, Mapping[str, str]]]) -> dict[str, pa.Array]:
    """One row of `RIGHTS` columns for each (ACL, labels)."""
    acls = [acl for acl, _ in entries]
    columns: dict[str, list[object]] = {
        "acl_state": [acl.state for acl in acls],
        "acl_denies": [bool(acl.deny_users or acl.deny_groups) for acl in acls],
        "allow_users": [acl.allow_users for acl in acls],
        "allow_groups": [acl.allow_groups for acl in acls],
        "deny_users": [acl.deny_users for acl in acls],
        "deny_groups": [acl.deny_groups for acl in acls],
        "acl_origin": [acl.origin for acl in acls],
        "labels": [sorted(f"{key}={value}" for key, value in ls.items()) for _, ls in entries],
        "labels_json": [
            json.dumps(dict(ls), sort_keys=True, ensure_ascii=False) for _, ls in entries
        ],
    }
    return {name: pa.array(values, RIGHTS.field(name).type) for name, values in columns.items()}


def replacement_rows(
    batch: Sequence[Replace], schema: pa.Schema, model: str | None = None
) -> pa.Table:
    """The index rows of all chunks of a batch; with the name of the model that made its vectors."""
    filled = [change for change in batch if change.chunks.num_rows]
    if not filled:
        return schema.empty_table()
    chunks = pa.concat_tables([change.chunks.select(CHUNK_COLUMNS) for change in filled])
    chunks = chunks.combine_chunks()
    columns = {name: chunks[name] for name in (*_COPIED, "seq")}
    context = pc.fill_null(chunks["context"], "")
    columns["embedded_text"] = pc.if_else(
        pc.equal(context, ""),
        chunks["text"],
        pc.binary_join_element_wise(context, chunks["text"], "\n\n"),
    )
    columns |= {name: pc.struct_field(chunks["lineage"], name) for name in _LINEAGE}
    counts = [change.chunks.num_rows for change in filled]
    repeat = pa.array(np.repeat(np.arange(len(filled)), counts))
    for name, values in rights([(change.acl, change.labels) for change in filled]).items():
        columns[name] = values.take(repeat)
    if VECTOR in schema.names:
        vectors = np.concatenate([_vectors(change) for change in filled])
        flat = pa.array(vectors.ravel(), pa.float32())
        columns[VECTOR] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
        # What has no vector has zeros in its place, and no model: no search by vectors sees it.
        names = [model if level == 0 else None for level in chunks["level"].to_pylist()]
        columns[MODEL] = pa.array(names, pa.string())
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _vectors(change: Replace) -> npt.NDArray[np.float32]:
    if change.vectors is None or len(change.vectors) != change.chunks.num_rows:
        raise TerminalError(f"document {change.document_id} came without vectors for its chunks")
    return change.vectors


def rights_rows(batch: Sequence[SetAcl]) -> pa.Table:
    """`document_id` and the `RIGHTS` columns, a row for each change."""
    ids = pa.array([change.document_id for change in batch], pa.string())
    columns = rights([(change.acl, change.labels) for change in batch])
    return pa.table({"document_id": ids, **columns})


def layout_fingerprint(schema: pa.Schema, options: Mapping[str, object]) -> str:
    """Changes when an index has to be built anew."""
    fields = [[field.name, str(field.type)] for field in schema]
    return fingerprint({"fields": fields, "options": dict(options)})
