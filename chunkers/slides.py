"""Chunks of whole slides or pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from chunkers.base import Part
from chunkers.context import ContextFitter
from chunkers.outline import BlockIndex, Section, heading_title
from chunkers.parameters import check_int
from chunkers.structure import Region, StructureChunker
from chunkers.tokens import TokenMap
from lineage.records import Document


@dataclass(frozen=True, kw_only=True)
class SlidesChunker(StructureChunker):
    """One chunk a slide or page; a larger one is divided between its blocks, under its title.

    A slide of fewer than `least_tokens`, such as a title alone, goes with the next one when both
    fit the target. Without slides the pages that the blocks name are taken, and without those
    it does as `structure` does.

    Good for: presentations, and PDF where an answer should point at one page.
    Costs: one pass of the encoding, and a look at each block.
    Comes from: Azure's and LlamaIndex's page-wise readers.
    """

    name: ClassVar[str] = "slides"
    version: ClassVar[str] = "2"

    least_tokens: int = 24
    """Tokens below which a slide does not stand alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int(f"chunker {self.name!r}", "least_tokens", self.least_tokens, 0)

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """Whole slides, and the packed blocks of those that are too large."""
        index = BlockIndex(document.text, document.blocks, tokens)
        firsts = _pages(index)
        if len(firsts) < 2:
            yield from super().parts(document, tokens, contexts)
            return
        length = len(document.text)
        places = [0, *(index.starts[first] for first in firsts[1:]), length]
        stops = [*firsts[1:], len(index)]
        i = 0
        while i < len(firsts):
            begin, first = places[i], firsts[i]
            while (
                i + 1 < len(firsts)
                and tokens.estimate(places[i], places[i + 1]) < self.least_tokens
                and tokens.estimate(begin, places[i + 2]) <= self.target
            ):
                i += 1
            end, last = places[i + 1], stops[i]
            title = _title(index, first, last)
            path = (title,) if title else ()
            size = tokens.estimate(begin, end)
            if size <= self.room:
                yield Part(begin, end, path=path)
            else:
                section = Section(begin, end, first, last, 1, path)
                region = Region(section, first, last, begin, end, (), size)
                yield from self.divided(document, index, tokens, contexts, region)
            i += 1


def _pages(index: BlockIndex) -> list[int]:
    """The outermost blocks that begin a slide, or a page where there are no slides."""
    slides: list[int] = []
    pages: list[int] = []
    page: int | None = None
    i = 0
    while i < len(index):
        block = index.blocks[i]
        if block.kind == "slide":
            slides.append(i)
        if not pages or (block.page is not None and page is not None and block.page != page):
            pages.append(i)
        page = block.page if block.page is not None else page
        i = index.following[i]
    if slides:
        return slides
    return pages


def _title(index: BlockIndex, first: int, last: int) -> str:
    """The first heading of a slide or page; empty when it has none."""
    for block in index.blocks[first:last]:
        if block.kind == "heading":
            return heading_title(index.text, block)
    return ""
