"""Org: headings by stars, source blocks, tables, lists and paragraphs."""

from __future__ import annotations

import re

from chunkers.blocks.common import complete
from chunkers.blocks.text import running
from lineage import Block

_PART = re.compile(
    r"^(?P<stars>\*+)[^\S\n]+\S[^\n]*$"
    r"|^[^\S\n]*\#\+begin_(?P<type>src|example|quote)\b[^\S\n]*(?P<language>[^\s]*)[^\n]*$"
    r"|^(?P<setting>\#\+[a-z_]+:[^\n]*)$",
    re.MULTILINE | re.IGNORECASE,
)
_TABLE = re.compile(r"(?:^[^\S\n]*\|[^\n]*(?:\n|\Z))+", re.MULTILINE)
_ROW = re.compile(r"^[^\S\n]*(\|(?!-)[^\n]*?)[^\S\n]*$", re.MULTILINE)
_END = {
    kind: re.compile(rf"^[^\S\n]*#\+end_{kind}\b[^\n]*$", re.MULTILINE | re.IGNORECASE)
    for kind in ("src", "example", "quote")
}


def scan_org(text: str) -> list[Block]:
    """Headings, source blocks, quotes, settings, tables, lists and paragraphs."""
    blocks: list[Block] = []
    position = 0
    unclosed: set[str] = set()
    for found in _PART.finditer(text):
        if found.start() < position:
            continue
        if stars := found["stars"]:
            block = Block("heading", found.start(), found.end(), len(stars))
        elif found["setting"]:
            block = Block("front_matter", found.start(), found.end())
        else:
            type_ = found["type"].lower()
            # Once no end was found there is none further down either.
            end = None if type_ in unclosed else _END[type_].search(text, found.end())
            if end is None:
                unclosed.add(type_)
                continue
            kind = "quote" if type_ == "quote" else "code"
            language = found["language"].lower() if type_ == "src" else ""
            block = Block(kind, found.start(), end.end(), locator=language or None)
        _tables(text, position, block.start, blocks)
        blocks.append(block)
        position = block.end
    _tables(text, position, len(text), blocks)
    return complete(text, blocks, lambda a, b: running(text, a, b))


def _tables(text: str, start: int, end: int, blocks: list[Block]) -> None:
    for found in _TABLE.finditer(text, start, end):
        last = found.start() + len(found.group().rstrip())
        first = last - len(found.group().strip())
        blocks.append(Block("table", first, last))
        rows = [row.span(1) for row in _ROW.finditer(text, found.start(), last)]
        ruled = "|-" in found.group()
        for number, (a, b) in enumerate(rows):
            header = ruled and number == 0
            blocks.append(Block("table_row", a, b, locator="header" if header else None))
