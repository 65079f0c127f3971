"""Chunks along a document's structure: its sections first, then the blocks in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from chunkers.base import BaseChunker, Part
from chunkers.context import ContextFitter
from chunkers.layout import CRUMB, Layout
from chunkers.outline import BlockIndex, Section, sections
from chunkers.packing import Atoms, pack
from chunkers.tokens import TokenMap
from lineage.records import Document

Titles = tuple[str, ...]


class Region(NamedTuple):
    """A stretch that is packed by itself."""

    section: Section
    first: int
    """Index of its first block."""
    last: int
    """Index after its last block."""
    start: int
    end: int
    around: tuple[str, ...]
    """Titles around that its beginning does not show."""
    size: int
    """Tokens in it."""


@dataclass(frozen=True, kw_only=True)
class StructureChunker(BaseChunker):
    """Sections whole while they fit, small neighbours together, large ones divided between blocks.

    Code fences, lists, tables and quotes stay whole while they fit; else they are cut between
    statements, items and rows, with the table's header row as context. A heading stays with what
    it heads. Every section is divided by itself, so an edit moves no boundary outside the sections
    that share a parent with it.

    Good for: Markdown, HTML, office documents, slides, mail: whatever has blocks.
    Costs: one pass of the encoding, and a look at each block.
    Comes from: the heading tree of unstructured's `by_title` and Docling's hierarchical chunker.
    """

    name: ClassVar[str] = "structure"
    version: ClassVar[str] = "2"
    layout_type: ClassVar[type[Layout]] = Layout
    """Makes the atoms of blocks that do not fit."""

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """Whole sections, and the packed blocks of those that are too large."""
        text = document.text
        index = BlockIndex(text, document.blocks, tokens)
        root = sections(index)
        target = self.target
        for region in regions(root, index, tokens, contexts, self.room, target):
            if region.size + contexts.fit(region.around)[1] <= target:
                yield Part(region.start, region.end, region.around, path=region.section.path)
            else:
                yield from self.divided(document, index, tokens, contexts, region)

    def layout_options(self) -> dict[str, Any]:
        """Fields of the layout that differ from its defaults."""
        return {}

    def divided(
        self,
        document: Document,
        index: BlockIndex,
        tokens: TokenMap,
        contexts: ContextFitter,
        region: Region,
    ) -> Iterator[Part]:
        """A region's blocks, packed to the target."""
        section, first, last, start, end, around, _ = region
        layout = self.layout_type(
            index, tokens, contexts, section.path, self.room, document.language,
            **self.layout_options(),
        )  # fmt: skip
        atoms = Atoms()
        layout.flow(atoms, first, last, start, end)
        starts = atoms.starts
        sizes = tokens.indices([*starts, end])
        room_by_extras = {extras: layout.room(extras) for extras in set(atoms.extras)}
        rooms = [room_by_extras[extras] for extras in atoms.extras]
        firsts = self.choose(sizes, atoms, rooms, tokens)
        for first, following in zip(firsts, [*firsts[1:], None], strict=True):
            stop = end if following is None else starts[following]
            headings = around if starts[first] <= section.start else section.path
            path = (*section.path, *atoms.paths[first])
            yield Part(starts[first], stop, headings, atoms.extras[first], path, self.indented)

    indented: ClassVar[bool] = False

    def choose(
        self, sizes: list[int], atoms: Atoms, rooms: list[int], tokens: TokenMap
    ) -> list[int]:
        """Which atoms begin a chunk.

        Args:
            sizes: tokens of the document before each atom, and before the end of the last.
            atoms: of one region.
            rooms: tokens that a chunk beginning at this atom may have.
            tokens: the map of the document's text.
        """
        return pack(sizes, atoms.strengths, rooms, self.target)


def regions(
    root: Section,
    index: BlockIndex,
    tokens: TokenMap,
    contexts: ContextFitter,
    room: int,
    target: int,
) -> Iterator[Region]:
    """The stretches that are packed by themselves, in order and end to end.

    A section that fits is one region. Of a larger one, the text before its first subsection is a
    region, and its subsections follow, small neighbours together up to the target. A text before
    the first subsection that is little more than the heading goes with that subsection.
    """
    # Sections begin and end where blocks begin, for the most part.
    before = dict(zip(index.starts, index.sizes, strict=True))

    def size(start: int, end: int) -> int:
        for position in (start, end):
            if position not in before:
                before[position] = tokens.index(position)
        return before[end] - before[start]

    def region(
        section: Section, first: int, last: int, start: int, end: int, around: Titles
    ) -> Region:
        return Region(section, first, last, start, end, around, size(start, end))

    def walk(section: Section, start: int, around: Titles) -> Iterator[Region]:
        # `start` is before the section's own when a heading above it has nothing else to go with,
        # and `around` then leaves out that heading.
        limit = min(target, room - contexts.fit(around)[1])
        children = section.children
        if not children or size(start, section.end) <= limit:
            yield region(section, section.first, section.last, start, section.end, around)
            return
        opening = children[0]
        worth_a_chunk = size(start, opening.start) >= CRUMB and bool(
            tokens.text[section.body : opening.start].strip()
        )
        if worth_a_chunk and (size(start, opening.end) > target or len(children) == 1):
            end = opening.start
            yield region(section, section.first, opening.first, start, end, around)
            start, around = end, section.path
        inner = min(target, room - contexts.fit(section.path)[1])
        group: list[Section] = []
        for child in children:
            if group and size(start, child.end) > inner:
                yield flush(section, group, start, around)
                group, start, around = [], child.start, section.path
            if not group and size(start, child.end) > inner:
                yield from walk(child, start, around)
                start, around = child.end, section.path
            else:
                group.append(child)
        if group:
            yield flush(section, group, start, around)

    def flush(section: Section, group: list[Section], start: int, around: Titles) -> Region:
        only = group[0] if len(group) == 1 and start == group[0].start else section
        return region(only, group[0].first, group[-1].last, start, group[-1].end, around)

    yield from walk(root, root.start, ())
