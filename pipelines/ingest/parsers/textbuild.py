"""Builds a document's text and its blocks together, so that spans are exact by construction.

Blocks are opened and closed like tags; text is written into the innermost open one. A separator
asked for is only written when more text follows, and then outside the blocks that begin there,
so every block starts and ends on its own characters. Blocks that got no text vanish.

    >>> build = TextBuilder()
    >>> build.leaf("heading", "Leave", level=1)
    >>> build.leaf("paragraph", "Ask your manager.")
    >>> text, blocks = build.finish()
    >>> text[blocks[1].start : blocks[1].end]
    'Ask your manager.'
"""

from __future__ import annotations

import re
from typing import Any

from lineage import Block
from pipelines.ingest.parsers.base import Limits, ParseError

BLANK_LINE = "\n\n"
_STRENGTH = {"": 0, " ": 1, "\t": 2, " | ": 2, "\n": 3, BLANK_LINE: 4}
_SURROGATES = re.compile("[\ud800-\udfff]")
_START, _END, _PAGE = 1, 2, 4


class TextBuilder:
    """Collects text and blocks. Positions are code points.

    `page` is given to every block opened while it is set.

    Raises:
        ParseError: `limit_size` above `limits.max_chars` characters of text, `limit_elements`
            above `limits.max_blocks` blocks; from `write` and `open`.
    """

    __slots__ = ("_blocks", "_marks", "_max_blocks", "_max_chars", "_parts", "_pending", "_stack",
                 "_unstarted", "page", "position", "warnings")  # fmt: skip

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._max_chars, self._max_blocks = limits.max_chars, limits.max_blocks
        self._marks = False
        self._parts: list[str] = []
        self._blocks: list[Block | list[Any]] = []
        """Finished blocks, and those that were opened as lists of a block's values."""
        self._stack: list[list[Any]] = []
        self._unstarted: list[list[Any]] = []
        self._pending = ""
        self.position = 0
        """Length of the text so far, without the separator that is still pending."""
        self.page: int | None = None
        self.warnings: list[str] = []

    @property
    def depth(self) -> int:
        """How many blocks are open."""
        return len(self._stack)

    @property
    def size(self) -> int:
        """How many blocks there are so far."""
        return len(self._blocks)

    def kinds(self) -> list[str]:
        """The kinds of the open blocks, outermost first."""
        return [block[0] for block in self._stack]

    def warn(self, message: str) -> None:
        """Note something the reader of the document's row should know, once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def separate(self, separator: str = BLANK_LINE) -> None:
        """Ask for `separator` before whatever text comes next; the strongest one asked for wins."""
        if _STRENGTH[separator] > _STRENGTH[self._pending]:
            self._pending = separator

    def open(
        self,
        kind: str,
        separator: str = BLANK_LINE,
        *,
        level: int | None = None,
        bbox: tuple[float, float, float, float] | None = None,
        locator: str | None = None,
    ) -> None:
        """Begin a block; it starts at the next character written."""
        if _STRENGTH[separator] > _STRENGTH[self._pending]:
            self._pending = separator
        block = [kind, -1, -1, level, self.page, bbox, locator]
        self._blocks.append(block)
        self._stack.append(block)
        self._unstarted.append(block)
        if len(self._blocks) > self._max_blocks:
            self._refuse()

    def write(self, text: str) -> None:
        """Add `text` to the innermost open block."""
        if not text:
            return
        if self._pending:
            if self.position:
                self._parts.append(self._pending)
                self.position += len(self._pending)
            self._pending = ""
        if self._unstarted:
            for block in self._unstarted:
                block[_START] = self.position
            self._unstarted.clear()
        self._parts.append(text)
        self.position += len(text)
        if self.position > self._max_chars:
            self._refuse()

    def _refuse(self) -> None:
        if self.position > self._max_chars:
            raise ParseError(
                "limit_size",
                f"more than {self._max_chars:,} characters of text; split the document or raise "
                f"the limit max_chars",
            )
        raise ParseError(
            "limit_elements",
            f"more than {self._max_blocks:,} blocks; split the document or raise the limit "
            f"max_blocks",
        )

    def close(self, separator: str = BLANK_LINE) -> None:
        """End the innermost open block, and ask for `separator` after it."""
        block = self._stack.pop()
        if block[_START] < 0:
            # Nothing was written since it was opened, so all blocks in it are gone already.
            self._unstarted.pop()
            self._blocks.remove(block) if self._blocks[-1] is not block else self._blocks.pop()
            return
        block[_END] = self.position
        if _STRENGTH[separator] > _STRENGTH[self._pending]:
            self._pending = separator

    def leaf(
        self,
        kind: str,
        text: str,
        separator: str = BLANK_LINE,
        *,
        level: int | None = None,
        bbox: tuple[float, float, float, float] | None = None,
        locator: str | None = None,
        after: str = "",
    ) -> None:
        """A block that holds just `text`; nothing when `text` is empty.

        `separator` stands before it and, unless `after` says otherwise, after it.
        """
        if not text:
            return
        # The same as open, write and close, without the calls: most blocks come this way.
        position = self.position
        if position:
            before = self._pending
            if _STRENGTH[separator] > _STRENGTH[before]:
                before = separator
            self._parts.append(before)
            position += len(before)
        self._pending = ""
        if self._unstarted:
            for block in self._unstarted:
                block[_START] = position
            self._unstarted.clear()
        self._parts.append(text)
        self.position = end = position + len(text)
        self._blocks.append(Block(kind, position, end, level, self.page, bbox, locator))
        self._pending = after or separator
        if end > self._max_chars or len(self._blocks) > self._max_blocks:
            self._refuse()

    def relabel(self, kind: str) -> None:
        """Change the kind of the innermost open block."""
        self._stack[-1][0] = kind

    def locate(self, locator: str) -> None:
        """Set the locator of the innermost open block."""
        self._stack[-1][6] = locator

    def page_break(self, page: int) -> None:
        """Mark with a zero-length block that the text so far ends where `page` begins."""
        self._marks = True
        self._blocks.append(["page_break", self.position, self.position, None, page, None, None])

    def row(self, cells: list[str], *, header: bool = False, locator: str | None = None) -> None:
        """One table row: cells joined by ` | `, nothing when all are empty."""
        if any(cells):
            text = " | ".join(cells).strip()
            self.leaf("table_row", text, "\n", locator="header" if header else locator)

    def insert(self, text: str, blocks: list[Block], shift_levels: int = 0) -> None:
        """Add another document's finished text and blocks inside the innermost open block.

        White space around the text stays out, as a block starts and ends on its own characters.
        """
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if start >= end:
            return
        self.write(text[start:end])
        base = self.position - end
        self._marks = True
        for block in blocks:
            level = block.level
            if level is not None and block.kind == "heading":
                level += shift_levels
            first, last = max(block.start, start), min(block.end, end)
            while last > first and text[last - 1].isspace():
                last -= 1
            if first > last:
                continue
            self._blocks.append(
                [block.kind, base + first, base + last, level,
                 self.page if block.page is None else block.page, block.bbox, block.locator]
            )  # fmt: skip

    def finish(self) -> tuple[str, list[Block]]:
        """The text and its blocks, ordered; open blocks are closed.

        NUL and lone surrogates become U+FFFD, one for one, so that positions hold.
        """
        while self._stack:
            self.close("")
        text = "".join(self._parts)
        if "\0" in text:
            text = text.replace("\0", "\ufffd")
        try:
            text.encode()
        except UnicodeEncodeError:
            text = _SURROGATES.sub("\ufffd", text)
        blocks = [block if isinstance(block, Block) else Block(*block) for block in self._blocks]
        # Pre-order already, except where a zero-length block sits at the start of another one.
        if self._marks:
            blocks.sort(key=lambda block: (block.start, -block.end))
        return text, blocks


def word_list(text: str) -> list[str]:
    """The words of `text`: a list of names that stays readable in source code."""
    return text.split()


def squeeze(text: str) -> str:
    """`text` with every run of whitespace made one space, and none at the ends."""
    return " ".join(text.split())
