"""Chunks of whole records: JSON, XML, YAML, logs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from chunkers.blocks.nested import nested_records
from chunkers.layout import Layout
from chunkers.outline import BlockIndex
from chunkers.packing import Atoms, Lines
from chunkers.structure import StructureChunker
from lineage.records import Block

_DEEPEST = 40
"""Nesting of blocks below which records are not looked into again."""


class _Records(Layout):
    """A layout that looks into records which have to be divided."""

    __slots__ = ()

    def leaf(
        self,
        atoms: Atoms,
        i: int,
        start: int,
        end: int,
        strength: int,
        opening: Lines,
        inside: Lines,
        path: Lines,
        depth: int,
    ) -> None:
        """See `Layout.leaf`."""
        block = self.index.blocks[i]
        inner: list[Block] = []
        if block.kind == "record" and block.locator and depth < _DEEPEST:
            inner = nested_records(self.index.text, block.start, block.end, block.locator)
        if not inner:
            super().leaf(atoms, i, start, end, strength, opening, inside, path, depth)
            return
        nested = replace(self, index=BlockIndex(self.index.text, inner, self.tokens))
        nested.flow(
            atoms, 0, len(inner), start, end,
            strength=strength, extras=inside, path=path, depth=_DEEPEST, first_extras=opening,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecordsChunker(StructureChunker):
    """Fills chunks with records; one is divided only when it does not fit, between those in it.

    What is in a record is looked for down to single values, as far as needed.

    What continues a record has its path (`$.users[3]`, an XPath, a line of the log) as context, so
    that a value does not stand without its place.

    Good for: JSON, JSON lines, XML, YAML, logs: text of many items that mean something alone.
    Costs: one pass of the encoding, and a look at each record.
    Comes from: LangChain's RecursiveJsonSplitter, on spans: no value is parsed or printed again.
    """

    name: ClassVar[str] = "records"
    version: ClassVar[str] = "2"
    layout_type: ClassVar[type[Layout]] = _Records

    def layout_options(self) -> dict[str, Any]:
        """The paths of records are context."""
        return {"labelled": frozenset({"record"})}
