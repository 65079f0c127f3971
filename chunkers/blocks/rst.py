"""reStructuredText: sections, lists, tables, literal blocks and directives, by indentation.

Nothing is included, expanded or executed: a directive is text like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from chunkers.blocks.common import complete
from chunkers.blocks.rows import (
    BLANK,
    DEPTH,
    Row,
    body_end,
    last_row,
    list_blocks,
    list_end,
    rows_of,
)
from chunkers.blocks.rst_tables import drawn_table
from chunkers.blocks.text import ANY_UNDERLINE, headings
from lineage import Block

_MARK = re.compile(r"(?:[-*+\u2022\u2023]|\(?(?:\d{1,4}|#|[A-Za-z])[.)])[ \t]+(?=\S)")
_DIRECTIVE = re.compile(
    r"\.\.[ \t]+(?:\|[^|\n]{1,100}\|[ \t]+)?([A-Za-z][\w:+.-]{0,60})::(?:[ \t]+(\S*))?"
)
_NOTE = re.compile(r"\.\.[ \t]+\[([^\]\n]{1,60})\](?=\s|$)")
_TARGET = re.compile(r"\.\.[ \t]+_[^\n]{1,500}?:(?=\s|$)|__(?=\s)")
_FIELD = re.compile(r":[A-Za-z][^:\n]{0,100}:(?=\s|$)")
_RULE = re.compile(r"""([=\-~^"*+#_'`.:])\1{3,}""")

_CODE = frozenset(
    {"code", "code-block", "sourcecode", "parsed-literal", "literalinclude", "doctest", "testcode",
     "testoutput", "testsetup", "productionlist", "prompt", "ipython", "graphviz", "mermaid"}
)  # fmt: skip
_QUOTES = frozenset(
    {"note", "warning", "tip", "hint", "important", "caution", "danger", "attention", "error",
     "admonition", "seealso", "versionadded", "versionchanged", "deprecated", "topic", "sidebar",
     "epigraph", "pull-quote", "rubric", "todo", "versionremoved", "deprecated-removed",
     "impl-detail", "availability"}
)  # fmt: skip
_KINDS = {
    "math": "formula", "image": "figure", "figure": "figure", "table": "table",
    "list-table": "table", "csv-table": "table",
}  # fmt: skip
_MARKUP = frozenset(
    {"contents", "toctree", "include", "index", "module", "currentmodule", "highlight", "meta",
     "role", "default-role", "raw", "sectnum", "title", "target-notes", "automodule", "autoclass",
     "autofunction", "only", "tabularcolumns", "sectionauthor", "moduleauthor", "unicode", "date"}
)  # fmt: skip


def scan_rst(text: str) -> list[Block]:
    """Sections, lists, definitions, tables, code, quotes, footnotes, comments and paragraphs.

    A directive is one block with its content: `code` with the language as locator, `formula`,
    `table`, `figure`; notes and the like are a `quote`, descriptions of functions and classes a
    `definition`, both with the blocks inside; others are `markup`.
    """
    blocks: list[Block] = []
    styles: dict[tuple[str, bool], int] = {}
    position = 0
    for start, end, style in headings(text, 0, len(text), ANY_UNDERLINE):
        if start < position:
            continue
        blocks += _Body(text).scan(rows_of(text, position, start))
        blocks.append(Block("heading", start, end, styles.setdefault(style, len(styles) + 1)))
        position = end
    blocks += _Body(text).scan(rows_of(text, position, len(text)))
    return complete(text, blocks)


class _Body:
    """Reads rows that begin at one column, and inside them those that begin further in."""

    def __init__(self, text: str, depth: int = 0, lists: int = 0, quotes: int = 0) -> None:
        self.text = text
        self.depth, self.lists, self.quotes = depth, lists, quotes
        self.blocks: list[Block] = []

    def scan(self, rows: Sequence[Row]) -> list[Block]:
        """Blocks of the rows."""
        index = 0
        column = next((row.indent for row in rows if row.indent != BLANK), 0)
        literal = False
        while index < len(rows):
            row = rows[index]
            if row.indent == BLANK:
                index += 1
                continue
            if row.indent > column:
                end = max(index + 1, body_end(rows, index, column))
                if literal:
                    self._add("code", rows, index, end)
                else:
                    self._quote(rows, index, index, end)
                literal = False
                index = end
                continue
            end = self._element(rows, index)
            literal = self.text.startswith("::", max(row.start, last_row(rows, index, end).end - 2))
            index = end
        return self.blocks

    def _add(
        self,
        kind: str,
        rows: Sequence[Row],
        first: int,
        end: int,
        *,
        level: int | None = None,
        locator: str | None = None,
    ) -> None:
        self.blocks.append(
            Block(kind, rows[first].start, last_row(rows, first, end).end, level, locator=locator)
        )

    def _inner(self, rows: Sequence[Row], *, lists: int = 0, quotes: int = 0) -> list[Block]:
        if self.depth >= DEPTH:
            return []
        body = _Body(self.text, self.depth + 1, self.lists + lists, self.quotes + quotes)
        return body.scan(rows)

    def _quote(self, rows: Sequence[Row], first: int, body: int, end: int) -> None:
        self._add("quote", rows, first, end, level=self.quotes + 1)
        self.blocks += self._inner(rows[body:end], quotes=1)

    def _element(self, rows: Sequence[Row], index: int) -> int:
        """Add what begins in a row; gives the row after it."""
        text, row = self.text, rows[index]
        if text.startswith("..", row.start) and text[row.start + 2 : row.start + 3] in (
            "", " ", "\t", "\n", "\r",
        ):  # fmt: skip
            return self._explicit(rows, index)
        if text.startswith("__ ", row.start):
            self._add("definition", rows, index, index + 1)
            return index + 1
        if table := drawn_table(text, rows, index):
            self.blocks += table[0]
            return table[1]
        if _RULE.fullmatch(text, row.start, row.end) and _alone(rows, index):
            self._add("markup", rows, index, index + 1)
            return index + 1
        if _MARK.match(text, row.start, row.end):
            items, end = list_end(text, rows, index, _MARK, lazy=False)
            if _letters_count(text, rows, items):
                self.blocks += list_blocks(
                    text, rows, items, end, _MARK, self._item, self.lists + 1
                )
                return end
        return self._paragraph(rows, index)

    def _item(self, rows: Sequence[Row], level: int) -> list[Block]:
        found = self._inner(rows, lists=level - self.lists)
        # An item that is one paragraph is the paragraph.
        return [] if len(found) == 1 and found[0].kind == "paragraph" else found

    def _paragraph(self, rows: Sequence[Row], index: int) -> int:
        text, row = self.text, rows[index]
        end = index + 1
        while end < len(rows) and rows[end].indent != BLANK:
            end += 1
        fields = _FIELD.match(text, row.start, row.end) is not None
        if fields or text.startswith((">>> ", "| ", "-", "--"), row.start):
            code = text.startswith(">>> ", row.start)
            self._add(
                "code" if code else "paragraph",
                rows,
                index,
                end,
                locator="python" if code else None,
            )
            return end
        if end > index + 1 and rows[index + 1].indent > row.indent:
            return self._definitions(rows, index)
        # What is indented further comes after it: a quote or a literal block.
        deeper = next((i for i in range(index, end) if rows[i].indent > row.indent), end)
        self._add("paragraph", rows, index, deeper)
        return deeper

    def _definitions(self, rows: Sequence[Row], index: int) -> int:
        """Terms, each with what is indented below it, as a list."""
        first, column = index, rows[index].indent
        parts: list[tuple[int, int]] = []
        while index + 1 < len(rows) and rows[index].indent == column < rows[index + 1].indent:
            if parts and not self._is_term(rows[index]):
                break
            end = body_end(rows, index + 1, column)
            parts.append((index, end))
            index = end
            while index < len(rows) and rows[index].indent == BLANK:
                index += 1
        index = parts[-1][1]
        self._add("list", rows, first, index, level=self.lists + 1)
        for term, end in parts:
            self._add("definition", rows, term, term + 1)
            self._add("list_item", rows, term + 1, end, level=self.lists + 1)
            self.blocks += self._item(rows[term + 1 : end], self.lists + 1)
        return index

    def _is_term(self, row: Row) -> bool:
        text = self.text
        return not (
            text.startswith((".. ", "| ", ">>> "), row.start)
            or _MARK.match(text, row.start, row.end)
            or _FIELD.match(text, row.start, row.end)
        )

    def _explicit(self, rows: Sequence[Row], index: int) -> int:
        text, row = self.text, rows[index]
        end = max(index + 1, body_end(rows, index + 1, row.indent))
        if found := _DIRECTIVE.match(text, row.start, row.end):
            name, argument = found.group(1).lower(), found.group(2)
            base = name.rpartition(":")[2]
            if name in _CODE:
                self._add("code", rows, index, end, locator=(argument or "").lower() or None)
            elif name in _KINDS:
                self._add(_KINDS[name], rows, index, end)
            elif name in _QUOTES:
                self._quote(rows, index, index + 1, end)
            elif base in _MARKUP or end == index + 1:
                self._add("markup", rows, index, end)
            else:
                self._add("definition", rows, index, end, locator=_named(argument))
                self.blocks += self._inner(rows[index + 1 : end])
        elif found := _NOTE.match(text, row.start, row.end):
            self._add("footnote", rows, index, end, locator=found.group(1))
        elif _TARGET.match(text, row.start, row.end):
            self._add("definition", rows, index, end)
        else:
            self._add("comment", rows, index, end)
        return end


def _named(argument: str | None) -> str | None:
    """What a description is of: `dump` of `dump(obj,`."""
    return (argument or "").partition("(")[0] or None


def _alone(rows: Sequence[Row], index: int) -> bool:
    """Whether the rows above and below are blank or missing."""
    below = index + 1 >= len(rows) or rows[index + 1].indent == BLANK
    return below and (index == 0 or rows[index - 1].indent == BLANK)


def _letters_count(text: str, rows: Sequence[Row], items: Sequence[int]) -> bool:
    """False for a lone `A. Einstein`, which is a name."""
    return len(items) > 1 or not text[rows[items[0]].start].isalpha()
