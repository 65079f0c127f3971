"""What a process of the forecast does: parse and chunk a document, and keep only the amounts.

The same code decides here as in the stages, so what they will reject counts as nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lineage import Block, embedded_text
from lineage.schemas import DOCUMENTS
from pipelines.config import StrategyConfig
from pipelines.facts import document_facts
from pipelines.ingest.work import ParseItem, parse_group, pool_that_parses
from pipelines.pool import ProcessPool
from pipelines.storage import Storage
from pipelines.transform.plan import Action
from pipelines.transform.rows import ChunkRows, RowStamp, document_of
from pipelines.transform.stage import router_of
from pipelines.transform.work import UnitReply, blocks_of, chunk_document, embeds


def forecast_pool(workers: int) -> ProcessPool:
    """`workers` processes for `measure`, as the parse processes of ingest are."""
    return pool_that_parses(workers, "pipelines.queries.forecast_work:measure")


@dataclass(frozen=True, slots=True)
class Probe:
    """A document to measure: its bytes, or the text and blocks that are in the lake."""

    key: str
    row: Mapping[str, Any]
    """What is known of it, in the columns of the documents table."""
    roots: Mapping[str, str]
    strategies: tuple[StrategyConfig, ...]
    parse: ParseItem | None = None
    text: str = ""
    blocks: Sequence[Block] = ()
    vectors: Storage | None = None
    """The cache of vectors, which is only read; null where a process without network cannot."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a document comes to, for one strategy."""

    rejected: bool
    chunks: int
    tokens: int
    seconds: float
    texts: tuple[tuple[str, int], ...]
    """What is embedded of each chunk of level 0, and its tokens."""


def measure(probe: Probe) -> dict[str, Amounts]:
    """The amounts for each strategy; none at all for a document that cannot be parsed."""
    started = time.thread_time()
    row = dict.fromkeys(DOCUMENTS.names) | dict(probe.row)
    text, blocks = probe.text, list(probe.blocks)
    if probe.parse is not None:
        reply = parse_group([probe.parse])
        outcome = reply.outcomes[0]
        if outcome.error_class is not None:
            return {}
        content = reply.table()
        text = content["text"][0].as_py() or ""
        blocks = next(iter(blocks_of(content["blocks"])), [])
        row |= {
            "media_type": outcome.media_type,
            "data_type": outcome.data_type,
            "language": outcome.language,
            "title": outcome.title or row["title"],
            "text_is_source": outcome.text_is_source,
        }
    parsing = time.thread_time() - started
    result = {}
    for strategy in probe.strategies:
        began = time.thread_time()
        amounts = _chunk(strategy, row, text, blocks, probe)
        seconds = parsing / len(probe.strategies) + time.thread_time() - began
        result[strategy.name] = Amounts(*amounts[:3], seconds, amounts[3])
    return result


def _chunk(
    strategy: StrategyConfig,
    row: Mapping[str, Any],
    text: str,
    blocks: Sequence[Block],
    probe: Probe,
) -> tuple[bool, int, int, tuple[tuple[str, int], ...]]:
    stamp = RowStamp(
        strategy.name, strategy.encoding, strategy.max_tokens, 1, "", datetime.now(UTC)
    )
    routed = router_of(strategy).route(document_facts(row, probe.roots))
    action = Action("chunk", row, None, routed)

    def chunked() -> tuple[ChunkRows, UnitReply]:
        rows, reply = ChunkRows(stamp), UnitReply()
        chunk_document(action, text, blocks, rows, reply)
        return rows, reply

    if embeds(action):
        from pipelines.embedding.ahead import ReadAhead
        from pipelines.embedding.cache import VectorCache

        cache = None if probe.vectors is None else VectorCache(probe.vectors)
        document = document_of(row, text, blocks)
        rows, reply = ReadAhead(cache, keep=False).once(document, routed.parameters, chunked)
    else:
        rows, reply = chunked()
    table = rows.table().select(["op", "level", "context", "text", "token_count"]).to_pylist()
    texts = tuple(
        (embedded_text(each["context"] or "", each["text"]), each["token_count"])
        for each in table
        if each["op"] == "chunk" and each["level"] == 0
    )
    counts = reply.counts
    return bool(counts["rejected"]), counts["chunks"], counts["tokens"], texts
