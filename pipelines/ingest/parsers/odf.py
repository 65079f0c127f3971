"""OpenDocument text and presentations, read straight from their XML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pipelines.ingest.parsers.archive import Archive, preflight_zip
from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.docxstyles import as_int
from pipelines.ingest.parsers.embedded import add_file
from pipelines.ingest.parsers.ooxml import MAX_DEPTH, attribute, iso_language, local, parse_xml
from pipelines.ingest.parsers.textbuild import BLANK_LINE, TextBuilder, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_TYPES = {
    "odt": ("prose", "application/vnd.oasis.opendocument.text"),
    "odp": ("slides", "application/vnd.oasis.opendocument.presentation"),
}
_SKIPPED = frozenset(
    {"tracked-changes", "sequence-decls", "variable-decls", "user-field-decls", "forms",
     "alphabetical-index-auto-mark-file", "binary-data", "index-title-template", "event-listeners",
     "note-citation", "table-of-content-source", "settings", "shapes"}
)  # fmt: skip
_SHAPES = frozenset(
    {"frame", "custom-shape", "rect", "circle", "ellipse", "line", "polyline", "polygon",
     "regular-polygon", "path", "connector", "measure", "caption", "g", "a"}
)  # fmt: skip
_MAX_SPACES = 1000
_MAX_OBJECTS = 20
_MAX_REPEATS = 100


class OdfParser:
    """OpenDocument texts (`odt`) and presentations (`odp`) to text and blocks."""

    name = "odf"
    formats = frozenset({"odt", "odp"})

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
        archive = preflight_zip(data, limits)
        if archive.find("META-INF/manifest.xml"):
            manifest = parse_xml(archive.read("META-INF/manifest.xml"), "META-INF/manifest.xml")
            if any(local(element) == "encryption-data" for element in manifest.iter()):
                raise ParseError("encrypted", "the file is encrypted; save it without a password")
        build = TextBuilder(limits)
        _Reader(archive, build, presentation=format == "odp").run()
        title, language = _meta(archive)
        text, blocks = build.finish()
        data_type, media_type = _TYPES[format]
        return Parsed(
            text=text,
            blocks=blocks,
            data_type=data_type,
            media_type=media_type,
            title=title,
            language=language,
            empty_is_proven=not archive.has_pictures(),
            warnings=tuple(build.warnings),
        )


class _Reader:
    """One document on its way through."""

    def __init__(self, archive: Archive, build: TextBuilder, *, presentation: bool) -> None:
        self.archive = archive
        self.build = build
        self.presentation = presentation
        self.notes: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self.code_styles: set[str] = set()
        self.slides = 0
        self.lists = 0

    def run(self) -> None:
        styles = (
            parse_xml(self.archive.read("styles.xml"), "styles.xml")
            if self.archive.find("styles.xml")
            else None
        )
        self.margins(styles, "header")
        root = parse_xml(self.archive.read("content.xml"), "content.xml")
        for body in root:
            if local(body) == "body":
                self.blocks(body, 0)
        for citation, note in self.notes:
            self.build.leaf("footnote", f"[{citation}] {note}" if citation else note, "\n")
        for comment in self.comments:
            self.build.leaf("comment", comment)
        self.margins(styles, "footer")

    def blocks(self, parent: Iterable[_Element], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ParseError("limit_depth", f"content nested deeper than {MAX_DEPTH} levels")
        for child in parent:
            tag = local(child)
            if tag == "p":
                self.paragraph(child, "paragraph", depth)
            elif tag == "h":
                level = as_int(attribute(child, "outline-level")) or 1
                self.paragraph(child, "heading", depth, level)
            elif tag == "list":
                self.list(child, depth)
            elif tag == "table":
                self.table(child)
            elif tag == "page":
                self.slide(child, depth)
            elif tag == "notes":
                self.speaker_notes(child)
            elif tag == "annotation":
                self.comment(child)
            elif tag in _SHAPES:
                self.shape(child, depth)
            elif tag not in _SKIPPED and tag not in ("header", "footer"):
                self.blocks(child, depth + 1)

    def paragraph(self, element: _Element, kind: str, depth: int, level: int | None = None) -> None:
        frames: list[_Element] = []
        text = self.text(element, frames)
        if kind == "heading":
            text = squeeze(text)
        elif "Preformatted" in (attribute(element, "style-name") or ""):
            kind = "code"
        self.build.leaf(kind, text if kind == "code" else text.strip(), level=level)
        for frame in frames:
            self.shape(frame, depth + 1)

    def text(self, element: _Element, frames: list[_Element]) -> str:
        """A paragraph's own text; frames, notes and comments anchored in it are set aside."""
        parts: list[str] = []
        pending: list[tuple[_Element, bool]] = [(element, False)]
        while pending:
            current, leaving = pending.pop()
            if leaving:
                parts.append(current.tail or "")
                continue
            if current is not element:
                pending.append((current, True))
            tag = local(current)
            if tag == "s":
                parts.append(" " * min(as_int(attribute(current, "c")) or 1, _MAX_SPACES))
            elif tag == "tab":
                parts.append("\t")
            elif tag == "line-break":
                parts.append("\n")
            elif tag == "note":
                citation = ""
                for child in current:
                    if local(child) == "note-citation":
                        citation = squeeze("".join(child.itertext()))
                    elif local(child) == "note-body":
                        self.notes.append((citation, squeeze(" ".join(child.itertext()))))
                parts.append(f"[{citation}]")
            elif tag == "annotation":
                self.comment(current)
            elif tag in _SHAPES and current is not element and not _is_link(current):
                frames.append(current)
            elif tag == "ruby-text":
                parts.append(f" ({squeeze(''.join(current.itertext()))})")
            elif tag not in _SKIPPED:
                # OpenDocument, like HTML, takes any run of whitespace for one space.
                own = current.text or ""
                parts.append(own if not own or own.isspace() else _collapse(own))
                pending += [(child, False) for child in list(current)[::-1]]
        return "".join(parts)

    def list(self, element: _Element, depth: int) -> None:
        self.lists += 1
        separator = "\n" if self.lists > 1 else BLANK_LINE
        self.build.open("list", separator, level=self.lists)
        for item in element:
            if local(item) not in ("list-item", "list-header"):
                continue
            self.build.open("list_item", "\n", level=self.lists)
            for child in item:
                if local(child) == "p":
                    frames: list[_Element] = []
                    text = self.text(child, frames).strip()
                    self.build.separate("\n")
                    self.build.write(text)
                    for frame in frames:
                        self.shape(frame, depth + 1)
                elif local(child) == "list":
                    if depth > MAX_DEPTH:
                        raise ParseError("limit_depth", f"lists nested deeper than {MAX_DEPTH}")
                    self.list(child, depth + 1)
                else:
                    self.blocks([child], depth + 1)
            self.build.close("\n")
        self.build.close("\n" if self.lists > 1 else BLANK_LINE)
        self.lists -= 1

    def table(self, table: _Element) -> None:
        self.build.open("table", locator=attribute(table, "name"))
        for row in table.iter():
            if local(row) != "table-row" or _inner(row, table):
                continue
            parent = row.getparent()
            header = parent is not None and local(parent) == "table-header-rows"
            cells: list[str] = []
            for cell in row:
                if local(cell) not in ("table-cell", "covered-table-cell"):
                    continue
                lines = [self.text(p, []) for p in cell.iter() if local(p) in ("p", "h")]
                repeats = as_int(attribute(cell, "number-columns-repeated")) or 1
                cells += [squeeze(" ".join(lines))] * min(repeats, _MAX_REPEATS)
            while cells and not cells[-1]:
                cells.pop()
            self.build.row(cells, header=header)
        self.build.close()

    def slide(self, page: _Element, depth: int) -> None:
        self.slides += 1
        self.build.page = self.slides
        self.build.open("slide", locator=f"slide {self.slides}")
        shapes = list(page)
        shapes.sort(key=lambda shape: attribute(shape, "class") != "title")
        for shape in shapes:
            if attribute(shape, "class") == "title":
                text = squeeze(" ".join(self.text(p, []) for p in shape.iter() if local(p) == "p"))
                self.build.leaf("heading", text, level=1)
            else:
                self.blocks([shape], depth + 1)
        self.build.close()

    def speaker_notes(self, notes: _Element) -> None:
        lines = [self.text(p, []).strip() for p in notes.iter() if local(p) in ("p", "h")]
        self.build.leaf("comment", "\n".join(line for line in lines if line), locator="notes")

    def shape(self, shape: _Element, depth: int) -> None:
        """A text box, drawing, table, picture or object; of its renderings the first is read."""
        for child in shape:
            tag = local(child)
            if tag in ("text-box", "p", "list", "table"):
                self.blocks([child] if tag != "text-box" else child, depth + 1)
            elif tag in ("desc", "title"):
                self.build.leaf("figure", squeeze("".join(child.itertext())))
            elif tag in _SHAPES:
                if depth > MAX_DEPTH:
                    raise ParseError("limit_depth", f"shapes nested deeper than {MAX_DEPTH}")
                self.shape(child, depth + 1)
            elif tag == "object" or tag == "object-ole":
                self.object((attribute(child, "href") or "").removeprefix("./"), depth)

    def object(self, name: str, depth: int) -> None:
        """A chart, sheet, text or formula within the document, or a file of another program."""
        inner = f"{name}/content.xml"
        if self.archive.find(inner):
            root = parse_xml(self.archive.read(inner), inner)
            if local(root) == "math":
                formula = next((e for e in root.iter() if local(e) == "annotation"), root)
                self.build.leaf("formula", squeeze("".join(formula.itertext())))
            elif depth < _MAX_OBJECTS:
                for body in root:
                    if local(body) == "body":
                        self.blocks(body, depth + 1)
        elif self.archive.find(name):
            add_file(self.build, self.archive.read(name), name)
        else:
            self.build.warn("an embedded object is missing, or stands outside the document")

    def comment(self, annotation: _Element) -> None:
        author = ""
        lines: list[str] = []
        for child in annotation:
            if local(child) == "creator":
                author = squeeze(child.text or "")
            elif local(child) in ("p", "list"):
                lines.append(squeeze(" ".join(child.itertext())))
        text = " ".join(line for line in lines if line)
        if text:
            self.comments.append(f"{author}: {text}" if author else text)

    def margins(self, styles: _Element | None, kind: str) -> None:
        """Page headers or footers of the page styles, each distinct one once."""
        seen: set[str] = set()
        for element in styles.iter() if styles is not None else ():
            tag = local(element)
            if tag in (kind, f"{kind}-left", f"{kind}-first") and len(element):
                lines = [self.text(p, []).strip() for p in element.iter() if local(p) in ("p", "h")]
                text = "\n".join(line for line in lines if line)
                if text not in seen:
                    seen.add(text)
                    self.build.leaf(kind, text)
            elif tag == "master-page" and self.presentation:
                self.master(element, kind, seen)

    def master(self, master: _Element, kind: str, seen: set[str]) -> None:
        """Words that a slide master puts on every slide."""
        for frame in master:
            role = attribute(frame, "class")
            if local(frame) != "frame" or role in ("title", "outline", "subtitle", "page-number",
                                                   "date-time"):  # fmt: skip
                continue
            lines = [self.text(p, []).strip() for p in frame.iter() if local(p) in ("p", "h")]
            text = "\n".join(line for line in lines if line)
            if (role == "header") == (kind == "header") and text not in seen:
                seen.add(text)
                self.build.leaf(kind, text)


def _is_link(element: _Element) -> bool:
    """Whether it is a link in running text, which shares its name with a link around a shape."""
    return local(element) == "a" and "drawing" not in element.tag


def _collapse(text: str) -> str:
    left = " " if text[0].isspace() else ""
    right = " " if text[-1].isspace() else ""
    return f"{left}{' '.join(text.split())}{right}"


def _inner(row: _Element, table: _Element) -> bool:
    """Whether the row belongs to a table inside a cell, whose text its cell already gives."""
    parent = row.getparent()
    while parent is not None and parent is not table:
        if local(parent) == "table":
            return True
        parent = parent.getparent()
    return False


def _meta(archive: Archive) -> tuple[str | None, str | None]:
    if not archive.find("meta.xml"):
        return None, None
    try:
        root = parse_xml(archive.read("meta.xml"), "meta.xml")
    except ParseError:
        return None, None  # properties are not worth losing the document for
    found = {local(element): (element.text or "").strip() for element in root.iter()}
    return found.get("title") or None, iso_language(found.get("language"))
