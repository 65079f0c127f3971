"""The outline of a document: its blocks as arrays, and the tree of sections its headings make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from chunkers.tokens import TokenMap
from lineage.records import Block

_CONTAINERS = frozenset({"slide", "message", "sheet", "attachment", "markup"})
_MARK = re.compile(r"\s*(?:#{1,6}|={1,6}|\*{1,6})[ \t]+")
_CLOSING = re.compile(r"(?:\s+[#=]+|\n[^\S\n]*[=\-~^]+)\s*$")
_OPENS = frozenset("#=*")
_CLOSES = frozenset("#=-~^")
_FIELD = re.compile(r"^(Subject|From|Date): (.{1,400})", re.MULTILINE)
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ADDRESS = re.compile(r"\s*<[^>]*>\s*$")
_DEEPEST = 64


class BlockIndex:
    """The blocks of a document as parallel lists, with their places in the token map."""

    def __init__(self, text: str, blocks: Sequence[Block], tokens: TokenMap) -> None:
        import numpy as np

        self.text = text
        self.blocks = blocks
        self.starts = [block.start for block in blocks]
        self.ends = [block.end for block in blocks]
        starts = np.array(self.starts, np.int32)
        following = np.searchsorted(starts, np.array(self.ends, np.int32), side="left")
        # A block of no length is followed by the next one.
        np.maximum(following, np.arange(1, len(following) + 1), out=following)
        self.following: list[int] = following.tolist()
        """For each block, the first one that begins at or after its end: its next sibling."""
        self.sizes: list[int] = tokens.indices(starts)
        """For each block, the tokens of the document before it."""

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(slots=True)
class Section:
    """A heading with what it heads, up to the next one of its rank; the root is the document."""

    start: int
    end: int
    first: int
    """Index of the first block in it."""
    last: int
    """Index after its last block."""
    rank: int
    path: tuple[str, ...] = ()
    """Titles of the sections around and its own, outermost first."""
    around: tuple[str, ...] = ()
    """Titles of the sections around alone."""
    body: int = 0
    """Where what its own heading heads begins; its start when it has no heading."""
    children: list[Section] = field(default_factory=list)


def sections(index: BlockIndex) -> Section:
    """The tree of sections. Children lie end to end from the first one to the section's end.

    A slide, a message, a sheet and an attachment are sections of their own. Headings inside
    quotes, lists and tables head nothing outside them, and are left alone.
    """
    root = Section(0, len(index.text), 0, len(index), 0)
    _divide(index, root, 0, len(index), 0)
    return root


def _divide(index: BlockIndex, parent: Section, i: int, stop: int, depth: int) -> None:
    stack = [parent]
    base = parent.rank
    blocks = index.blocks

    def close(rank: int, position: int, block: int) -> None:
        while len(stack) > 1 and stack[-1].rank >= rank:
            section = stack.pop()
            section.end, section.last = position, block

    def open_section(block: int, rank: int, title: str, body: int) -> Section:
        start = index.starts[block]
        close(rank, start, block)
        around = stack[-1].path
        path = (*around, title) if title else around
        section = Section(start, start, block, block, rank, path, around, body)
        stack[-1].children.append(section)
        stack.append(section)
        return section

    loose = False
    next_sibling = index.following
    while i < stop:
        block = blocks[i]
        kind = block.kind
        following = next_sibling[i]
        if following > stop:
            following = stop
        if kind == "heading":
            rank = base + 1 + min(max(block.level or 1, 1), _DEEPEST)
            open_section(i, rank, heading_title(index.text, block), block.end)
            loose = False
        elif kind in _CONTAINERS and depth < _DEEPEST and following > i + 1:
            inner = i + 1
            title, body = block.locator or "", block.start
            if kind == "message" and blocks[inner].kind == "header":
                title = message_title(index.text, blocks[inner]) or title
            elif blocks[inner].kind == "heading" and blocks[inner].start == block.start:
                title, body = heading_title(index.text, blocks[inner]), blocks[inner].end
                inner = index.following[inner]
            close(base + 1, block.start, i)
            if kind == "markup":
                title = ""
            section = open_section(i, base + 1, title, body)
            section.end, section.last = block.end, following
            _divide(index, section, inner, following, depth + 1)
            loose = True
        elif loose:
            open_section(i, base + 1, "", block.start)
            loose = False
        i = following
    close(0, parent.end, stop)


def message_title(text: str, header: Block) -> str:
    """`Subject (sender, date)` of a message, from its header lines; what is missing is left out."""
    fields: dict[str, str] = {}
    for found in _FIELD.finditer(text, header.start, header.end):
        fields.setdefault(found[1], found[2])
    sender = _ADDRESS.sub("", fields.get("From", "")).strip(" \"'<>") or fields.get("From", "")
    beside = ", ".join(part for part in (sender, _day(fields.get("Date", ""))) if part)
    subject = " ".join(fields.get("Subject", "").split())
    return f"{subject} ({beside})" if subject and beside else subject or beside


def _day(date: str) -> str:
    """The day of a mail's date as YYYY-MM-DD; what cannot be read stays as it is."""
    if not date or _ISO_DAY.match(date):
        return date[:10]
    from email.utils import parsedate

    found = parsedate(date)
    return f"{found[0]:04}-{found[1]:02}-{found[2]:02}" if found else date


def heading_title(text: str, block: Block) -> str:
    """A heading's text on one line, without the marks of Markdown, AsciiDoc, Org and underlines."""
    title = text[block.start : block.end].strip()
    if title[:1] in _OPENS:
        mark = _MARK.match(title)
        if mark:
            title = title[mark.end() :]
    if title[-1:] in _CLOSES:
        title = _CLOSING.sub("", title)
    return " ".join(title.split())
