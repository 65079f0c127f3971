"""DOCX, read straight from its XML.

Compared with the common libraries this keeps what they drop: text boxes, content controls,
footnotes, comments, headers and footers, numbering labels, and it needs one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.docxstyles import Numbering, Style, paragraph_numbers, read_styles
from pipelines.ingest.parsers.docxtext import Paragraph, paragraph_text
from pipelines.ingest.parsers.embedded import add_embedded
from pipelines.ingest.parsers.flatlist import FlatList
from pipelines.ingest.parsers.ooxml import MAX_DEPTH, Package, attribute, local, relation_id
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_TRANSPARENT = frozenset(
    {"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "AlternateContent", "Choice",
     "body", "txbxContent", "hdr", "ftr", "footnote", "endnote", "comment", "tc"}
)  # fmt: skip


class DocxParser:
    """Word documents to text and blocks."""

    name = "docx"
    formats = frozenset({"docx"})

    @property
    def version(self) -> str:
        """Of this parser and of the library behind it."""
        return f"2/lxml-{version('lxml')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a document. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted`, `malformed`, or a limit.
        """
        limits: Limits | None = options.get("limits")
        package = Package(data, limits)
        build = TextBuilder(limits)
        _Reader(package, build).run()
        title, language = package.core()
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="prose",
            media_type=_MEDIA_TYPE,
            title=title,
            language=language,
            empty_is_proven=not (package.embedded() or package.has_pictures()),
            warnings=tuple(build.warnings),
        )


class _Reader:
    """One document on its way through."""

    def __init__(self, package: Package, build: TextBuilder) -> None:
        self.package = package
        self.build = build
        self.part = package.main_part("word/document.xml")
        self.styles: dict[str, Style] = read_styles(self._side("styles"))
        self.numbering = Numbering(self._side("numbering"))
        self.lists = FlatList(build)
        self.code: list[str] = []
        self.notes: list[tuple[str, str]] = []
        """Kind and id of the notes referred to, in order."""
        self.rendered = False
        self.pages = 1

    def _side(self, kind: str) -> _Element | None:
        for target in self.package.related(self.part, kind):
            try:
                return self.package.xml(target)
            except ParseError as error:
                self.build.warn(f"{kind} are not readable: {error.message}")
        return None

    def run(self) -> None:
        source = self.package.archive.read(self.part)
        self.rendered = b"lastRenderedPageBreak" in source
        if self.rendered or b'"page"' in source:
            self.build.page = 1
        root = self.package.xml(self.part)
        self._margins("header")
        self._blocks(root, 0)
        self._end_runs()
        self._notes()
        self._comments()
        self.build.page = None
        self._margins("footer")
        add_embedded(self.build, self.package, self.part)

    def _blocks(self, parent: _Element, depth: int) -> None:
        for child in parent:
            tag = local(child)
            if tag == "p":
                self._paragraph(child, depth)
            elif tag == "tbl":
                self._table(child, depth)
            elif tag == "altChunk":
                self._alternative(child)
            elif tag in _TRANSPARENT:
                if depth < MAX_DEPTH:
                    self._blocks(child, depth + 1)
                else:
                    self._flatten(child)

    def _paragraph(self, element: _Element, depth: int) -> None:
        found = paragraph_text(element)
        style, outline, number, level = self._style(element)
        if found.breaks_before:
            self._turn_page(found.breaks_before_rendered, found.breaks_before_explicit)
        text = found.text.strip("\n") if style.kind == "code" else found.text.strip()
        if found.hidden:
            self.build.warn("hidden text is kept as text")
        heading = outline + 1 if outline is not None and 0 <= outline < 9 else style.heading
        if style.kind == "code" and heading is None and number is None:
            if text or self.code:
                self.lists.end()
                self.code.append(text.rstrip())
        elif text:
            self._end_code()
            label = ""
            if number is not None and self.numbering.known(number):
                label = self.numbering.label(number, level)
            if label and not text.startswith(label):
                text = f"{label} {text}"
            if heading is not None:
                self.lists.end()
                self.build.leaf("heading", squeeze(text), level=heading)
            elif style.kind == "paragraph" and number is not None and self.numbering.known(number):
                self.lists.item(level + 1, text)
            else:
                self.lists.end()
                self.build.leaf("formula" if found.formula else style.kind, text)
        self._extras(found, depth)
        if found.breaks_after:
            self._turn_page(found.breaks_after_rendered, found.breaks_after_explicit)

    def _style(self, element: _Element) -> tuple[Style, int | None, str | None, int]:
        style = Style()
        outline: int | None = None
        number: str | None = None
        level = 0
        properties = next((c for c in element if local(c) == "pPr"), None)
        if properties is not None:
            for child in properties:
                if local(child) == "pStyle":
                    style = self.styles.get(attribute(child, "val") or "", style)
            outline, number, level = paragraph_numbers(properties)
        if number is None and style.number is not None:
            number, level = style.number, style.level
        return style, outline, number, level

    def _extras(self, found: Paragraph, depth: int) -> None:
        """What hangs on a paragraph: pictures' descriptions, text boxes, notes."""
        self.notes += found.notes
        if found.descriptions or found.boxes:
            self._end_runs()
        for description in found.descriptions:
            self.build.leaf("figure", description)
        for box in found.boxes:
            if depth < MAX_DEPTH:
                self._blocks(box, depth + 1)
            else:
                self._flatten(box)

    def _turn_page(self, rendered: int, explicit: int) -> None:
        turned = rendered if self.rendered else explicit
        if turned and self.build.page is not None:
            self.pages += turned
            if self.build.depth == 0:
                self.build.page_break(self.pages)
            self.build.page = self.pages

    def _end_code(self) -> None:
        if self.code:
            self.build.leaf("code", "\n".join(self.code).strip("\n"))
            self.code.clear()

    def _end_runs(self) -> None:
        self._end_code()
        self.lists.end()

    def _table(self, table: _Element, depth: int) -> None:
        self._end_runs()
        rows = [row for row in _rows(table) if local(row) == "tr"]
        cells = [[cell for cell in _rows(row) if local(cell) == "tc"] for row in rows]
        if sum(map(len, cells)) == 1 and depth < MAX_DEPTH:
            self._blocks(next(cell for row in cells for cell in row), depth + 1)
            self._end_runs()
            return
        first_is_header = len(rows) > 1 and _first_row_is_header(table)
        self.build.open("table")
        for index, row in enumerate(rows):
            header = (index == 0 and first_is_header) or _repeats(row)
            self.build.row([self._cell(cell) for cell in cells[index]], header=header)
        self.build.close()

    def _cell(self, cell: _Element) -> str:
        parts: list[str] = []
        for element in cell.iter():
            if local(element) == "p":
                found = paragraph_text(element)
                self.notes += found.notes
                parts.append(found.text)
                parts += found.descriptions
        return squeeze(" ".join(parts))

    def _flatten(self, element: _Element) -> None:
        """The text of what is nested too deep to be worth its structure."""
        self._end_runs()
        for paragraph in element.iter():
            if local(paragraph) == "p":
                self.build.leaf("paragraph", squeeze(paragraph_text(paragraph).text))

    def _alternative(self, element: _Element) -> None:
        """A part in another format that Word would take in on opening."""
        target = self.package.relations(self.part).get(relation_id(element) or "")
        if target is None or not self.package.has(target[1]):
            self.build.warn("an included part outside the document is not read")
            return
        from pipelines.ingest.parsers.attachments import Attachments

        self._end_runs()
        Attachments(self.build).add(target[1], None, self.package.archive.read(target[1]))

    def _margins(self, kind: str) -> None:
        """Page headers or footers, each distinct one once."""
        seen: set[str] = set()
        for target in self.package.related(self.part, kind):
            try:
                root = self.package.xml(target)
            except ParseError as error:
                self.build.warn(f"a page {kind} is not readable: {error.message}")
                continue
            lines = [paragraph_text(p).text.strip() for p in root.iter() if local(p) == "p"]
            text = "\n".join(line for line in lines if line)
            if text not in seen:
                seen.add(text)
                self.build.leaf(kind, text)

    def _notes(self) -> None:
        for kind in ("footnote", "endnote"):
            wanted = [key for found, key in self.notes if found == kind]
            root = self._side(kind + "s") if wanted else None
            if root is None:
                continue
            notes = {attribute(note, "id"): note for note in root}
            for key in dict.fromkeys(wanted):
                if key in notes:
                    lines = [paragraph_text(p).text for p in notes[key].iter() if local(p) == "p"]
                    text = squeeze(" ".join(lines))
                    if text:
                        self.build.leaf("footnote", f"[{key}] {text}", "\n")

    def _comments(self) -> None:
        root = self._side("comments")
        for comment in root if root is not None else ():
            lines = [paragraph_text(p).text for p in comment.iter() if local(p) == "p"]
            text = squeeze(" ".join(lines))
            author = attribute(comment, "author")
            if text:
                self.build.leaf("comment", f"{author}: {text}" if author else text)


def _rows(element: _Element) -> list[_Element]:
    """Children, looking through content controls and revision marks around rows and cells."""
    found: list[_Element] = []
    pending = list(element)[::-1]
    while pending:
        child = pending.pop()
        if local(child) in ("sdt", "sdtContent", "ins", "customXml", "moveTo"):
            pending += list(child)[::-1]
        else:
            found.append(child)
    return found


def _repeats(row: _Element) -> bool:
    """Whether the row is marked as a header that is repeated on each page."""
    for properties in row:
        if local(properties) == "trPr":
            for child in properties:
                if local(child) == "tblHeader":
                    return attribute(child, "val") not in ("0", "false", "off")
    return False


def _first_row_is_header(table: _Element) -> bool:
    for properties in table:
        if local(properties) == "tblPr":
            for child in properties:
                if local(child) == "tblLook":
                    flag = attribute(child, "firstRow")
                    if flag is not None:
                        return flag in ("1", "true", "on")
                    try:
                        return bool(int(attribute(child, "val") or "0", 16) & 0x20)
                    except ValueError:
                        return False
    return False
