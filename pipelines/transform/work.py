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

from chunkers import embedders
from chunkers.quality import measure
from chunkers.registry import build
from chunkers.tokens import TokenMap, count_with_context
from lineage import Block, Document, ErrorInfo, Quality, TransientError
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
EMBEDDING_SECONDS = 4 * 3600.0
"""The same, where a chunker embeds every sentence."""
_FLUSH_CHARACTERS = 4_000_000


def chunk_pool(
    workers: int, encoding: str | None = None, characters: int = 0, *, embeds: bool = False
) -> ProcessPool:
    """`workers` processes for `chunk_unit`; with 0 it works in the calling process.

    Given the encoding, and about how many characters there are to chunk, its vocabulary is loaded
    once for all of them, and the faster encoder where that pays. With a chunker that `embeds`, a
    unit may take longer.
    """
    prepare = [("chunkers.counting:make_ready", (encoding, characters))] if encoding else []
    return ProcessPool(
        workers,
        function="pipelines.transform.work:chunk_unit",
        prepare=prepare,
        seconds=EMBEDDING_SECONDS if embeds else UNIT_SECONDS,
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
    vectors: Storage
    """Folder of the cache of vectors."""
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
        for (action, text, blocks), seconds in _with_vectors(unit):
            _chunk_and_charge(action, text, blocks, rows, reply, seconds)
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
    action: Action,
    text: str,
    blocks: Sequence[Block],
    rows: ChunkRows,
    reply: UnitReply,
    seconds: float,
) -> None:
    """`chunk_document`, and what it cost on top of `seconds`."""
    started, before = time.thread_time(), Counter(reply.counts)
    chunk_document(action, text, blocks, rows, reply)
    reply.ledger.add(
        dict(action.document["labels"] or ()),
        documents=1,
        chunks=reply.counts["chunks"] - before["chunks"],
        tokens=reply.counts["tokens"] - before["tokens"],
        seconds=seconds + time.thread_time() - started,
    )


Content = tuple[Action, str, Sequence[Block]]


def _with_vectors(unit: Unit) -> Iterator[tuple[Content, float]]:
    """The contents, with vectors at hand for chunkers that embed, and the CPU seconds of those."""
    if not any(embeds(action) for action in unit.actions):
        yield from ((content, 0.0) for content in _contents(unit))
        return
    from pipelines.embedding.ahead import Job, ReadAhead, job_of
    from pipelines.embedding.cache import VectorCache

    def job(content: Content) -> Job | None:
        action, text, blocks = content
        routed = action.routed
        assert routed is not None

        def cut() -> object:
            chunker = chunker_of(routed, unit.stamp.max_tokens)
            document = document_of(action.document, text, blocks)
            return chunker.spans(document, TokenMap(text, unit.stamp.encoding))

        return job_of(action.document["document_id"], routed.parameters, cut)

    ahead = ReadAhead(VectorCache(unit.vectors))
    yield from ahead.each(_contents(unit), job, lambda content: len(content[1]))


def embeds(action: Action) -> bool:
    """Whether the chunker of a route embeds."""
    return action.routed is not None and bool(embedders.described(action.routed.parameters))


def _contents(unit: Unit) -> Iterator[Content]:
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
    except TransientError:
        raise  # the lake is away, for which no document is to blame
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
