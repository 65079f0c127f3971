"""What a chunking process does: some documents of one part file in, a part of chunks out.

The process reads the text from the lake and writes the chunks to it, so neither crosses a pipe.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa

from chunkers.quality import measure
from chunkers.registry import build
from chunkers.tokens import TokenMap, count_with_context
from lineage import Block, Document, ErrorInfo, Quality
from pipelines.pool import ProcessPool
from pipelines.storage import Storage
from pipelines.tables import Part, PartWriter, Place, read_rows
from pipelines.transform.checks import BrokenPromise, check_cap, check_parents, check_spans
from pipelines.transform.figures import Figures
from pipelines.transform.plan import Action, Routed
from pipelines.transform.rows import ChunkRows, RowStamp, document_of
from pipelines.usage import Ledger

UNIT_SECONDS = 900.0
"""Wall-clock limit of one unit of work, some hundred documents."""
_FLUSH_CHARACTERS = 4_000_000


def chunk_pool(workers: int, encoding: str | None = None, characters: int = 0) -> ProcessPool:
    """`workers` processes for `chunk_unit`; with 0 it works in the calling process.

    Given the encoding, and about how many characters there are to chunk, its vocabulary is loaded
    once for all of them, and the faster encoder where that pays.
    """
    prepare = [("chunkers.tokens:make_ready", (encoding, characters))] if encoding else []
    return ProcessPool(
        workers,
        function="pipelines.transform.work:chunk_unit",
        prepare=prepare,
        seconds=UNIT_SECONDS,
        initializer="pipelines.arrow:keep_pandas_out",
    )


@dataclass(frozen=True, slots=True)
class Unit:
    """Documents whose content is in one part file."""

    place: Place
    actions: tuple[Action, ...]
    documents: Storage
    """Folder of the documents table."""
    chunks: Storage
    """Folder of the chunk table."""
    part_path: str
    stamp: RowStamp
    schema: pa.Schema


@dataclass(slots=True)
class UnitReply:
    """The unit's part, counts, figures and costs."""

    part: Part | None = None
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, Figures] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)


def chunk_unit(unit: Unit) -> UnitReply:
    """Chunk every document of the unit and write one part file."""
    writer = PartWriter(unit.chunks, unit.part_path, unit.schema)
    reply = UnitReply(ledger=Ledger(unit.stamp.payers))
    try:
        rows = ChunkRows(unit.stamp)
        for action, text, blocks in _contents(unit):
            _chunk_and_charge(action, text, blocks, rows, reply)
            if rows.characters > _FLUSH_CHARACTERS:
                writer.write(rows.table())
                rows = ChunkRows(unit.stamp)
        if len(rows):
            writer.write(rows.table())
        reply.part = writer.close()
    except BaseException:
        writer.abort()
        raise
    return reply


def _chunk_and_charge(
    action: Action, text: str, blocks: Sequence[Block], rows: ChunkRows, reply: UnitReply
) -> None:
    """`chunk_document`, and what it cost."""
    started, before = time.thread_time(), Counter(reply.counts)
    chunk_document(action, text, blocks, rows, reply)
    reply.ledger.add(
        dict(action.document["labels"] or ()),
        documents=1,
        chunks=reply.counts["chunks"] - before["chunks"],
        tokens=reply.counts["tokens"] - before["tokens"],
        seconds=time.thread_time() - started,
    )


def _contents(unit: Unit) -> Iterator[tuple[Action, str, Sequence[Block]]]:
    actions = {action.document["document_id"]: action for action in unit.actions}
    wanted = [(key, action.document["content_seq"]) for key, action in actions.items()]
    for table in read_rows(unit.documents, unit.place, ["text", "blocks"], wanted):
        ids = table["document_id"].to_pylist()
        texts = table["text"].to_pylist()
        for identifier, text, blocks in zip(ids, texts, blocks_of(table["blocks"]), strict=True):
            yield actions[identifier], text or "", blocks


def blocks_of(column: pa.ChunkedArray) -> Iterator[list[Block]]:
    """The `blocks` column as records, read column by column: many times faster than by row."""
    for chunk in column.chunks:
        flat = chunk.flatten()
        boxes = flat.field("bbox")
        fields = [
            flat.field(name).to_pylist() for name in ("kind", "start", "end", "level", "page")
        ]
        bounds = (
            [None] * len(flat)
            if boxes.null_count == len(boxes)
            else [tuple(box.values()) if box else None for box in boxes.to_pylist()]
        )
        blocks = [
            Block(*values)
            for values in zip(*fields, bounds, flat.field("locator").to_pylist(), strict=True)
        ]
        position = 0
        for length in chunk.value_lengths().to_pylist():
            yield blocks[position : position + (length or 0)]
            position += length or 0


@lru_cache(maxsize=64)
def _chunker(name: str, parameters: str, max_tokens: int) -> Any:
    return build(name, json.loads(parameters), max_tokens=max_tokens)


def chunker_of(routed: Routed, max_tokens: int) -> Any:
    """The chunker of a route, built once per process."""
    # As JSON, because parameters may hold lists and mappings, which have no hash.
    parameters = json.dumps(routed.parameters, sort_keys=True)
    return _chunker(routed.chunker, parameters, max_tokens)


def chunk_document(
    action: Action, text: str, blocks: Sequence[Block], rows: ChunkRows, reply: UnitReply
) -> None:
    """Chunk one document, check what was promised, and add its rows; a failure is a reject row."""
    assert action.routed is not None
    document = document_of(action.document, text, blocks)
    stamp = rows.stamp
    chunker = chunker_of(action.routed, stamp.max_tokens)
    try:
        tokens = TokenMap(text, stamp.encoding)
        spans = chunker.spans(document, tokens)
        check_spans(document, spans)
        check_parents(spans)
        counts = [count_with_context(tokens, span) for span in spans]
        check_cap(spans, counts, stamp.max_tokens)
    except BrokenPromise as error:
        add_reject(action, error.error_class, error.message, rows, reply)
        return
    except Exception as error:
        message = f"{type(chunker).__name__} failed: {type(error).__name__}: {error}"
        add_reject(action, "chunker_error", message, rows, reply)
        return
    target = getattr(chunker, "target_tokens", None) or stamp.max_tokens
    quality, qualities = measure(document, spans, counts, stamp.max_tokens, target)
    rows.add_header(
        action, "upsert", chunk_count=len(spans), token_count=sum(counts), quality=quality
    )
    rows.add_chunks(document, spans, counts, qualities)
    reply.counts.update(documents=1, chunks=len(spans), tokens=sum(counts))
    if spans:
        _add_figures(reply, document, quality, counts)


def add_reject(
    action: Action, error_class: str, message: str, rows: ChunkRows, reply: UnitReply
) -> None:
    """A header row that withdraws the document's chunks and says why."""
    error = ErrorInfo("transform", error_class, message[:2000])
    rows.add_header(action, "reject", chunk_count=0, error=error)
    reply.counts.update(rejected=1)


def _add_figures(
    reply: UnitReply, document: Document, quality: Quality, counts: Sequence[int]
) -> None:
    reply.figures.setdefault(document.data_type, Figures()).add(quality, counts)
