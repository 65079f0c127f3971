"""Rows of a chunk table, built column by column."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from chunkers.spans import Span
from lineage import Block, Document, ErrorInfo, Quality, chunk_id, record_dict
from lineage.schemas import CHUNKS
from pipelines.transform.checks import cap_of
from pipelines.transform.plan import Action

_PER_DOCUMENT = ("document_id", "acl", "labels", "lineage", "data_type")
_PER_ROW = tuple(name for name in CHUNKS.names if name not in _PER_DOCUMENT)


@dataclass(frozen=True, slots=True)
class RowStamp:
    """What all rows of a batch have in common."""

    strategy: str
    encoding: str
    max_tokens: int
    seq: int
    run_id: str
    now: datetime
    payers: tuple[str, ...] = ()
    """The labels by which costs are reported."""


@dataclass(slots=True)
class ChunkRows:
    """Collects header and chunk rows, and makes one Arrow table of them.

    What is the same for all rows of a document is stored once and repeated by index.
    """

    stamp: RowStamp
    _documents: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in _PER_DOCUMENT}
    )
    _rows: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _PER_ROW})
    _index: list[int] = field(default_factory=list)
    characters: int = 0
    """Code points of chunk text collected so far."""

    def __len__(self) -> int:
        return len(self._index)

    def add_header(
        self,
        action: Action,
        op: str,
        *,
        chunk_count: int,
        token_count: int = 0,
        quality: Quality | None = None,
        error: ErrorInfo | None = None,
    ) -> None:
        """The header row of one document; chunk rows that follow belong to it."""
        document = action.document
        self._documents["document_id"].append(document["document_id"])
        self._documents["acl"].append(document["acl"])
        self._documents["labels"].append(dict(document["labels"] or ()))
        self._documents["lineage"].append(self._lineage(action))
        self._documents["data_type"].append(document["data_type"])
        self._append(
            op=op,
            chunk_count=chunk_count,
            token_count=token_count,
            max_tokens=self.stamp.max_tokens,
            quality=None if quality is None else record_dict(quality),
            error=None if error is None else record_dict(error),
        )

    def add_chunks(
        self,
        document: Document,
        spans: Sequence[Span],
        counts: Sequence[int],
        qualities: Sequence[Quality],
    ) -> None:
        """The chunk rows of the document whose header was added last."""
        identifiers = chunk_ids(document, self.stamp.strategy, spans)
        pages = Pages(document.blocks)
        for ordinal, span in enumerate(spans):
            text = document.text[span.start : span.end]
            self.characters += len(text)
            first, last = pages.range(span.start, span.end)
            self._append(
                chunk_id=identifiers[ordinal],
                op="chunk",
                ordinal=ordinal,
                level=span.level,
                granularity=span.granularity,
                parent_chunk_id=None if span.parent is None else identifiers[span.parent],
                start=span.start,
                end=span.end,
                overlap_chars=span.overlap_chars,
                text=text,
                context=span.context,
                token_count=counts[ordinal],
                max_tokens=cap_of(span, self.stamp.max_tokens),
                heading_path=list(span.heading_path),
                page_first=first,
                page_last=last,
                quality=record_dict(qualities[ordinal]),
            )

    def table(self) -> pa.Table:
        """All rows so far, of the schema `CHUNKS`."""
        index = pa.array(self._index, pa.int64())
        columns: dict[str, pa.Array] = {}
        for name in _PER_DOCUMENT:
            column = pa.array(self._documents[name], CHUNKS.field(name).type)
            columns[name] = column.take(index)
        for name in _PER_ROW:
            columns[name] = pa.array(self._rows[name], CHUNKS.field(name).type)
        return pa.table([columns[name] for name in CHUNKS.names], schema=CHUNKS)

    def _append(self, **values: Any) -> None:
        values["seq"] = self.stamp.seq
        values["written_at"] = self.stamp.now
        for name, column in self._rows.items():
            column.append(values.get(name))
        self._index.append(len(self._documents["document_id"]) - 1)

    def _lineage(self, action: Action) -> dict[str, Any]:
        document = action.document
        before = (action.header or {}).get("lineage") or {}
        routed = action.routed
        return {
            "source_uri": document["source_uri"],
            "source_version": document["source_version"],
            "content_sha256": document["content_sha256"],
            "document_seq": document["seq"],
            "content_seq": document["content_seq"],
            "parser": document["parser"],
            "chunker": routed.chunker if routed else before.get("chunker"),
            "chunker_version": routed.chunker_version if routed else before.get("chunker_version"),
            "rule": routed.rule if routed else before.get("rule"),
            "parameters_hash": routed.parameters_hash if routed else before.get("parameters_hash"),
            "encoding": self.stamp.encoding,
            "ingest_run_id": document["run_id"],
            "transform_run_id": self.stamp.run_id,
        }


def chunk_ids(document: Document, strategy: str, spans: Sequence[Span]) -> list[str]:
    """The id of each span; equal ones are counted in order of position."""
    seen: Counter[tuple[int, str, str]] = Counter()
    identifiers = [""] * len(spans)
    for i in sorted(range(len(spans)), key=lambda i: (spans[i].start, spans[i].end, i)):
        span = spans[i]
        text = document.text[span.start : span.end]
        key = (span.level, span.context, text)
        identifiers[i] = chunk_id(
            document.document_id, strategy, span.level, span.context, text, seen[key]
        )
        seen[key] += 1
    return identifiers


class Pages:
    """Which pages a span touches, from the blocks that know their page.

    Pages do not go down along the text, so the blocks at a span's two ends tell.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        paged = [(b.start, b.page) for b in blocks if b.page and b.end > b.start]
        self._starts = [start for start, _ in paged]
        self._pages = [page for _, page in paged]

    def range(self, start: int, end: int) -> tuple[int | None, int | None]:
        """First and last page, or two nulls when no block has one."""
        if not self._pages:
            return None, None
        first = max(bisect_right(self._starts, start) - 1, 0)
        last = max(bisect_left(self._starts, end) - 1, first)
        return self._pages[first], self._pages[last]


def document_of(row: Mapping[str, Any], text: str, blocks: Sequence[Block]) -> Document:
    """What a chunker is given: the text, its blocks, and what chunkers look at."""
    return Document(
        text=text,
        blocks=blocks,
        document_id=row["document_id"],
        source_uri=row["source_uri"],
        media_type=row["media_type"],
        data_type=row["data_type"] or "prose",
        language=row["language"],
        title=row["title"],
        text_is_source=bool(row["text_is_source"]),
    )
