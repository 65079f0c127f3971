"""PDF through PDFium: page by page, with geometry for reading order, paragraphs and tables.

PDFium is not safe in threads: one document at a time in one process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.flatlist import FlatList
from pipelines.ingest.parsers.pdfguard import (
    claimed_pages,
    draws_nothing,
    has_actions,
    refuse_bombs,
    repairs,
)
from pipelines.ingest.parsers.pdflayout import Group, Page, fold, lay_out
from pipelines.ingest.parsers.pdforder import in_reading_order
from pipelines.ingest.parsers.pdfpage import Geometry, read_annotations, read_lines
from pipelines.ingest.parsers.pdfrules import find_grids
from pipelines.ingest.parsers.pdftables import aligned_tables, ruled_tables
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_MAX_OUTLINE = 20_000
_SAME_INDENT = 6.0
"""Points by which items of one list may begin apart."""


class PdfParser:
    """PDF files to text and blocks. Pages without text are told, never passed off as empty."""

    name = "pdf"
    formats = frozenset({"pdf"})

    @property
    def version(self) -> str:
        """Of this parser and of the library behind it."""
        return f"2/pypdfium2-{version('pypdfium2')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a PDF. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted` when it takes a password to open, `malformed`, `limit_pages`,
                `limit_ratio` for a bomb, or another limit.
        """
        limits: Limits = options.get("limits") or Limits()
        refuse_bombs(data, limits)
        build = TextBuilder(limits)
        document = _open(data, build, limits)
        try:
            return _read(document, build, limits, data)
        finally:
            document.close()


def _open(data: bytes, build: TextBuilder, limits: Limits) -> Any:
    """The document, if need be repaired first."""
    import pypdfium2 as pdfium
    import pypdfium2.raw as raw

    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", None)
        if code == raw.FPDF_ERR_PASSWORD:
            raise ParseError("encrypted", "the PDF takes a password to open") from error
        if code == raw.FPDF_ERR_SECURITY:
            raise ParseError("encrypted", "the PDF's encryption is not supported") from error
        reason = error
    for candidate, done in repairs(data):
        try:
            document = pdfium.PdfDocument(candidate)
        except pdfium.PdfiumError:
            continue
        build.warn(done)
        return document
    pages = claimed_pages(data)
    if pages > limits.max_pages:
        raise ParseError(
            "limit_pages",
            f"the PDF cannot be opened, and claims {pages:,} pages; the limit max_pages is "
            f"{limits.max_pages:,}",
        ) from reason
    raise ParseError("malformed", f"not a readable PDF: {reason}") from reason


@dataclass(slots=True)
class _Contents:
    """What the pages hold."""

    pages: list[Page] = field(default_factory=list)
    notes: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    blank: int = 0
    broken: int = 0
    bare: bool = True
    """Whether no page without text draws anything."""
    hidden: int = 0
    """Lines that are invisible on their pages, those of recognised text under a scan aside."""


def _read(document: Any, build: TextBuilder, limits: Limits, data: bytes) -> Parsed:
    count = len(document)
    if count > limits.max_pages:
        raise ParseError(
            "limit_pages", f"{count:,} pages; the limit max_pages is {limits.max_pages:,}"
        )
    if not count:
        raise ParseError("malformed", "the PDF has no pages")
    intact = not build.warnings
    contents = _pages(document, count, limits)
    if not contents.pages:
        raise ParseError("malformed", f"none of the {count:,} pages can be loaded")
    _write(build, contents, _outline(document))
    _attached(build, document)
    if contents.broken:
        build.warn(f"{contents.broken} of {count} pages cannot be loaded")
    if contents.blank and build.position:
        build.warn(f"{contents.blank} of {count} pages hold no text")
    if contents.hidden:
        build.warn(f"{contents.hidden:,} lines are invisible on their pages, and kept as text")
    if has_actions(data):
        build.warn("scripts or programs are attached to the document; they are not run")
    text, blocks = build.finish()
    return Parsed(
        text=text,
        blocks=blocks,
        data_type="pdf",
        media_type="application/pdf",
        title=squeeze(document.get_metadata_value("Title")) or None,
        empty_is_proven=(intact and contents.bare and not contents.broken and draws_nothing(data)),
        warnings=tuple(build.warnings),
    )


def _pages(document: Any, count: int, limits: Limits) -> _Contents:
    import pypdfium2 as pdfium

    contents = _Contents()
    characters = 0
    for number in range(1, count + 1):
        try:
            loaded = document[number - 1]
        except pdfium.PdfiumError:
            contents.broken += 1
            continue
        text_page = loaded.get_textpage()
        geometry = Geometry(loaded)
        lines, glyphs = read_lines(text_page, geometry)
        characters += sum(len(line.text) for line in lines)
        if characters > limits.max_chars:
            raise ParseError(
                "limit_size", f"more than {limits.max_chars:,} characters by page {number}"
            )
        hidden = sum(line.hidden for line in lines)
        if hidden and (hidden < len(lines) or not _has_image(loaded)):
            contents.hidden += hidden
        contents.notes[number] = read_annotations(loaded)
        if not lines:
            contents.blank += 1
            contents.bare = contents.bare and not _object_count(loaded)
        elif len(lines) > 1:
            lines = ruled_tables(lines, find_grids(loaded, geometry), glyphs)
            lines = in_reading_order(aligned_tables(lines))
        contents.pages.append(Page(number, geometry.height, lines))
        text_page.close()
        loaded.close()
    return contents


def _write(
    build: TextBuilder, contents: _Contents, outline: Mapping[int, Mapping[str, int]]
) -> None:
    lists = FlatList(build)
    indents: list[float] = []
    for page, groups in lay_out(contents.pages, outline):
        lists.end()
        build.page = page.number
        if build.position:
            build.page_break(page.number)
        for group in groups:
            if group.kind == "list_item":
                level = _level(indents, group.lines[0].left)
                lists.item(level, group.text, bbox=group.bbox)
                continue
            lists.end()
            indents.clear()
            _write_group(build, group)
        lists.end()
        for kind, text in contents.notes[page.number]:
            build.leaf(kind, text)
    build.page = None


def _level(indents: list[float], left: float) -> int:
    """Nesting of an item, from 1, by where the items before it begin."""
    while indents and indents[-1] > left + _SAME_INDENT:
        indents.pop()
    if not indents or left > indents[-1] + _SAME_INDENT:
        indents.append(left)
    return len(indents)


def _write_group(build: TextBuilder, group: Group) -> None:
    table = group.lines[0].table
    if table is not None:
        build.open("table", bbox=group.bbox)
        for number, row in enumerate(table.rows):
            build.row(list(row), header=table.header and number == 0)
        build.close()
        return
    text = squeeze(group.text) if group.kind == "heading" else group.text
    build.leaf(group.kind, text, level=group.level, bbox=group.bbox)


def _has_image(page: Any) -> bool:
    import pypdfium2.raw as raw

    return any(
        raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page, index)) == raw.FPDF_PAGEOBJ_IMAGE
        for index in range(raw.FPDFPage_CountObjects(page))
    )


def _object_count(page: Any) -> int:
    import pypdfium2.raw as raw

    return int(raw.FPDFPage_CountObjects(page))


def _outline(document: Any) -> dict[int, dict[str, int]]:
    """Bookmarks: page number → folded title → level from 1."""
    found: dict[int, dict[str, int]] = {}
    for index, mark in enumerate(document.get_toc(max_depth=8)):
        if index >= _MAX_OUTLINE:
            break
        target = mark.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None:
            title = fold(mark.get_title())
            if title:
                found.setdefault(page + 1, {}).setdefault(title, mark.level + 1)
    return found


def _attached(build: TextBuilder, document: Any) -> None:
    import pypdfium2 as pdfium

    from pipelines.ingest.parsers.attachments import Attachments

    attachments = Attachments(build)
    for index in range(document.count_attachments()):
        try:
            attachment = document.get_attachment(index)
            name, data = attachment.get_name(), bytes(attachment.get_data())
        except pdfium.PdfiumError as error:
            build.warn(f"attachment {index + 1} is not readable: {error}")
            continue
        attachments.add(name, None, data)
