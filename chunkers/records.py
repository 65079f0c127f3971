"""Chunks of whole records: JSON, XML, YAML, logs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from chunkers.context import ContextFitter
from chunkers.layout import Layout
from chunkers.outline import BlockIndex
from chunkers.structure import StructureChunker
from chunkers.tokens import TokenMap
from lineage.records import Document


@dataclass(frozen=True, kw_only=True)
class RecordsChunker(StructureChunker):
    """Fills chunks with records; one is divided only when it does not fit, between those in it.

    What continues a record has its path (`$.users[3]`, an XPath, a line of the log) as context, so
    that a value does not stand without its place.

    Good for: JSON, JSON lines, XML, YAML, logs: text of many items that mean something alone.
    Costs: one pass of the encoding, and a look at each record.
    Comes from: LangChain's RecursiveJsonSplitter, on spans: no value is parsed or printed again.
    """

    name: ClassVar[str] = "records"
    version: ClassVar[str] = "2"

    def layout(
        self,
        document: Document,
        index: BlockIndex,
        tokens: TokenMap,
        contexts: ContextFitter,
        headings: tuple[str, ...],
    ) -> Layout:
        """As in `structure`, with the paths of records as context."""
        layout = super().layout(document, index, tokens, contexts, headings)
        return replace(layout, labelled=frozenset({"record"}))
