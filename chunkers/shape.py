"""The shape of a document, in a few numbers that policy rules can ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lineage.records import Block

SHARES = ("table_share", "code_share", "list_share")
COUNTS = ("characters", "headings", "tables", "pages")


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of what a document has."""

    characters: int = 0
    """Code points up to the end of its last block."""
    headings: int = 0
    tables: int = 0
    pages: int = 0
    """Pages, slides or sheets; 0 where its blocks name none."""
    table_share: float = 0.0
    """Share of its characters that are in tables; likewise the others, from 0 to 1."""
    code_share: float = 0.0
    list_share: float = 0.0


def shape_of(blocks: Sequence[Block]) -> Shape:
    """The shape that the blocks of a document make."""
    characters = max((block.end for block in blocks), default=0)
    pages = {block.page for block in blocks if block.page is not None}
    return Shape(
        characters=characters,
        headings=sum(block.kind == "heading" for block in blocks),
        tables=sum(block.kind == "table" for block in blocks),
        pages=len(pages),
        table_share=_share(blocks, "table", characters),
        code_share=_share(blocks, "code", characters),
        list_share=_share(blocks, "list", characters),
    )


def _share(blocks: Sequence[Block], kind: str, characters: int) -> float:
    covered = reached = 0
    for block in blocks:
        if block.kind == kind and block.end > reached:
            covered += block.end - max(block.start, reached)
            reached = block.end
    return covered / characters if characters else 0.0
