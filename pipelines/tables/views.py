"""The `current` views as SQL: the latest state of the change logs, ready to query.

The statements run as they are on DuckDB and Spark. `log` is whatever gives the table's rows:
`delta_scan('…/documents')` in DuckDB with its delta extension, delta.`…/documents` in Spark, or
a registered relation.
"""

from __future__ import annotations


def current_documents_sql(log: str) -> str:
    """A query for the documents that exist now, each with the text and blocks in force."""
    return f"""
WITH newest AS (
  SELECT *, row_number() OVER (PARTITION BY document_id ORDER BY seq DESC) AS age FROM {log}
), state AS (
  SELECT * FROM newest WHERE age = 1 AND op <> 'delete'
)
SELECT
  s.document_id, s.pipeline, s.source, s.source_uri, s.seq, s.content_seq, s.op,
  s.source_version, s.content_sha256, s.size_bytes, s.source_modified_at, s.media_type,
  s.data_type, s.language, s.title, c.text, s.text_is_source, s.source_encoding, s.bom_bytes,
  c.blocks, s.acl, s.acl_as_of, s.labels, s.parser, s.warnings, s.error, s.run_id, s.written_at
FROM state s
LEFT JOIN {log} c
  ON c.document_id = s.document_id AND c.seq = s.content_seq AND c.op = 'upsert'
""".strip()


def current_chunks_sql(log: str) -> str:
    """A query for the chunks that exist now, each with its document's newest ACL and labels."""
    return f"""
WITH headers AS (
  SELECT *, row_number() OVER (PARTITION BY document_id ORDER BY seq DESC) AS age
  FROM {log} WHERE op <> 'chunk'
), state AS (
  SELECT document_id, acl, labels FROM headers
  WHERE age = 1 AND op NOT IN ('delete', 'reject')
), content AS (
  SELECT document_id, max(seq) AS seq FROM {log} WHERE op = 'upsert' GROUP BY document_id
)
SELECT
  k.chunk_id, k.document_id, k.seq, k.ordinal, k.level, k.granularity, k.parent_chunk_id,
  k.start, k.end, k.overlap_chars, k.text, k.context, k.token_count, k.max_tokens,
  k.heading_path, k.page_first, k.page_last, k.data_type, s.acl, s.labels, k.lineage, k.quality
FROM state s
JOIN content c ON c.document_id = s.document_id
JOIN {log} k ON k.document_id = c.document_id AND k.seq = c.seq AND k.op = 'chunk'
""".strip()
