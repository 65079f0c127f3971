"""The promises, checked again over what is in the lake, from the stored rows alone.

Nothing of the code that wrote the rows is used: spans are compared with the stored text, tokens
are counted anew, ids are computed anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import Config, StrategyConfig
from pipelines.progress import Progress
from pipelines.queries.checks import acl_problem, chunk_problems, coverage_problems, id_problems
from pipelines.queries.find import require_documents
from pipelines.queries.verify_sources import verify_sources
from pipelines.queries.violations import Report, Violation
from pipelines.tables import Lake, iter_documents, newest_documents

_BATCH_CHARS = 32 << 20
_STATE_COLUMNS = (
    "source", "source_uri", "source_version", "content_sha256", "op", "content_seq", "acl",
)  # fmt: skip
_HEAD_COLUMNS = ("document_id", "op", "lineage", "acl", "chunk_count", "upsert_seq")
_CHUNK_COLUMNS = (
    "document_id", "chunk_id", "ordinal", "level", "granularity", "parent_chunk_id", "start",
    "end", "text", "context", "token_count", "max_tokens", "acl", "lineage",
)  # fmt: skip


def verify(config: Config, *, sources: bool, progress: Progress) -> Report:
    """Check P1, P2, P3, P5 (ids), P6 (withdrawn chunks) and P9 over all current documents.

    Args:
        config: the pipeline.
        sources: read all sources again, too, and compare their hashes.
        progress: told of each document.

    Raises:
        ConfigError: nothing was ingested yet.
    """
    lake = require_documents(config)
    report = Report()
    state = newest_documents(lake.documents, _STATE_COLUMNS)
    live = state.filter(pc.not_equal(state["op"], "delete"))
    report.documents = live.num_rows
    for row in live.select(["document_id", "source_uri", "acl"]).to_pylist():
        problem = acl_problem(row["acl"])
        if problem:
            report.add(_violation("P3", None, row, None, problem))
    for strategy in config.strategies:
        _Strategy(lake, strategy, state, report, progress).check()
    if sources:
        verify_sources(config, live, report, progress)
    return report


class _Strategy:
    """The check of one strategy's chunks."""

    def __init__(
        self,
        lake: Lake,
        strategy: StrategyConfig,
        state: pa.Table,
        report: Report,
        progress: Progress,
    ) -> None:
        self.lake = lake
        self.strategy = strategy
        self.table = lake.chunks(strategy.name)
        self.report = report
        self.progress = progress
        self.documents = {row["document_id"]: row for row in state.to_pylist()}

    def check(self) -> None:
        """Headers against documents first, then the chunks of all that are current."""
        if not self.table.exists:
            self.report.behind += sum(d["content_seq"] is not None for d in self.documents.values())
            return
        self.heads = {
            row["document_id"]: row
            for row in self.table.headers().select(_HEAD_COLUMNS).to_pylist()
        }
        self.position = self.table.position(self.strategy.consumer()) or 0
        current = {i for i, document in self.documents.items() if self._check_header(i, document)}
        for identifier in self.heads.keys() - self.documents.keys():
            row = {"document_id": identifier, "source_uri": ""}
            self._add("table", row, None, "chunks of a document that the lake does not know")
        self.progress.stage(f"verify {self.strategy.name}", len(current))
        for texts in _texts(self.lake, current):
            self._check_texts(texts)

    def _check_header(self, identifier: str, document: Mapping[str, Any]) -> bool:
        """Whether the document's chunks answer to its current content and can be compared."""
        head = self.heads.get(identifier)
        if head is None:
            if document["content_seq"] is None:
                return False
            if document["seq"] <= self.position:
                self._add("P2", document, None, "has text, and was never chunked nor rejected")
            else:
                self.report.behind += 1
            return False
        lineage = head["lineage"] or {}
        fresh = (lineage.get("document_seq") or 0) >= document["seq"]
        has_chunks = head["upsert_seq"] is not None
        if document["content_seq"] is None:
            if has_chunks and fresh:
                self._add("P6", document, None, f"is withdrawn ({document['op']}) and has chunks")
            self.report.behind += has_chunks and not fresh
            return False
        same_content = lineage.get("content_seq") == document["content_seq"]
        if not same_content:
            self.report.behind += 1
            return False
        if head["acl"]["fingerprint"] != document["acl"]["fingerprint"]:
            if fresh:
                self._add("P3", document, None, "its chunks carry other rights than it does")
            else:
                self.report.behind += 1
        return has_chunks

    def _check_texts(self, texts: Mapping[str, str]) -> None:
        seqs = {identifier: self.heads[identifier]["upsert_seq"] for identifier in texts}
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for batch in self.table.chunk_batches(seqs, _CHUNK_COLUMNS):
            for row in batch.to_pylist():
                rows[row["document_id"]].append(row)
        for identifier, text in texts.items():
            self._check_document(self.documents[identifier], text, rows.get(identifier, []))
            self.progress.advance(1)

    def _check_document(
        self, document: Mapping[str, Any], text: str, chunks: Sequence[dict[str, Any]]
    ) -> None:
        self.report.chunks += len(chunks)
        head = self.heads[document["document_id"]]
        if head["chunk_count"] != len(chunks):
            self._add(
                "table", document, None,
                f"its header says {head['chunk_count']} chunks, and there are {len(chunks)}",
            )  # fmt: skip
        for chunk in chunks:
            for promise, problem in chunk_problems(chunk, text, self.strategy.encoding):
                self._add(promise, document, chunk["chunk_id"], problem)
        for problem in coverage_problems(chunks, text):
            self._add("P2", document, None, problem)
        for identifier, problem in id_problems(chunks, self.strategy.name):
            self._add("P5", document, identifier, problem)

    def _add(
        self, promise: str, document: Mapping[str, Any], chunk: str | None, message: str
    ) -> None:
        self.report.add(_violation(promise, self.strategy.name, document, chunk, message))


def _violation(
    promise: str,
    strategy: str | None,
    document: Mapping[str, Any],
    chunk: str | None,
    message: str,
) -> Violation:
    return Violation(
        promise, strategy, document["document_id"], document["source_uri"], chunk, message
    )


def _texts(lake: Lake, wanted: set[str]) -> Iterator[dict[str, str]]:
    """The texts of `wanted` documents, so many at a time that memory stays bounded."""
    batch: dict[str, str] = {}
    size = 0
    for rows in iter_documents(lake, ["document_id", "text"]):
        for identifier, text in zip(
            rows["document_id"].to_pylist(), rows["text"].to_pylist(), strict=True
        ):
            if identifier not in wanted:
                continue
            batch[identifier] = text or ""
            size += len(text or "")
            if size >= _BATCH_CHARS:
                yield batch
                batch, size = {}, 0
    if batch:
        yield batch
