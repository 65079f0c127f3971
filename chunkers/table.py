"""Chunks of whole table rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from chunkers.structure import StructureChunker


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

    def layout_options(self) -> dict[str, Any]:
        """Tables stay whole up to the target only."""
        return {"table_room": self.target}
