"""What a parse process does: a group of documents' bytes in, text and blocks out as Arrow.

Documents go in small groups, so that the cost of a message between processes is shared. A
group that hangs or dies is tried again one document at a time, so only the culprit is rejected.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pyarrow as pa

from lineage import Block, ParserInfo
from lineage.schemas import BLOCKS
from pipelines.ingest.parsers.base import Limits
from pipelines.pool import ProcessPool


def parse_pool(workers: int) -> ProcessPool:
    """`workers` processes for `parse_group`, without network and within the limits."""
    return pool_that_parses(workers, "pipelines.ingest.work:parse_group")


def pool_that_parses(workers: int, function: str) -> ProcessPool:
    """`workers` processes for a function that parses, as those of ingest are."""
    limits = Limits()
    return ProcessPool(
        workers,
        function=function,
        preload=("pipelines.ingest.parsers",),
        prepare=(("pipelines.ingest.parsers.language:load_model", ()),),
        seconds=limits.seconds,
        memory_bytes=limits.memory_bytes,
        network=False,
        initializer="pipelines.arrow:keep_pandas_out",
    )


@dataclass(frozen=True, slots=True)
class ParseItem:
    """One document's bytes and what the source says about them."""

    data: bytes
    name: str
    declared: str | None
    choice: Mapping[str, str] | str | None


@dataclass(frozen=True, slots=True)
class ParseOutcome:
    """What became of one document, its text and blocks aside."""

    parser: ParserInfo | None = None
    data_type: str | None = None
    media_type: str | None = None
    title: str | None = None
    language: str | None = None
    text_is_source: bool = False
    source_encoding: str | None = None
    bom_bytes: int = 0
    empty: bool = False
    """There is proven to be no text, white space aside."""
    error_class: str | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    """Processor time of the parse."""


@dataclass(frozen=True, slots=True)
class ParseReply:
    """Outcomes in the order of the items; `content` is an Arrow stream of `text` and `blocks`."""

    outcomes: tuple[ParseOutcome, ...]
    content: bytes

    def table(self) -> pa.Table:
        """Columns `text` and `blocks`, a row per item; null for what was rejected."""
        return pa.ipc.open_stream(self.content).read_all()


CONTENT = pa.schema([("text", pa.string()), ("blocks", BLOCKS)])


def parse_group(items: Sequence[ParseItem]) -> ParseReply:
    """Parse each item; an error is that item's outcome, but for lack of memory."""
    from pipelines.ingest.parsers import parse_bytes

    outcomes: list[ParseOutcome] = []
    texts: list[str | None] = []
    blocks: list[Sequence[Block] | None] = []
    for item in items:
        started = time.thread_time()
        try:
            parsed, info = parse_bytes(
                item.data, name=item.name, declared=item.declared, choice=item.choice
            )
        except MemoryError:
            raise
        except Exception as error:
            outcomes.append(replace(_failed(error), seconds=time.thread_time() - started))
            texts.append(None)
            blocks.append(None)
            continue
        outcomes.append(
            ParseOutcome(
                parser=info,
                data_type=parsed.data_type,
                media_type=parsed.media_type,
                title=parsed.title,
                language=parsed.language,
                text_is_source=parsed.text_is_source,
                source_encoding=parsed.source_encoding,
                bom_bytes=parsed.bom_bytes,
                empty=not parsed.text or parsed.text.isspace(),
                warnings=parsed.warnings,
                seconds=time.thread_time() - started,
            )
        )
        texts.append(parsed.text)
        blocks.append(parsed.blocks)
    table = pa.table([pa.array(texts, pa.string()), blocks_array(blocks)], schema=CONTENT)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, CONTENT) as writer:
        writer.write_table(table)
    return ParseReply(tuple(outcomes), sink.getvalue().to_pybytes())


def _failed(error: Exception) -> ParseOutcome:
    from pipelines.ingest.parsers.base import ParseError

    if isinstance(error, ParseError):
        return ParseOutcome(
            parser=error.parser, error_class=error.error_class, message=error.message
        )
    error_class = "limit_depth" if isinstance(error, RecursionError) else "malformed"
    return ParseOutcome(error_class=error_class, message=f"{type(error).__name__}: {error}")


def blocks_array(documents: Sequence[Sequence[Block] | None]) -> pa.Array:
    """The `blocks` column, built column by column: many times faster than from dictionaries."""
    offsets: list[int | None] = []
    total = 0
    for blocks in documents:
        offsets.append(None if blocks is None else total)
        total += len(blocks or ())
    offsets.append(total)
    flat = list(chain.from_iterable(blocks or () for blocks in documents))
    boxes = BLOCKS.value_type.field("bbox").type
    columns: list[tuple[str, pa.DataType, list[Any]]] = [
        ("kind", pa.string(), [block.kind for block in flat]),
        ("start", pa.int64(), [block.start for block in flat]),
        ("end", pa.int64(), [block.end for block in flat]),
        ("level", pa.int32(), [block.level for block in flat]),
        ("page", pa.int32(), [block.page for block in flat]),
        ("bbox", boxes, [_box(block) for block in flat]),
        ("locator", pa.string(), [block.locator for block in flat]),
    ]
    values = pa.StructArray.from_arrays(
        [pa.array(column, kind) for _, kind, column in columns], fields=list(BLOCKS.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=BLOCKS)


def _box(block: Block) -> dict[str, float] | None:
    if block.bbox is None:
        return None
    left, top, right, bottom = block.bbox
    return {"left": left, "top": top, "right": right, "bottom": bottom}
