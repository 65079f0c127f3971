"""PDF through PDFium: page by page, with geometry for paragraphs and headings.

PDFium is not safe in threads: one document at a time in one process.
"""

from __future__ import annotations

import ctypes
import math
import re
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.pdflayout import Line, Page, fold, join_pieces, lay_out
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_NO_ANNOTATION_TEXT = frozenset({2, 16, 20})
"""Subtypes of annotations without text of their own: link, popup, widget."""
_WIDGET = 20
_LINE_END = re.compile("(?<=\r\n)|(?<=[\ufffe\x02])")
"""PDFium runs a line on that ends in a hyphen, and marks the place."""
_STREAM = re.compile(rb"<<((?:[^<>]|<[^<]|>(?!>)|<<[^<>]*>>)*)>>\s*stream\r?\n")
_FILTER = re.compile(rb"/(\w+Decode|Crypt)\b")
_SHOWS = re.compile(rb"[\])>\s]\s*T[jJ]\b|\bDo\b|\bBI\b")
_MAX_LOOK = 50 << 20
"""Bytes of decoded streams that are searched before emptiness counts as not proven."""
_BOLD_WEIGHT = 600
_MAX_OUTLINE = 20_000


class PdfParser:
    """PDF files to text and blocks. Pages without text are told, never passed off as empty."""

    name = "pdf"
    formats = frozenset({"pdf"})

    @property
    def version(self) -> str:
        """Of this parser and of the library behind it."""
        return f"1/pypdfium2-{version('pypdfium2')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a PDF. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted` when it takes a password to open, `malformed`, `limit_pages`,
                or another limit.
        """
        import pypdfium2 as pdfium
        import pypdfium2.raw as raw

        limits: Limits = options.get("limits") or Limits()
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError as error:
            if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
                raise ParseError("encrypted", "the PDF takes a password to open") from error
            if getattr(error, "err_code", None) == raw.FPDF_ERR_SECURITY:
                raise ParseError("encrypted", "the PDF's encryption is not supported") from error
            raise ParseError("malformed", f"not a readable PDF: {error}") from error
        try:
            return _read(document, TextBuilder(limits), limits, data)
        finally:
            document.close()


def _read(document: Any, build: TextBuilder, limits: Limits, data: bytes) -> Parsed:
    import pypdfium2 as pdfium

    count = len(document)
    if count > limits.max_pages:
        raise ParseError(
            "limit_pages", f"{count:,} pages; the limit max_pages is {limits.max_pages:,}"
        )
    if not count:
        raise ParseError("malformed", "the PDF has no pages")
    pages: list[Page] = []
    notes: dict[int, list[tuple[str, str]]] = {}
    blank = broken = 0
    bare = True
    characters = 0
    for number in range(1, count + 1):
        try:
            loaded = document[number - 1]
        except pdfium.PdfiumError:
            broken += 1
            continue
        page = Page(number, loaded.get_height())
        text_page = loaded.get_textpage()
        page.lines = _lines(text_page, page.height)
        characters += sum(len(line.text) for line in page.lines)
        if characters > limits.max_chars:
            raise ParseError(
                "limit_size", f"more than {limits.max_chars:,} characters by page {number}"
            )
        notes[number] = _annotations(loaded)
        if not page.lines:
            blank += 1
            bare = bare and not _object_count(loaded)
        pages.append(page)
        text_page.close()
        loaded.close()
    if not pages:
        raise ParseError("malformed", f"none of the {count:,} pages can be loaded")
    _write(build, pages, notes, _outline(document))
    _attached(build, document)
    if broken:
        build.warn(f"{broken} of {count} pages cannot be loaded")
    if blank and build.position:
        build.warn(f"{blank} of {count} pages hold no text")
    text, blocks = build.finish()
    return Parsed(
        text=text,
        blocks=blocks,
        data_type="pdf",
        media_type="application/pdf",
        title=squeeze(document.get_metadata_value("Title")) or None,
        empty_is_proven=bare and not broken and _draws_nothing(data),
        warnings=tuple(build.warnings),
    )


def _draws_nothing(data: bytes) -> bool:
    """Whether no stream of the file shows text or draws another object.

    PDFium gives an empty page, and no error, for content that it cannot decode. So emptiness is
    only proven when every stream can be looked into.
    """
    budget = _MAX_LOOK
    for found in _STREAM.finditer(data):
        dictionary = found[1]
        if b"/Image" in dictionary or b"/Metadata" in dictionary or b"/XRef" in dictionary:
            continue
        end = data.find(b"endstream", found.end())
        raw = data[found.end() : end if end >= 0 else len(data)]
        filters = _FILTER.findall(dictionary)
        if filters == [b"FlateDecode"]:
            decoder = zlib.decompressobj()
            try:
                raw = decoder.decompress(raw, budget)
            except zlib.error:
                return False
            if decoder.unconsumed_tail:
                return False
        elif filters:
            return False
        budget -= len(raw)
        if budget <= 0 or _SHOWS.search(raw):
            return False
    return True


def _write(
    build: TextBuilder,
    pages: list[Page],
    notes: Mapping[int, list[tuple[str, str]]],
    outline: Mapping[int, Mapping[str, int]],
) -> None:
    for page, groups in lay_out(pages, outline):
        build.page = page.number
        if build.position:
            build.page_break(page.number)
        for group in groups:
            text = squeeze(group.text) if group.kind == "heading" else group.text
            build.leaf(group.kind, text, level=group.level, bbox=group.bbox)
        for kind, text in notes[page.number]:
            build.leaf(kind, text)
    build.page = None


def _lines(text_page: Any, height: float) -> list[Line]:
    """The page's lines as PDFium orders them, with the boxes of their first and last letters."""
    import pypdfium2.raw as raw

    count = raw.FPDFText_CountChars(text_page)
    if count <= 0:
        return []
    text: str = text_page.get_text_range(0, count)
    wide = any(c > "\uffff" for c in text)
    pieces: list[Line] = []
    at = 0
    for piece in _LINE_END.split(text):
        stripped = piece.strip()
        if stripped:
            first = at + len(piece) - len(piece.lstrip())
            spots = (first, first + (len(stripped) - 1) // 2, first + len(stripped) - 1)
            if wide:
                spots = (_units(text, spots[0]), _units(text, spots[1]), _units(text, spots[2]))
            left, middle, right = (
                raw.FPDFText_GetCharIndexFromTextIndex(text_page, spot) for spot in spots
            )
            (x, y), (end, other) = _origin(text_page, left), _origin(text_page, right)
            size = sorted(_size(text_page, index) for index in (left, middle, right))[1]
            pieces.append(
                Line(
                    stripped.replace("\r", "\n"),
                    min(x, end),
                    max(x, end, _box(text_page, right).right),
                    height - max(y, other),
                    size,
                    _bold(text_page, middle),
                )
            )
        at += len(piece)
    return join_pieces(pieces)


def _units(text: str, index: int) -> int:
    """UTF-16 code units before the character at `index`."""
    return index + sum(c > "\uffff" for c in text[:index])


def _box(text_page: Any, index: int) -> Any:
    import pypdfium2.raw as raw

    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(text_page, index, ctypes.byref(box))
    return box


def _origin(text_page: Any, index: int) -> tuple[float, float]:
    import pypdfium2.raw as raw

    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(text_page, index, ctypes.byref(x), ctypes.byref(y))
    return x.value, y.value


def _size(text_page: Any, index: int) -> float:
    """Font size as drawn, in points: the nominal one may be 1 and scaled by the text's matrix."""
    import pypdfium2.raw as raw

    matrix = raw.FS_MATRIX()
    size = float(raw.FPDFText_GetFontSize(text_page, index))
    if raw.FPDFText_GetMatrix(text_page, index, ctypes.byref(matrix)):
        size *= math.hypot(matrix.c, matrix.d) or 1.0
    return size


def _bold(text_page: Any, index: int) -> bool:
    import pypdfium2.raw as raw

    if raw.FPDFText_GetFontWeight(text_page, index) >= _BOLD_WEIGHT:
        return True
    buffer = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(text_page, index, buffer, 128, ctypes.byref(ctypes.c_int()))
    return b"bold" in buffer.value.lower()


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


def _annotations(page: Any) -> list[tuple[str, str]]:
    """Comments, and the values of form fields, as (kind, text)."""
    import pypdfium2.raw as raw

    found: list[tuple[str, str]] = []
    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        subtype = raw.FPDFAnnot_GetSubtype(annotation)
        if subtype == _WIDGET:
            value = _string(annotation, b"V")
            if value:
                name = _string(annotation, b"TU") or _string(annotation, b"T")
                found.append(("paragraph", f"{name}: {value}" if name else value))
        elif subtype not in _NO_ANNOTATION_TEXT:
            contents = _string(annotation, b"Contents")
            if contents:
                author = _string(annotation, b"T")
                found.append(("comment", f"{author}: {contents}" if author else contents))
        raw.FPDFPage_CloseAnnot(annotation)
    return found


def _string(annotation: Any, key: bytes) -> str:
    import pypdfium2.raw as raw

    size = raw.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAnnot_GetStringValue(
        annotation, key, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size
    )
    text = buffer.raw[: size - 2].decode("utf-16-le", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


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
