"""PPTX, read straight from its XML: slides in order, titles, nested bullets, tables, notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.docxstyles import as_int
from pipelines.ingest.parsers.embedded import add_embedded
from pipelines.ingest.parsers.flatlist import FlatList
from pipelines.ingest.parsers.ooxml import (
    MAX_DEPTH,
    Package,
    attribute,
    iso_language,
    local,
    relation_id,
)
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_SHAPES = frozenset({"sp", "grpSp", "graphicFrame", "pic", "cxnSp"})
_TITLES = frozenset({"title", "ctrTitle"})
_MARGINS = {"ftr": "footer", "dt": "footer", "sldNum": "footer", "hdr": "header"}


class PptxParser:
    """Presentations to text and blocks."""

    name = "pptx"
    formats = frozenset({"pptx"})

    @property
    def version(self) -> str:
        """Of this parser and of the library behind it."""
        return f"2/lxml-{version('lxml')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a presentation. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted`, `malformed`, `limit_pages`, or another limit.
        """
        limits: Limits = options.get("limits") or Limits()
        package = Package(data, limits)
        build = TextBuilder(limits)
        reader = _Reader(package, build)
        reader.run(limits.max_pages)
        title, language = package.core()
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="slides",
            media_type=_MEDIA_TYPE,
            title=title,
            language=language or reader.language,
            empty_is_proven=not (package.embedded() or package.has_pictures()),
            warnings=tuple(build.warnings),
        )


class _Reader:
    """One presentation on its way through."""

    def __init__(self, package: Package, build: TextBuilder) -> None:
        self.package = package
        self.build = build
        self.lists = FlatList(build)
        self.language: str | None = None

    def run(self, max_pages: int) -> None:
        main = self.package.main_part("ppt/presentation.xml")
        relations = self.package.relations(main)
        slides = []
        for element in self.package.xml(main).iter():
            if local(element) == "sldId":
                relation = relations.get(relation_id(element) or "")
                if relation is None or not self.package.has(relation[1]):
                    self.build.warn("a slide that the presentation lists is missing")
                else:
                    slides.append(relation[1])
        if len(slides) > max_pages:
            raise ParseError(
                "limit_pages", f"{len(slides):,} slides; the limit max_pages is {max_pages:,}"
            )
        for number, part in enumerate(slides, 1):
            self.slide(part, number)

    def slide(self, part: str, number: int) -> None:
        self.build.page = number
        root = self.package.xml(part)
        if root.get("show") in ("0", "false"):
            self.build.warn("hidden slides are kept")
        self.build.open("slide", locator=f"slide {number}")
        shapes = list(_shapes(root))
        # The title first, wherever it is drawn: it is the heading of all the rest.
        shapes.sort(key=lambda shape: _placeholder(shape) not in _TITLES)
        for shape in shapes:
            self.shape(shape, part)
        add_embedded(self.build, self.package, part)
        for notes in self.package.related(part, "notesSlide"):
            self.notes(notes)
        for comments in self.package.related(part, "comments"):
            self.comments(comments)
        self.build.close()

    def shape(self, shape: _Element, part: str) -> None:
        kind = local(shape)
        placeholder = _placeholder(shape)
        if kind == "sp":
            for body in shape:
                if local(body) == "txBody":
                    self.body(body, placeholder)
        elif kind == "graphicFrame":
            self.frame(shape, part)
        if kind != "sp" or not any(local(child) == "txBody" for child in shape):
            description = _description(shape)
            if description:
                self.build.leaf("figure", description)

    def body(self, body: _Element, placeholder: str | None) -> None:
        paragraphs = [
            (self.text(p), *_bullet(p)) for p in body if local(p) == "p"
        ]  # text, level, whether it says that it has a bullet
        paragraphs = [paragraph for paragraph in paragraphs if paragraph[0]]
        if not paragraphs:
            return
        if placeholder in _TITLES:
            text = squeeze(" ".join(text for text, _, _ in paragraphs))
            self.build.leaf("heading", text, level=1)
            return
        if placeholder in _MARGINS:
            self.build.leaf(_MARGINS[placeholder], "\n".join(text for text, _, _ in paragraphs))
            return
        outline = placeholder in ("body", "obj", "") and len(paragraphs) > 1
        for text, level, bullet in paragraphs:
            if bullet is not False and (bullet or level or outline):
                self.lists.item(level + 1, text)
            else:
                self.lists.end()
                self.build.leaf("paragraph", text)
        self.lists.end()

    def text(self, paragraph: _Element) -> str:
        parts: list[str] = []
        for element in paragraph.iter():
            tag = local(element)
            if tag == "t":
                parts.append(element.text or "")
            elif tag == "br":
                parts.append("\n")
            elif tag == "tab":
                parts.append("\t")
            elif tag == "rPr" and self.language is None:
                self.language = iso_language(element.get("lang"))
        return "".join(parts).replace("\v", "\n").strip()

    def frame(self, frame: _Element, part: str) -> None:
        for element in frame.iter():
            tag = local(element)
            if tag == "tbl":
                self.table(element)
            elif tag == "chart" or tag == "relIds":
                found = relation_id(element, "dm" if tag == "relIds" else "id")
                relation = self.package.relations(part).get(found or "")
                if relation is not None and self.package.has(relation[1]):
                    self.drawing(relation[1])

    def table(self, table: _Element) -> None:
        rows = [row for row in table if local(row) == "tr"]
        first = any(local(p) == "tblPr" and p.get("firstRow") in ("1", "true") for p in table)
        self.build.open("table")
        for index, row in enumerate(rows):
            cells = [
                squeeze(" ".join(self.text(p) for p in cell.iter() if local(p) == "p"))
                for cell in row
                if local(cell) == "tc"
            ]
            self.build.row(cells, header=first and index == 0 and len(rows) > 1)
        self.build.close()

    def drawing(self, part: str) -> None:
        """The words of a chart or a diagram."""
        try:
            root = self.package.xml(part)
        except ParseError as error:
            self.build.warn(f"a drawing is not readable: {error.message}")
            return
        if local(root) == "chartSpace":
            lines = list(chart_lines(root))
        else:
            lines = [self.text(p) for p in root.iter() if local(p) == "p"]
        text = "\n".join(dict.fromkeys(line for line in lines if line))
        self.build.leaf("figure", text)

    def notes(self, part: str) -> None:
        root = self.package.xml(part)
        for shape in _shapes(root):
            if local(shape) == "sp" and _placeholder(shape) not in ("sldImg", "sldNum", "dt",
                                                                     "hdr", "ftr"):  # fmt: skip
                lines = [self.text(p) for p in shape.iter() if local(p) == "p"]
                text = "\n".join(line for line in lines if line)
                self.build.leaf("comment", text, locator="notes")

    def comments(self, part: str) -> None:
        for comment in self.package.xml(part):
            words = [e.text or "" for e in comment.iter() if local(e) in ("text", "t")]
            self.build.leaf("comment", squeeze(" ".join(words)))


def _shapes(root: _Element) -> Iterator[_Element]:
    """All shapes in drawing order, those in groups too, without the groups."""
    tree = next((e for e in root.iter() if local(e) == "spTree"), None)
    pending = [(child, 0) for child in tree][::-1] if tree is not None else []
    while pending:
        element, depth = pending.pop()
        tag = local(element)
        if tag == "grpSp" or tag == "Choice":
            if depth > MAX_DEPTH * 10:
                raise ParseError("limit_depth", f"shape groups nested deeper than {MAX_DEPTH * 10}")
            pending += [(child, depth + 1) for child in element][::-1]
        elif tag == "AlternateContent":
            chosen = next((c for c in element if local(c) in ("Choice", "Fallback")), None)
            if chosen is not None:
                pending += [(child, depth + 1) for child in chosen][::-1]
        elif tag in _SHAPES:
            yield element


def _placeholder(shape: _Element) -> str | None:
    """The kind of placeholder a shape fills; empty for an untyped one, null for none."""
    for properties in shape:
        if local(properties).startswith("nv"):
            for element in properties.iter():
                if local(element) == "ph":
                    return element.get("type") or ""
    return None


def _description(shape: _Element) -> str:
    for element in shape.iter():
        if local(element) == "cNvPr":
            return squeeze(element.get("descr") or "")
    return ""


def _bullet(paragraph: _Element) -> tuple[int, bool | None]:
    """Level from 0, and whether the paragraph has a bullet; null when it does not say."""
    for properties in paragraph:
        if local(properties) == "pPr":
            level = as_int(attribute(properties, "lvl")) or 0
            for child in properties:
                tag = local(child)
                if tag == "buNone":
                    return level, False
                if tag in ("buChar", "buAutoNum", "buBlip"):
                    return level, True
            return level, None
    return 0, None


def chart_lines(root: _Element) -> Iterator[str]:
    """A chart's titles, then a line per series: its name, and category: value pairs."""
    for element in root.iter():
        tag = local(element)
        if tag == "title":
            yield squeeze("".join(t.text or "" for t in element.iter() if local(t) == "t"))
        elif tag == "ser":
            name = categories = values = ()  # type: tuple[str, ...]
            for child in element:
                points = tuple(v.text or "" for v in child.iter() if local(v) == "v")
                if local(child) == "tx":
                    name = points
                elif local(child) in ("cat", "xVal"):
                    categories = points
                elif local(child) in ("val", "yVal"):
                    values = points
            pairs = [f"{c}: {v}" for c, v in zip(categories, values, strict=False)]
            line = ", ".join(pairs or categories or values)
            yield f"{' '.join(name)}: {line}" if name else line
