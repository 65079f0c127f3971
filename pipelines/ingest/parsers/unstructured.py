"""The `unstructured` library behind the common interface, for every format it knows."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pipelines.ingest.parsers import mail, msg
from pipelines.ingest.parsers.archive import preflight_zip
from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.flatlist import FlatList
from pipelines.ingest.parsers.html import build_html, decode_html, nesting
from pipelines.ingest.parsers.mail import html_bodies
from pipelines.ingest.parsers.mailbody import write_headers
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze
from pipelines.ingest.parsers.unstructuredrun import model_name, pandoc_version, partition

_OFFICE = "application/vnd.openxmlformats-officedocument."
# Format → (media type, data type).
_FORMATS = {
    "text": ("text/plain", "prose"),
    "markdown": ("text/markdown", "markdown"),
    "html": ("text/html", "html"),
    "pdf": ("application/pdf", "pdf"),
    "docx": (f"{_OFFICE}wordprocessingml.document", "prose"),
    "pptx": (f"{_OFFICE}presentationml.presentation", "slides"),
    "xlsx": (f"{_OFFICE}spreadsheetml.sheet", "spreadsheet"),
    "xls": ("application/vnd.ms-excel", "spreadsheet"),
    "doc": ("application/msword", "prose"),
    "ppt": ("application/vnd.ms-powerpoint", "slides"),
    "odt": ("application/vnd.oasis.opendocument.text", "prose"),
    "rtf": ("text/rtf", "prose"),
    "epub": ("application/epub", "prose"),
    "eml": ("message/rfc822", "email"),
    "msg": ("application/vnd.ms-outlook", "email"),
    "csv": ("text/csv", "table"),
    "tsv": ("text/tsv", "table"),
    "xml": ("application/xml", "structured"),
    "org": ("text/org", "prose"),
    "rst": ("text/x-rst", "prose"),
    "json": ("application/json", "structured"),
    "jsonl": ("application/x-ndjson", "structured"),
}
_ZIPPED = frozenset({"docx", "pptx", "xlsx", "odt", "epub"})
_THROUGH_OFFICE = frozenset({"doc", "ppt"})
_BLANK = b" \t\r\n\v\f\xef\xbb\xbf"
_DEEPEST = 250
"""Elements within elements that the library's XML reader keeps."""
_KINDS = {
    "CodeSnippet": "code", "Formula": "formula", "FigureCaption": "caption", "Image": "figure",
    "Header": "header", "Footer": "footer", "PageNumber": "footer",
}  # fmt: skip


class UnstructuredParser:
    """Whatever `unstructured` reads, its elements as blocks. Slow; see `docs/parsing.md`."""

    name = "unstructured"
    formats = frozenset(_FORMATS)

    @property
    def version(self) -> str:
        """Of this parser, the library, its classifier of text and pandoc, and if LibreOffice is."""
        office = "soffice" if shutil.which("soffice") else "no-soffice"
        library = f"unstructured-{version('unstructured')}"
        return f"2/{library}/{model_name()}/{pandoc_version()}/{office}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse one document. Options: `limits`, a `Limits`.

        Raises:
            ParseError: as `unstructuredrun.partition`; `missing_dependency` for DOC and PPT
                where LibreOffice is not installed, and for PDF without its extra.
        """
        limits: Limits = options.get("limits") or Limits()
        if format in _THROUGH_OFFICE and not shutil.which("soffice"):
            raise ParseError(
                "missing_dependency",
                f"reading {format.upper()} takes LibreOffice (`soffice` on the PATH): install the "
                f"package libreoffice, or save the file as {format.upper()}X",
            )
        if format == "pdf" and importlib.util.find_spec("unstructured_inference") is None:
            raise ParseError(
                "missing_dependency",
                "this parser reads PDF with further libraries, of several GB; run: "
                "pip install 'gristmill[unstructured-pdf]', or leave PDF to the parser 'pdf'",
            )
        if format in _ZIPPED:
            preflight_zip(data, limits)
        if format == "pdf":
            _preflight_pdf(data, limits)
        pages = [decode_html(data)[0]] if format == "html" else ()
        for page in html_bodies(data) if format == "eml" else pages:
            _preflight_html(page)
        media_type, data_type = _FORMATS[format]
        # Left on, an attached recording would be sent to a speech model.
        more = {"process_attachments": False} if format in ("eml", "msg") else {}
        elements = partition(data, media_type, **more)
        build = TextBuilder(limits)
        _write(build, elements, format)
        # Those are read by the parsers of their own formats.
        if format == "eml":
            mail.add_attachments(build, data)
        elif format == "msg":
            msg.add_attachments(build, data)
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type=data_type,
            media_type=media_type,
            title=_subject(elements),
            empty_is_proven=not data.strip(_BLANK),
            warnings=tuple(build.warnings),
        )


def _preflight_html(markup: str) -> None:
    """Refuse what the library would cut off without a word."""
    depth = nesting(markup)
    if depth > _DEEPEST:
        raise ParseError(
            "limit_depth",
            f"elements nested {depth:,} deep, of which this parser loses what is deeper than "
            f"{_DEEPEST}; the parser 'html' reads it",
        )


def _preflight_pdf(data: bytes, limits: Limits) -> None:
    """The library gives nothing, and no error, for what it cannot open; PDFium says why."""
    import pypdfium2 as pdfium
    import pypdfium2.raw as raw

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", None)
        if code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise ParseError("encrypted", "the PDF takes a password to open") from error
        raise ParseError("malformed", f"not a readable PDF: {error}") from error
    pages = len(document)
    document.close()
    if pages > limits.max_pages:
        raise ParseError(
            "limit_pages", f"{pages:,} pages; the limit max_pages is {limits.max_pages:,}"
        )


def _subject(elements: list[Any]) -> str | None:
    for element in elements:
        if element.metadata.subject:
            return squeeze(element.metadata.subject) or None
    return None


def _write(build: TextBuilder, elements: list[Any], format: str) -> None:
    lists = FlatList(build)
    sure = model_name() != "rules"
    group: object = None
    if format in ("eml", "msg") and elements:
        build.open("message")
        metadata = elements[0].metadata
        write_headers(
            build,
            [
                ("Subject", metadata.subject or ""),
                ("From", ", ".join(metadata.sent_from or ())),
                ("To", ", ".join(metadata.sent_to or ())),
                ("Cc", ", ".join(metadata.cc_recipient or ())),
            ],
        )
    for element in elements:
        metadata = element.metadata
        if format in ("pptx", "ppt", "xlsx", "xls"):
            key = (metadata.page_number, metadata.page_name)
            if key != group:
                lists.end()
                if group is not None:
                    build.close()
                group = key
                build.page = metadata.page_number
                slides = format in ("pptx", "ppt")
                locator = f"slide {metadata.page_number}" if slides else metadata.page_name
                build.open("slide" if slides else "sheet", locator=locator)
        elif metadata.page_number and metadata.page_number != build.page:
            if build.page is not None and build.depth == 0:
                build.page_break(metadata.page_number)
            build.page = metadata.page_number
        _element(build, lists, element, sure=sure)
    lists.end()


def _element(build: TextBuilder, lists: FlatList, element: Any, *, sure: bool) -> None:
    category = element.category
    text = str(element.text or "").strip()
    depth = element.metadata.category_depth
    if category == "ListItem":
        lists.item((depth or 0) + 1, text)
        return
    lists.end()
    if category == "Table":
        start = build.position
        if element.metadata.text_as_html:
            build_html(build, element.metadata.text_as_html)
        if build.position == start and text:
            build.open("table")
            for line in text.splitlines():
                build.row([squeeze(line)])
            build.close()
    elif category == "Title" and (depth is not None or sure):
        # Without the model, a guessed title is any short sentence.
        build.leaf("heading", squeeze(text), level=(depth or 0) + 1)
    else:
        build.leaf(_KINDS.get(category, "paragraph"), text)
