"""ODT, ODS and EPUB: packages of XML written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sample_writers.markup import Node, sections
from sample_writers.packages import package

_NAMESPACES = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"'
)
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def odt(nodes: list[Node]) -> bytes:
    """An OpenDocument text."""
    body = "".join(_odt_node(node) for node in nodes)
    return _opendocument("text", f"<office:text>{body}</office:text>")


def ods(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """An OpenDocument spreadsheet."""
    tables = "".join(
        f'<table:table table:name="{escape(name)}">{"".join(map(_ods_row, rows))}</table:table>'
        for name, rows in sheets.items()
    )
    return _opendocument("spreadsheet", f"<office:spreadsheet>{tables}</office:spreadsheet>")


def epub(title: str, author: str, nodes: list[Node]) -> bytes:
    """An EPUB 3 book with a chapter for each heading of rank 1."""
    chapters = [
        (f"chapter{n}", name, _xhtml(name, below))
        for n, (name, below) in enumerate(sections(nodes), 1)
    ]
    manifest = "".join(
        f'<item id="{i}" href="{i}.xhtml" media-type="application/xhtml+xml"/>'
        for i, _, _ in chapters
    )
    spine = "".join(f'<itemref idref="{i}"/>' for i, _, _ in chapters)
    links = "".join(f'<li><a href="{i}.xhtml">{escape(n)}</a></li>' for i, n, _ in chapters)
    opf = (
        f'{_XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        'unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<dc:identifier id="id">urn:larkmoor:water-levels</dc:identifier>'
        f"<dc:title>{escape(title)}</dc:title><dc:creator>{escape(author)}</dc:creator>"
        '<dc:language>en</dc:language><meta property="dcterms:modified">2026-03-02T09:00:00Z</meta>'
        '</metadata><manifest><item id="nav" href="nav.xhtml" properties="nav" '
        f'media-type="application/xhtml+xml"/>{manifest}</manifest><spine>{spine}</spine></package>'
    )
    nav = (
        f'{_XML}<html xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>Contents</title></head><body>'
        f'<nav epub:type="toc"><h1>Contents</h1><ol>{links}</ol></nav></body></html>'
    )
    container = (
        f'{_XML}<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="book/package.opf" '
        'media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    return package(
        [
            ("mimetype", b"application/epub+zip"),
            ("META-INF/container.xml", container.encode()),
            ("book/package.opf", opf.encode()),
            ("book/nav.xhtml", nav.encode()),
            *((f"book/{i}.xhtml", page.encode()) for i, _, page in chapters),
        ],
        stored=["mimetype"],
    )


def _opendocument(kind: str, body: str) -> bytes:
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    content = (
        f'{_XML}<office:document-content {_NAMESPACES} office:version="1.3">'
        f"<office:body>{body}</office:body></office:document-content>"
    )
    manifest = (
        f'{_XML}<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest'
        ':1.0" manifest:version="1.3">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media_type}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
        "</manifest:manifest>"
    )
    return package(
        [
            ("mimetype", media_type.encode()),
            ("content.xml", content.encode()),
            ("META-INF/manifest.xml", manifest.encode()),
        ],
        stored=["mimetype"],
    )


def _odt_node(node: Node) -> str:
    if node.kind == "heading":
        return f'<text:h text:outline-level="{node.level}">{escape(node.text)}</text:h>'
    if node.kind in ("bullets", "numbers"):
        items = "".join(
            f"<text:list-item><text:p>{escape(item)}</text:p></text:list-item>"
            for item in node.items
        )
        return f"<text:list>{items}</text:list>"
    if node.kind == "table":
        rows = "".join(_ods_row(row) for row in node.rows)
        columns = f'<table:table-column table:number-columns-repeated="{len(node.rows[0])}"/>'
        return f"<table:table>{columns}{rows}</table:table>"
    return f"<text:p>{escape(node.text)}</text:p>"


def _ods_row(row: Sequence[Any]) -> str:
    return f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>"


def _ods_cell(value: Any) -> str:
    if isinstance(value, int | float):
        kind = f'office:value-type="float" office:value="{value}"'
    else:
        kind = 'office:value-type="string"'
    return f"<table:table-cell {kind}><text:p>{escape(str(value))}</text:p></table:table-cell>"


def _xhtml(title: str, nodes: list[Node]) -> str:
    body = "".join(_xhtml_node(node) for node in nodes)
    return (
        f'{_XML}<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{escape(title)}</title>'
        f"</head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _xhtml_node(node: Node) -> str:
    if node.kind == "heading":
        return f"<h{node.level}>{escape(node.text)}</h{node.level}>"
    if node.kind in ("bullets", "numbers"):
        tag = "ul" if node.kind == "bullets" else "ol"
        return f"<{tag}>{''.join(f'<li>{escape(i)}</li>' for i in node.items)}</{tag}>"
    if node.kind == "table":
        head, *rest = node.rows
        rows = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rest)
        return f"<table><tr>{''.join(f'<th>{escape(c)}</th>' for c in head)}</tr>{rows}</table>"
    return f"<p>{escape(node.text)}</p>"
