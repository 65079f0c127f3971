"""The two drawn tables of reStructuredText, with their rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from chunkers.blocks.rows import BLANK, Row, last_row
from lineage import Block

_GRID = re.compile(r"\+(?:[-=]+\+)+")
_BORDER = re.compile(r"=+(?:[ \t]+=+)+")
_SPANS = re.compile(r"-+(?:[ \t]+-+)*")


def drawn_table(text: str, rows: Sequence[Row], index: int) -> tuple[list[Block], int] | None:
    """The table that begins in a row and the row after it, or null when none does."""
    row = rows[index]
    if _GRID.fullmatch(text, row.start, row.end):
        return _grid(text, rows, index)
    if _BORDER.fullmatch(text, row.start, row.end):
        return _simple(text, rows, index)
    return None


def _block(kind: str, rows: Sequence[Row], first: int, end: int, locator: str | None) -> Block:
    return Block(kind, rows[first].start, last_row(rows, first, end).end, locator=locator)


def _grid(text: str, rows: Sequence[Row], index: int) -> tuple[list[Block], int]:
    """A table within `+---+---+` and `|`, its header above `+===+===+`."""
    end = index
    while end < len(rows) and rows[end].indent != BLANK and text[rows[end].start] in "+|":
        end += 1
    borders = [i for i in range(index, end) if _GRID.fullmatch(text, rows[i].start, rows[i].end)]
    header = next((i for i in borders if text[rows[i].start + 1] == "="), index)
    blocks = [_block("table", rows, index, end, None)]
    for above, below in pairwise([*borders, end]):
        if below > above + 1:
            locator = "header" if below <= header else None
            blocks.append(_block("table_row", rows, above + 1, below, locator))
    return blocks, end


def _simple(text: str, rows: Sequence[Row], index: int) -> tuple[list[Block], int] | None:
    """A table between `=== ===` borders, its header above the second of three."""
    borders = [index]
    for i in range(index + 1, len(rows)):
        row = rows[i]
        if BLANK < row.indent < rows[index].indent:
            break
        if row.indent != BLANK and _BORDER.fullmatch(text, row.start, row.end):
            borders.append(i)
            if len(borders) == 3 or i + 1 == len(rows) or rows[i + 1].indent == BLANK:
                break
    if len(borders) == 1:
        return None
    end = borders[-1] + 1
    blocks = [_block("table", rows, index, end, None)]
    first = index + 1
    if len(borders) == 3:
        blocks += _row(text, rows, first, borders[1], "header")
        first = borders[1] + 1
    # A row whose first column is empty goes on with the one above.
    starts = [i for i in range(first, end - 1) if 0 <= rows[i].indent <= rows[index].indent]
    for start, following in pairwise([*starts, end - 1]):
        blocks += _row(text, rows, start, following, None)
    return blocks, end


def _row(text: str, rows: Sequence[Row], first: int, end: int, locator: str | None) -> list[Block]:
    """The row without the lines that underline its columns."""
    inked = [
        i
        for i in range(first, end)
        if rows[i].indent != BLANK and not _SPANS.fullmatch(text, rows[i].start, rows[i].end)
    ]
    return [_block("table_row", rows, inked[0], inked[-1] + 1, locator)] if inked else []
