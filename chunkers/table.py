"""Chunks of whole table rows."""

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
class TableChunker(StructureChunker):
    """Fills chunks with rows; a row is never split while it fits, and the header goes with each.

    A chunk that begins inside a table has its header row as context, under the sheet's name. Unlike
    in `structure`, a table larger than the target is divided, even if it is under the cap.

    Good for: CSV, spreadsheets, documents that are mostly tables.
    Costs: one pass of the encoding, and a look at each row.
    Comes from: the repeated headers of unstructured's tables and Docling's HybridChunker.
    """

    name: ClassVar[str] = "table"
    version: ClassVar[str] = "2"

    def layout(
        self,
        document: Document,
        index: BlockIndex,
        tokens: TokenMap,
        contexts: ContextFitter,
        headings: tuple[str, ...],
    ) -> Layout:
        """As in `structure`, but tables stay whole up to the target only."""
        layout = super().layout(document, index, tokens, contexts, headings)
        return replace(layout, table_room=self.target)
