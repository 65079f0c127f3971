"""Arrow schemas of the two tables, versioned.

The version is `MAJOR.MINOR`: a minor one adds nullable columns, which an older reader ignores;
a major one changes meaning, and a reader refuses a table of a newer major version.
Imported on its own, because it needs pyarrow, which the rest of `lineage` does not.
"""

from __future__ import annotations

import pyarrow as pa

from lineage.errors import SchemaVersionError

DOCUMENTS_VERSION = "1.1"
CHUNKS_VERSION = "1.1"

_names = pa.list_(pa.string())
_time = pa.timestamp("us", tz="UTC")
_labels = pa.map_(pa.string(), pa.string())

ACL = pa.struct(
    [
        ("state", pa.string()),
        ("allow_users", _names),
        ("allow_groups", _names),
        ("deny_users", _names),
        ("deny_groups", _names),
        ("origin", pa.string()),
        ("fingerprint", pa.string()),
    ]
)
PARSER = pa.struct([("name", pa.string()), ("version", pa.string()), ("options_hash", pa.string())])
ERROR = pa.struct(
    [
        ("stage", pa.string()),
        ("error_class", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
    ]
)
BBOX = pa.struct([(name, pa.float64()) for name in ("left", "top", "right", "bottom")])
BLOCKS = pa.list_(
    pa.struct(
        [
            ("kind", pa.string()),
            ("start", pa.int64()),
            ("end", pa.int64()),
            ("level", pa.int32()),
            ("page", pa.int32()),
            ("bbox", BBOX),
            ("locator", pa.string()),
        ]
    )
)
QUALITY = pa.struct(
    [
        (name, pa.float64())
        for name in (
            "size_compliance",
            "coverage",
            "boundary_cleanliness",
            "block_integrity",
            "redundancy",
            "cohesion",
            "separation",
            "dangling_references",
            "context_overhead",
        )
    ]
)
LINEAGE = pa.struct(
    [
        ("source_uri", pa.string()),
        ("source_version", pa.string()),
        ("content_sha256", pa.string()),
        ("document_seq", pa.int64()),
        ("content_seq", pa.int64()),
        ("parser", PARSER),
        ("chunker", pa.string()),
        ("chunker_version", pa.string()),
        ("rule", pa.string()),
        ("parameters_hash", pa.string()),
        ("encoding", pa.string()),
        ("ingest_run_id", pa.string()),
        ("transform_run_id", pa.string()),
    ]
)

DOCUMENTS = pa.schema(
    [
        ("document_id", pa.string()),
        ("pipeline", pa.string()),
        ("source", pa.string()),
        ("source_uri", pa.string()),
        ("seq", pa.int64()),
        ("content_seq", pa.int64()),
        ("op", pa.string()),
        ("source_version", pa.string()),
        ("content_sha256", pa.string()),
        ("size_bytes", pa.int64()),
        ("source_modified_at", _time),
        ("media_type", pa.string()),
        ("data_type", pa.string()),
        ("language", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("text_is_source", pa.bool_()),
        ("source_encoding", pa.string()),
        ("bom_bytes", pa.int32()),
        ("blocks", BLOCKS),
        ("acl", ACL),
        ("acl_as_of", _time),
        ("labels", _labels),
        ("parser", PARSER),
        ("warnings", _names),
        ("error", ERROR),
        ("run_id", pa.string()),
        ("written_at", _time),
    ]
)
"""One row per document and commit; `text` and `blocks` are null except in `upsert` rows."""

CHUNKS = pa.schema(
    [
        ("chunk_id", pa.string()),
        ("document_id", pa.string()),
        ("seq", pa.int64()),
        ("op", pa.string()),
        ("ordinal", pa.int32()),
        ("level", pa.int32()),
        ("granularity", pa.string()),
        ("parent_chunk_id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("overlap_chars", pa.int64()),
        ("text", pa.string()),
        ("context", pa.string()),
        ("token_count", pa.int64()),
        ("max_tokens", pa.int64()),
        ("heading_path", _names),
        ("page_first", pa.int32()),
        ("page_last", pa.int32()),
        ("data_type", pa.string()),
        ("chunk_count", pa.int32()),
        ("acl", ACL),
        ("labels", _labels),
        ("lineage", LINEAGE),
        ("quality", QUALITY),
        ("error", ERROR),
        ("written_at", _time),
    ]
)
"""Per document and commit one header row (`chunk_id` null) and, under an `upsert` header, its
`chunk_count` chunk rows of the same `seq`."""

DOCUMENT_LARGE = ("text", "blocks")
"""Columns of the documents table that only `upsert` rows fill."""


def check_version(table: str, written: str, known: str) -> None:
    """Refuse a table that a newer major version wrote.

    Raises:
        SchemaVersionError: the major version of `written` is above that of `known`.
    """
    if int(written.split(".")[0]) > int(known.split(".")[0]):
        raise SchemaVersionError(
            f"table {table!r} was written with schema version {written}; this installation reads "
            f"up to {known.split('.')[0]}.x. Upgrade gristmill, or point `lake` at another folder."
        )
