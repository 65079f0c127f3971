"""The walk over normalised HTML that turns tags into blocks.

It relies on the form that lexbor writes: lower-case names, quoted attributes, every element but
the void ones closed. A table of handlers, one per tag name, is swapped while inside a table cell
(where everything is flattened) or preformatted text (where whitespace counts).
"""

from __future__ import annotations

from collections.abc import Callable

from pipelines.ingest.parsers.htmltags import (
    ALT,
    BOUNDARY_TAGS,
    BREAK,
    HEADING_TAGS,
    INLINE,
    LANGUAGE,
    LEAVES,
    ROLE,
    SPACED_TAGS,
    TAG,
    data_tables,
    unescape,
)
from pipelines.ingest.parsers.textbuild import BLANK_LINE, TextBuilder

_Handler = Callable[["_Walk", str, int], None]
"""Takes a tag's attributes, as written, and its index among all tags."""


def walk(build: TextBuilder, html: str, *, page_parts: bool = False) -> None:
    """Add the text and blocks of normalised `html` to `build`.

    With `page_parts`, `nav` and the page's own `header` and `footer` (or elements with such a
    role) become header and footer blocks, and headings in them are none; a `header` that holds
    the page's `h1` is ordinary text.
    """
    _Walk(build, page_parts).run(html)


class _Walk:
    """State of one walk: what is open, and the inline text not yet written."""

    def __init__(self, build: TextBuilder, page_parts: bool) -> None:
        self.build = build
        self.page_parts = page_parts
        self.names: list[str] = []
        self.inline: list[str] = []
        self.stack: list[tuple[str | None, bool]] = []
        """For each open element that may be a block: the block's kind, null when it is none, and
        `leaf` as it was around it."""
        self.leaf = False
        """Whether the innermost open block holds bare text itself."""
        self.lists = self.quotes = self.parts = self.sections = self.role_depth = 0
        self.data_tables: list[bool] = []
        self.tables: list[bool] = []
        """For each open table, whether it holds data rather than layout."""
        self.cells: list[str] = []
        self.plain_cells = 0
        self.rows = 0
        self.in_head = False
        self.language: str | None = None
        self.handlers = _FLOW

    def run(self, html: str) -> None:
        pieces = TAG.split(INLINE.sub("", html))
        self.names = pieces[1::3]
        if "table" in self.names:
            self.data_tables = data_tables(pieces)
        inline = self.inline
        if pieces[0]:
            inline.append(pieces[0])
        for index, name in enumerate(self.names):
            handler = self.handlers.get(name)
            at = index * 3 + 2
            if handler is not None:
                handler(self, pieces[at], index)
            text = pieces[at + 1]
            # Whitespace counts only after other text; between blocks there is plenty of it.
            if text and (inline or not text.isspace()):
                inline.append(text)
        self.flush()

    # Inline text

    def flush(self, paragraph: bool = False) -> None:
        """Write the inline text gathered so far, as a paragraph where nothing else holds it."""
        inline = self.inline
        text = "".join(inline)
        inline.clear()
        if "&" in text:
            text = unescape(text)
        if BREAK in text:
            lines = [" ".join(line.split()) for line in text.split(BREAK)]
            text = "\n".join(lines).strip("\n")
        else:
            text = " ".join(text.split())
        if not text:
            return
        if self.leaf and not paragraph:
            self.build.separate("\n")
            self.build.write(text)
        else:
            self.build.leaf("paragraph", text, "\n" if self.parts else BLANK_LINE)

    def space(self, _attributes: str, _index: int) -> None:
        self.inline.append(" ")

    def new_line(self, _attributes: str, _index: int) -> None:
        if self.inline and not self.inline[-1].endswith("\n"):
            self.inline.append("\n")

    def line_break(self, _attributes: str, _index: int) -> None:
        self.inline.append(BREAK)

    def pre_line_break(self, _attributes: str, _index: int) -> None:
        self.inline.append("\n")

    def image(self, attributes: str, _index: int) -> None:
        alt = ALT.search(attributes)
        if alt:
            self.inline.append(f" {alt[1]} ")

    def boundary(self, _attributes: str, _index: int) -> None:
        if self.inline:
            self.flush()

    def end_paragraph(self, _attributes: str, _index: int) -> None:
        if self.inline:
            self.flush(not self.parts and (not self.stack or self.stack[-1][0] != "heading"))

    # Blocks that hold others

    def begin(self, kind: str, separator: str = BLANK_LINE, level: int | None = None) -> None:
        if self.inline:
            self.flush()
        if self.parts and kind not in ("header", "footer"):
            self.stack.append((None, self.leaf))
            return
        self.build.open(kind, separator, level=level)
        self.stack.append((kind, self.leaf))
        self.leaf = kind in LEAVES

    def end(self, _attributes: str = "", _index: int = 0, separator: str = "\n") -> None:
        if self.inline:
            self.flush()
        if self.stack:
            kind, self.leaf = self.stack.pop()
            if kind is not None:
                self.build.close(separator)

    def end_block(self, _attributes: str, _index: int) -> None:
        self.end(separator=BLANK_LINE)

    def end_heading(self, _attributes: str, _index: int) -> None:
        inline = self.inline
        if inline and inline[-1].rstrip().endswith("¶"):
            # The permanent link that documentation generators append.
            inline[-1] = inline[-1].rstrip()[:-1]
        self.end(separator=BLANK_LINE)

    def begin_heading(self, level: int) -> None:
        self.begin("heading", level=level)

    def begin_caption(self, _attributes: str, _index: int) -> None:
        self.begin("caption")

    def begin_list(self, _attributes: str, _index: int) -> None:
        self.lists += 1
        self.begin("list", "\n" if self.lists > 1 else BLANK_LINE, level=self.lists)

    def end_list(self, _attributes: str, _index: int) -> None:
        self.lists -= 1
        self.end(separator="\n" if self.lists else BLANK_LINE)

    def begin_item(self, _attributes: str, _index: int) -> None:
        self.begin("list_item", "\n", level=max(self.lists, 1))

    def begin_term(self, _attributes: str, _index: int) -> None:
        self.begin("definition", "\n", level=max(self.lists, 1))

    def begin_quote(self, _attributes: str, _index: int) -> None:
        self.quotes += 1
        self.begin("quote", level=self.quotes)

    def end_quote(self, _attributes: str, _index: int) -> None:
        self.quotes -= 1
        self.end(separator=BLANK_LINE)

    # Parts of the page

    def begin_section(self, _attributes: str, _index: int) -> None:
        self.flush()
        self.sections += 1

    def end_section(self, _attributes: str, _index: int) -> None:
        self.flush()
        self.sections -= 1

    def begin_nav(self, _attributes: str, _index: int) -> None:
        self.begin_part("header" if self.page_parts else None)

    def begin_header(self, _attributes: str, index: int) -> None:
        own = self.page_parts and not self.sections
        if own:
            try:
                own = "h1" not in self.names[index : self.names.index("/header", index)]
            except ValueError:
                own = False
        self.begin_part("header" if own else None)

    def begin_footer(self, _attributes: str, _index: int) -> None:
        self.begin_part("footer" if self.page_parts and not self.sections else None)

    def begin_part(self, kind: str | None) -> None:
        if kind is None or self.parts:
            self.flush()
            self.stack.append((None, self.leaf))
            return
        self.begin(kind)
        self.parts += 1

    def end_part(self, _attributes: str, _index: int) -> None:
        self.flush()
        if self.stack and self.stack[-1][0] is not None:
            self.parts -= 1
        self.end(separator=BLANK_LINE)

    def begin_div(self, attributes: str, _index: int) -> None:
        if self.inline:
            self.flush()
        if self.role_depth:
            self.role_depth += 1
        elif self.page_parts and not self.parts and "role=" in attributes:
            role = ROLE.search(attributes)
            if role:
                self.begin_part("footer" if role[1] == "contentinfo" else "header")
                self.role_depth = 1

    def end_div(self, attributes: str, index: int) -> None:
        if self.inline:
            self.flush()
        if self.role_depth:
            self.role_depth -= 1
            if not self.role_depth:
                self.end_part(attributes, index)

    # Tables

    def begin_table(self, attributes: str, _index: int) -> None:
        data = self.data_tables.pop() and not self.parts and '"presentation"' not in attributes
        self.tables.append(data)
        if data:
            self.begin("table")
            self.rows = 0
        else:
            self.flush()

    def end_table(self, _attributes: str, _index: int) -> None:
        if self.tables and self.tables.pop():
            self.end(separator=BLANK_LINE)
        else:
            self.flush()

    def begin_head(self, _attributes: str, _index: int) -> None:
        self.flush()
        self.in_head = True

    def end_head(self, _attributes: str, _index: int) -> None:
        self.flush()
        self.in_head = False

    def begin_row(self, _attributes: str, _index: int) -> None:
        self.flush()
        self.cells = []
        self.plain_cells = 0

    def end_row(self, _attributes: str, _index: int) -> None:
        self.flush()
        if self.cells:
            header = self.in_head or not (self.rows or self.plain_cells)
            self.build.row(self.cells, header=header)
            self.rows += not header
            self.cells = []

    def begin_cell(self, _attributes: str, _index: int) -> None:
        self.flush()
        if self.tables and self.tables[-1]:
            self.handlers = _IN_CELL

    def end_cell(self, _attributes: str, _index: int) -> None:
        self.plain_cells += 1
        self.end_header_cell("", 0)

    def end_header_cell(self, _attributes: str, _index: int) -> None:
        self.cells.append(" ".join(unescape("".join(self.inline)).split()))
        self.inline.clear()
        self.handlers = _FLOW

    # Preformatted text

    def begin_pre(self, attributes: str, _index: int) -> None:
        self.flush()
        self.language = None
        self.code_language(attributes, 0)
        self.handlers = _IN_PRE

    def code_language(self, attributes: str, _index: int) -> None:
        if self.language is None and "class=" in attributes:
            found = LANGUAGE.search(attributes)
            self.language = found[1].lower() if found else None

    def end_pre(self, _attributes: str, _index: int, kind: str = "code") -> None:
        raw = unescape("".join(self.inline)).replace("\r\n", "\n")
        self.inline.clear()
        self.handlers = _FLOW
        lines = raw.rstrip().split("\n")
        while lines and not lines[0].strip():
            del lines[0]
        self.build.leaf(kind, "\n".join(lines), locator=self.language)

    def end_textarea(self, attributes: str, index: int) -> None:
        self.end_pre(attributes, index, "paragraph")


def _heading_handler(level: int) -> _Handler:
    def begin(walk: _Walk, _attributes: str, _index: int) -> None:
        walk.begin_heading(level)

    return begin


def _flow_handlers() -> dict[str, _Handler]:
    handlers: dict[str, _Handler] = {}
    for tag in BOUNDARY_TAGS:
        handlers[tag] = handlers["/" + tag] = _Walk.boundary
    for tag in SPACED_TAGS:
        handlers[tag] = handlers["/" + tag] = _Walk.space
    for level, tag in enumerate(HEADING_TAGS, 1):
        handlers[tag] = _heading_handler(level)
        handlers["/" + tag] = _Walk.end_heading
    pairs: list[tuple[str, _Handler, _Handler]] = [
        ("p", _Walk.boundary, _Walk.end_paragraph),
        ("div", _Walk.begin_div, _Walk.end_div),
        ("ul", _Walk.begin_list, _Walk.end_list),
        ("ol", _Walk.begin_list, _Walk.end_list),
        ("dl", _Walk.begin_list, _Walk.end_list),
        ("li", _Walk.begin_item, _Walk.end),
        ("dd", _Walk.begin_item, _Walk.end),
        ("dt", _Walk.begin_term, _Walk.end),
        ("blockquote", _Walk.begin_quote, _Walk.end_quote),
        ("figcaption", _Walk.begin_caption, _Walk.end_block),
        ("caption", _Walk.begin_caption, _Walk.end_block),
        ("article", _Walk.begin_section, _Walk.end_section),
        ("section", _Walk.begin_section, _Walk.end_section),
        ("main", _Walk.begin_section, _Walk.end_section),
        ("nav", _Walk.begin_nav, _Walk.end_part),
        ("header", _Walk.begin_header, _Walk.end_part),
        ("footer", _Walk.begin_footer, _Walk.end_part),
        ("table", _Walk.begin_table, _Walk.end_table),
        ("thead", _Walk.begin_head, _Walk.end_head),
        ("tr", _Walk.begin_row, _Walk.end_row),
        ("td", _Walk.begin_cell, _Walk.boundary),
        ("th", _Walk.begin_cell, _Walk.boundary),
        ("pre", _Walk.begin_pre, _Walk.boundary),
        ("listing", _Walk.begin_pre, _Walk.boundary),
        ("textarea", _Walk.begin_pre, _Walk.boundary),
    ]
    for tag, begin, end in pairs:
        handlers[tag] = begin
        handlers["/" + tag] = end
    handlers["br"] = _Walk.line_break
    handlers["img"] = _Walk.image
    return handlers


def _cell_handlers() -> dict[str, _Handler]:
    handlers: dict[str, _Handler] = dict.fromkeys(_FLOW, _Walk.space)
    handlers["/td"] = _Walk.end_cell
    handlers["/th"] = _Walk.end_header_cell
    handlers["img"] = _Walk.image
    return handlers


def _pre_handlers() -> dict[str, _Handler]:
    handlers: dict[str, _Handler] = dict.fromkeys(_FLOW, _Walk.new_line)
    for tag in SPACED_TAGS:
        del handlers[tag], handlers["/" + tag]
    handlers["br"] = _Walk.pre_line_break
    handlers["img"] = _Walk.image
    handlers["code"] = _Walk.code_language
    handlers["/pre"] = handlers["/listing"] = _Walk.end_pre
    handlers["/textarea"] = _Walk.end_textarea
    return handlers


_FLOW = _flow_handlers()
_IN_CELL = _cell_handlers()
_IN_PRE = _pre_handlers()
