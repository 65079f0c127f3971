"""Plain text: paragraphs, lists, pages between form feeds, underlined headings.

Underlines are read as in reStructuredText, but cautiously: plain text uses rows of dashes for
much else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from chunkers.blocks.common import paragraphs, pieces
from chunkers.blocks.rows import BLANK, Inner, Row, list_blocks, list_end, rows_of
from lineage import Block

_UNDERLINE = re.compile(r"""\n([=\-~^"*+#])\1{2,}[^\S\n]*(?=\n|\Z)""")
ANY_UNDERLINE = re.compile(r"""\n([=\-~^"*+#_'`.:])\1{2,}[^\S\n]*(?=\n|\Z)""")
"""Underlines as in reStructuredText, of all characters that are usual there."""
_MARK = re.compile(r"(?:[-*+\u2022\u2023\u2043\u25aa\u25cf]|\(?\d{1,3}[.)])[ \t]+(?=\S)")
_MARKED_LINE = re.compile(rf"^[ \t]*{_MARK.pattern}", re.MULTILINE)
_TABULAR = re.compile(r"\S(?:\t|  +)\S|[|]")
_TITLE_CHARS = 120
_SLACK = 4


def scan_text(text: str) -> list[Block]:
    """Paragraphs, headings and page breaks of plain text."""
    if "\f" not in text:
        return _scan(text, 0, len(text), None, {})
    blocks: list[Block] = []
    styles: dict[tuple[str, bool], int] = {}
    start, page = 0, 1
    while True:
        end = text.find("\f", start)
        blocks += _scan(text, start, len(text) if end < 0 else end, page, styles)
        if end < 0:
            return blocks
        blocks.append(Block("page_break", end, end, None, page))
        start, page = end + 1, page + 1


def _scan(
    text: str, start: int, end: int, page: int | None, styles: dict[tuple[str, bool], int]
) -> list[Block]:
    blocks: list[Block] = []
    position = start
    for first, last, style in headings(text, start, end):
        if first < position:
            continue
        blocks += running(text, position, first, page)
        level = styles.setdefault(style, len(styles) + 1)
        blocks.append(Block("heading", first, last, level, page))
        position = last
    blocks += running(text, position, end, page)
    return blocks


def running(text: str, start: int, end: int, page: int | None = None) -> list[Block]:
    """Paragraphs and lists of a stretch of text without headings."""
    if not _MARKED_LINE.search(text, start, end):
        return paragraphs(text, start, end, page=page)
    blocks: list[Block] = []
    spans = list(pieces(text, start, end))
    index = 0
    while index < len(spans):
        first = index
        index += 1
        if not _MARKED_LINE.search(text, *spans[first]):
            blocks.append(Block("paragraph", *spans[first], None, page))
            continue
        # Items may stand apart and have paragraphs, which then are indented.
        while index < len(spans) and _goes_on(text, *spans[index]):
            index += 1
        a, b = spans[first][0], spans[index - 1][1]
        blocks += _lists(text, rows_of(text, text.rfind("\n", start, a) + 1 or start, b), page)
    return blocks


def _goes_on(text: str, start: int, end: int) -> bool:
    return text[start - 1] in " \t" or _MARK.match(text, start, end) is not None


def _lists(text: str, rows: Sequence[Row], page: int | None) -> list[Block]:
    """Paragraphs and lists of rows, at least two items to a list."""
    blocks: list[Block] = []
    paragraph: list[Row] = []

    def flush() -> None:
        if paragraph:
            blocks.append(Block("paragraph", paragraph[0].start, paragraph[-1].end, None, page))
            paragraph.clear()

    index = 0
    while index < len(rows):
        row = rows[index]
        index += 1
        if row.indent == BLANK:
            flush()
            continue
        if _MARK.match(text, row.start, row.end):
            items, end = list_end(text, rows, index - 1, _MARK, lazy=True)
            if len(items) > 1:
                flush()
                found = list_blocks(text, rows, items, end, _MARK, _nested(text), 1)
                blocks += [replace(block, page=page) for block in found] if page else found
                index = end
                continue
        paragraph.append(row)
    flush()
    return blocks


def _nested(text: str) -> Inner:
    def inner(rows: Sequence[Row], depth: int) -> list[Block]:
        """Only the lists further in: an item's own lines are the item."""
        blocks: list[Block] = []
        index = 1
        while index < len(rows):
            row = rows[index]
            if row.indent != BLANK and _MARK.match(text, row.start, row.end):
                items, end = list_end(text, rows, index, _MARK, lazy=True)
                blocks += list_blocks(text, rows, items, end, _MARK, inner, depth + 1)
                index = end
            else:
                index += 1
        return blocks

    return inner


def headings(
    text: str, start: int, end: int, underline: re.Pattern[str] = _UNDERLINE
) -> Iterator[tuple[int, int, tuple[str, bool]]]:
    """Spans of titles with their lines, and of which style: the mark, and whether overlined too."""
    for found in underline.finditer(text, start, end):
        # Both searches back are bounded, since a title is short.
        title_end = found.start()
        floor = max(start, title_end - _TITLE_CHARS - 2)
        title_start = text.rfind("\n", floor, title_end) + 1
        if title_start == 0:
            if floor > start:
                continue
            title_start = start
        title = text[title_start:title_end].rstrip()
        mark = found.group(1)
        length = len(found.group().strip())
        if not _is_title(title.strip(), mark, length):
            continue
        above_end = max(title_start - 1, start)
        above_start = max(
            text.rfind("\n", max(start, above_end - length - 4), above_end) + 1, start
        )
        above = text[above_start:above_end].strip()
        if above and set(above) == {mark} and len(above) == length:
            yield above_start, found.end(), (mark, True)
        elif not above and not title[0].isspace():
            yield title_start, found.end(), (mark, False)


def _is_title(title: str, mark: str, length: int) -> bool:
    if not title or title[-1] in ",;" or not any(c.isalnum() for c in title):
        return False
    if mark == "=":
        fits = length >= len(title) - _SLACK and length <= max(len(title) + _SLACK, 100)
    else:
        fits = abs(length - len(title)) <= _SLACK
    return fits and _TABULAR.search(title) is None
