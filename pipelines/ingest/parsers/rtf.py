"""RTF: headings by outline level or style, lists, tables, footnotes, comments, running heads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.embedded import add_packed
from pipelines.ingest.parsers.flatlist import FlatList
from pipelines.ingest.parsers.rtftokens import RtfTokens
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_NOT_A_LABEL = re.compile(r"[^\w]*$")
_DINGBATS = ("o", "§", "ü", "Ø", "v", "q", "à", "n", "l")
"""Letters that bullets of symbol fonts come out as."""
_DEFAULT_STYLE = 0


_OBJECT = re.compile(rb"\\objdata((?:\s*[0-9a-fA-F]{2})+)")


class RtfParser:
    """RTF documents to text and blocks."""

    name = "rtf"
    version = "2"
    formats = frozenset({"rtf"})

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a document. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `malformed` when it is no RTF, or a limit.
        """
        build = TextBuilder(options.get("limits"))
        title = build_rtf(build, data)
        for number, found in enumerate(_OBJECT.finditer(data), 1):
            packed = bytes.fromhex(found[1].decode("ascii"))
            add_packed(build, packed, f"embedded file {number}")
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="prose",
            media_type="application/rtf",
            title=title,
            empty_is_proven=b"\\objdata" not in data and b"\\pict" not in data,
            warnings=tuple(build.warnings),
        )


def build_rtf(build: TextBuilder, data: bytes) -> str | None:
    """Add the text and blocks of an RTF document to `build`; gives its title, if it has one.

    Raises:
        ParseError: `malformed` when it is no RTF, or a limit.
    """
    reader = _Reader(data, build)
    reader.run()
    reader.end()
    return squeeze(reader.title) or None


def html_of_rtf(data: bytes) -> str | None:
    """The HTML that a mail program wrapped in RTF ([MS-OXRTFEX]); null when there is none.

    Raises:
        ParseError: `malformed` when it is no RTF.
    """
    if b"\\fromhtml" not in data[:4096]:
        return None
    reader = _HtmlReader(data)
    reader.run()
    return "".join(reader.parts)


class _Reader(RtfTokens):
    """Gathers paragraphs, and the text of what stands beside the body."""

    def __init__(self, data: bytes, build: TextBuilder) -> None:
        super().__init__(data)
        self.build = build
        self.lists = FlatList(build)
        self.parts: list[str] = []
        self.sides: list[list[str]] = []
        self.label = self.title = self.author = ""
        self.footnotes: list[str] = []
        self.comments: list[str] = []
        self.margins: dict[str, list[str]] = {"header": [], "footer": []}
        self.styles: dict[int, int] = {}
        """Style number → heading level."""
        self.style = self.style_definition = _DEFAULT_STYLE
        self.outline: int | None = None
        self.defined_outline: int | None = None
        self.list_level = 0
        self.in_list = self.in_table = False
        self.cells: list[str] = []
        self.row_is_header = False
        self.rows: list[tuple[list[str], bool]] = []

    def text(self, text: str) -> None:
        (self.sides[-1] if self.sides else self.parts).append(text)
        if self.group.destination == "stylesheet" and (found := _HEADING.search(text)):
            self.styles.setdefault(self.style_definition, int(found[1]))

    def enter(self, destination: str) -> None:
        self.sides.append([])
        if destination == "label":
            self.in_list = True

    def leave(self, destination: str) -> None:
        if destination in ("body", "skip") or not self.sides:
            return
        text = "".join(self.sides.pop()).strip()
        if destination == "label":
            self.label = "" if _NOT_A_LABEL.match(text) or text in _DINGBATS else text
        elif destination == "title":
            self.title = text
        elif destination == "author":
            self.author = text
        elif not text:
            return
        elif destination == "footnote":
            self.footnotes.append(squeeze(text))
            self.text(f"[{len(self.footnotes)}]")
        elif destination == "comment":
            self.comments.append(f"{self.author}: {squeeze(text)}" if self.author else text)
        elif destination in self.margins and text not in self.margins[destination]:
            self.margins[destination].append(text)

    def word(self, name: str, value: int | None) -> None:
        if self.group.destination == "stylesheet":
            self._style_word(name, value)
        elif self.sides:
            if name in ("par", "sect", "row", "page"):
                self.text("\n")
            elif name in ("cell", "nestcell"):
                self.text(" | ")
        elif name == "par" or name == "sect":
            if self.in_table:
                self.parts.append("\n")
            else:
                self.paragraph()
        elif name == "pard":
            self.style, self.outline, self.in_list, self.list_level = _DEFAULT_STYLE, None, False, 0
            self.in_table = False
        elif name == "s":
            self.style = value or 0
        elif name == "outlinelevel":
            self.outline = value if value is not None and value < 9 else None
        elif name == "ls":
            self.in_list = bool(value)
        elif name == "ilvl":
            self.list_level = value or 0
        elif name == "intbl":
            self.in_table = True
        elif name == "cell":
            self.cells.append(squeeze("".join(self.parts)))
            self.parts.clear()
        elif name == "row":
            self.rows.append((self.cells, self.row_is_header))
            self.cells, self.row_is_header = [], False
            self.parts.clear()
        elif name == "trhdr":
            self.row_is_header = True
        elif name in ("nestcell", "nestrow"):
            self.parts.append(" ")
        elif name in ("page", "column"):
            self.paragraph()
        elif name == "v" and value != 0:
            self.build.warn("hidden text is kept as text")

    def _style_word(self, name: str, value: int | None) -> None:
        if name == "s":
            self.style_definition = value or 0
            self.sides[-1].clear()
        elif name == "outlinelevel" and value is not None and value < 9:
            self.styles[self.style_definition] = value + 1

    def paragraph(self) -> None:
        text = "".join(self.parts).strip()
        self.parts.clear()
        label, self.label = self.label, ""
        if self.rows and (text or not self.in_table):
            self.table()
        if not text:
            return
        level = self.outline + 1 if self.outline is not None else self.styles.get(self.style)
        if label:
            text = f"{label} {text}"
        if level is not None:
            self.lists.end()
            self.build.leaf("heading", squeeze(text), level=level)
        elif self.in_list:
            self.lists.item(self.list_level + 1, text)
        else:
            self.lists.end()
            self.build.leaf("paragraph", text)

    def table(self) -> None:
        self.lists.end()
        self.build.open("table")
        for cells, header in self.rows:
            self.build.row(cells, header=header)
        self.build.close()
        self.rows.clear()

    def end(self) -> None:
        """Write what is still held back."""
        if self.cells or (self.in_table and self.parts):
            self.rows.append(([*self.cells, squeeze("".join(self.parts))], False))
            self.parts.clear()
        self.in_table = False
        self.paragraph()
        if self.rows:
            self.table()
        self.lists.end()
        for number, note in enumerate(self.footnotes, 1):
            self.build.leaf("footnote", f"[{number}] {note}", "\n")
        for comment in self.comments:
            self.build.leaf("comment", comment)
        for kind, texts in self.margins.items():
            for text in texts:
                self.build.leaf(kind, text)


class _HtmlReader(RtfTokens):
    """Keeps what belongs to the wrapped HTML and drops what only RTF readers are to show."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.parts: list[str] = []
        self.rtf_only = False
        self.sides = 0

    def enter(self, destination: str) -> None:
        self.sides += 1

    def leave(self, destination: str) -> None:
        if destination not in ("body", "skip"):
            self.sides -= 1

    def text(self, text: str) -> None:
        if not self.rtf_only and not self.sides:
            self.parts.append(text)

    def word(self, name: str, value: int | None) -> None:
        if name == "htmlrtf":
            self.rtf_only = value != 0
        elif name == "par":
            self.text("\n")
