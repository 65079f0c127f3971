"""Plain text: paragraphs, pages between form feeds, underlined headings.

Underlines are read as in reStructuredText, but cautiously: plain text uses rows of dashes for
much else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chunkers.blocks.common import paragraphs
from lineage import Block

_UNDERLINE = re.compile(r"""\n([=\-~^"*+#])\1{2,}[^\S\n]*(?=\n|\Z)""")
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
    for first, last, style in _headings(text, start, end):
        if first < position:
            continue
        blocks += paragraphs(text, position, first, page=page)
        level = styles.setdefault(style, len(styles) + 1)
        blocks.append(Block("heading", first, last, level, page))
        position = last
    blocks += paragraphs(text, position, end, page=page)
    return blocks


def _headings(text: str, start: int, end: int) -> Iterator[tuple[int, int, tuple[str, bool]]]:
    for found in _UNDERLINE.finditer(text, start, end):
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
