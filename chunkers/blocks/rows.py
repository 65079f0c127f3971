"""Lines with their indentation, and the lists among them: for formats that nest by indenting."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from chunkers.blocks.common import lines
from lineage import Block

DEPTH = 24
"""Levels of nesting that get blocks of their own."""
BLANK = -1
_TAB = 8


class Row(NamedTuple):
    """A line, or what is left of it behind the mark of a list item."""

    start: int
    """Where its first character that is no space is, or its end when it is blank."""
    end: int
    """Its end without the line end and the spaces before it."""
    indent: int
    """Columns before `start`, or `BLANK`."""


Inner = Callable[[Sequence[Row], int], list[Block]]
"""Makes the blocks inside an item of its rows, the first one behind the mark, and their depth."""


def rows_of(text: str, start: int, end: int) -> list[Row]:
    """The rows of the lines of a stretch of text."""
    found: list[Row] = []
    for a, b in lines(text, start, end):
        line = text[a:b].rstrip()
        if not line:
            found.append(Row(a, a, BLANK))
            continue
        stop = a + len(line)
        margin = len(line) - len(line.lstrip(" \t"))
        indent = len(line[:margin].expandtabs(_TAB)) if margin else 0
        found.append(Row(a + margin, stop, indent))
    return found


def body_end(rows: Sequence[Row], first: int, column: int) -> int:
    """The row after the last one, from `first` on, that is indented by more than `column`.

    Blank rows between such rows belong to them, those after the last one do not.
    """
    end = first
    for index in range(first, len(rows)):
        if rows[index].indent == BLANK:
            continue
        if rows[index].indent <= column:
            break
        end = index + 1
    return end


def last_row(rows: Sequence[Row], first: int, end: int) -> Row:
    """The last row before `end` that is not blank; that of `first` if there is none."""
    last = end - 1
    while last > first and rows[last].indent == BLANK:
        last -= 1
    return rows[last]


def list_end(
    text: str, rows: Sequence[Row], first: int, mark: re.Pattern[str], *, lazy: bool
) -> tuple[list[int], int]:
    """Where the items of the list that begins in row `first` begin, and the row after its last.

    A list is either numbered or has one bullet throughout.

    Args:
        text: the text.
        rows: rows of it.
        first: a row that `mark` matches.
        mark: matches the mark of an item and the space behind it.
        lazy: whether lines of an item may follow without being indented.
    """
    column, bullet = rows[first].indent, _bullet(text, rows[first])
    items: list[int] = []
    end = index = first
    while index < len(rows):
        row = rows[index]
        if row.indent == BLANK:
            index += 1
            continue
        if row.indent == column and mark.match(text, row.start, row.end):
            if _bullet(text, row) != bullet:
                break
            items.append(index)
        elif row.indent <= column and not (
            lazy and row.indent == column and rows[index - 1].indent != BLANK
        ):
            break
        index += 1
        end = index
    return items, end


def _bullet(text: str, row: Row) -> str:
    mark = text[row.start]
    return "" if mark.isalnum() or mark in "(#" else mark


def list_blocks(
    text: str,
    rows: Sequence[Row],
    items: Sequence[int],
    end: int,
    mark: re.Pattern[str],
    inner: Inner,
    depth: int,
) -> list[Block]:
    """A `list` of level `depth` with its items and what `inner` finds in them."""
    blocks = [Block("list", rows[items[0]].start, last_row(rows, items[0], end).end, depth)]
    for number, first in enumerate(items):
        following = items[number + 1] if number + 1 < len(items) else end
        row = rows[first]
        found = mark.match(text, row.start, row.end)
        content = found.end() if found else row.start
        own = [
            Row(content, row.end, row.indent + content - row.start),
            *rows[first + 1 : following],
        ]
        blocks.append(Block("list_item", row.start, last_row(own, 0, len(own)).end, depth))
        if depth < DEPTH:
            blocks += inner(own, depth)
    return blocks
