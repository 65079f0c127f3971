"""Chunks of whole slides or pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from chunkers.base import Part
from chunkers.context import ContextFitter
from chunkers.outline import BlockIndex, Section, heading_title, sections
from chunkers.parameters import check_int
from chunkers.structure import Region, StructureChunker
from chunkers.tokens import TokenMap
from lineage.records import Document


@dataclass(frozen=True, kw_only=True)
class SlidesChunker(StructureChunker):
    """One chunk a slide; a larger one is divided between its blocks, under its title.

    A slide of fewer than `least_tokens`, such as a title alone, goes with the next one when both
    fit the target. Without slides it does as `page` does, and without pages as `structure`.

    Good for: presentations, where an answer should point at one slide.
    Costs: one pass of the encoding, and a look at each block.
    Comes from: Azure's and LlamaIndex's page-wise readers.
    """

    name: ClassVar[str] = "slides"
    version: ClassVar[str] = "3"

    least_tokens: int = 24
    """Tokens below which a slide or page does not stand alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int(f"chunker {self.name!r}", "least_tokens", self.least_tokens, 0)

    def starts(self, index: BlockIndex) -> list[int]:
        """The outermost blocks that begin a slide, or a page where there are no slides."""
        slides = [i for i in _outermost(index) if index.blocks[i].kind == "slide"]
        return slides or _pages(index)

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """Whole slides or pages, and the packed blocks of those that are too large."""
        index = BlockIndex(document.text, document.blocks, tokens)
        firsts = self.starts(index)
        if len(firsts) < 2:
            yield from super().parts(document, tokens, contexts)
            return
        root = sections(index)
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
            slide = index.blocks[first].kind == "slide"
            title = _title(index, first, last) if slide else ""
            path: tuple[str, ...] = (title,) if title else ()
            around: tuple[str, ...] = ()
            if not slide:
                path, around = _headings(root, index.starts[first])
            size = tokens.estimate(begin, end)
            if size + contexts.fit(around)[1] <= self.room:
                yield Part(begin, end, around, path=path)
            else:
                section = Section(begin, end, first, last, 1, path)
                region = Region(section, first, last, begin, end, around, size)
                for part in self.divided(document, index, tokens, contexts, region):
                    if not slide and part.start > begin:
                        # Headings on the page hold for what is below them.
                        path, around = _headings(root, part.start)
                        part = part._replace(headings=around, path=path)
                    yield part
            i += 1


@dataclass(frozen=True, kw_only=True)
class PageChunker(SlidesChunker):
    """One chunk a page; a larger one is divided between its blocks.

    What a page says first belongs to the sections that it goes on with, so their headings are its
    context. A page of fewer than `least_tokens` goes with the next one when both fit the target.
    Without pages it does as `structure` does.

    Good for: PDF and scans where an answer should point at one page.
    Costs: one pass of the encoding, and a look at each block.
    Comes from: Azure's and LlamaIndex's page-wise readers; those lose the headings around.
    """

    name: ClassVar[str] = "page"
    version: ClassVar[str] = "1"

    def starts(self, index: BlockIndex) -> list[int]:
        """The outermost blocks that begin a page, a slide or a sheet."""
        return _pages(index)


def _outermost(index: BlockIndex) -> Iterator[int]:
    i = 0
    while i < len(index):
        yield i
        i = index.following[i]


def _pages(index: BlockIndex) -> list[int]:
    """The outermost blocks that begin a page."""
    pages: list[int] = []
    page: int | None = None
    for i in _outermost(index):
        block = index.blocks[i]
        if not pages or (block.page is not None and page is not None and block.page != page):
            pages.append(i)
        page = block.page if block.page is not None else page
    return pages


def _headings(root: Section, position: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The headings that hold at `position`, and those of them that do not stand there."""
    section = root
    while True:
        place = bisect_right(section.children, position, key=lambda child: child.start) - 1
        if place < 0 or section.children[place].end <= position:
            break
        section = section.children[place]
        if section.start == position:
            return section.path, section.around
    return section.path, section.path


def _title(index: BlockIndex, first: int, last: int) -> str:
    """The first heading of a slide; empty when it has none."""
    for block in index.blocks[first:last]:
        if block.kind == "heading":
            return heading_title(index.text, block)
    return ""
