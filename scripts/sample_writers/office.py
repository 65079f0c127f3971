"""DOCX, PPTX and XLSX."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sample_writers.markup import Node, sections
from sample_writers.packages import normalised

_WHEN = datetime(2026, 3, 2, 9, 0)
_AUTHOR = "Larkmoor Instruments"


def docx(nodes: list[Node]) -> bytes:
    """A Word document with real heading styles, lists and tables."""
    import docx

    document = docx.Document()
    properties = document.core_properties
    properties.author, properties.created, properties.modified = _AUTHOR, _WHEN, _WHEN
    properties.title = nodes[0].text
    for node in nodes:
        if node.kind == "heading":
            document.add_heading(node.text, node.level)
        elif node.kind in ("bullets", "numbers"):
            style = "List Bullet" if node.kind == "bullets" else "List Number"
            for item in node.items:
                document.add_paragraph(item, style)
        elif node.kind == "table":
            table = document.add_table(len(node.rows), len(node.rows[0]), "Table Grid")
            for cells, row in zip(table.rows, node.rows, strict=True):
                for cell, value in zip(cells.cells, row, strict=True):
                    cell.text = value
        else:
            document.add_paragraph(node.text)
    target = io.BytesIO()
    document.save(target)
    return normalised(target.getvalue())


def pptx(nodes: list[Node]) -> bytes:
    """A slide for each heading of rank 1; notes become speaker notes."""
    import pptx
    from pptx.util import Inches

    deck = pptx.Presentation()
    properties = deck.core_properties
    properties.author, properties.created, properties.modified = _AUTHOR, _WHEN, _WHEN
    properties.title = nodes[0].text
    for title, below in sections(nodes):
        has_table = any(node.kind == "table" for node in below)
        slide = deck.slides.add_slide(deck.slide_layouts[5 if has_table else 1])
        slide.shapes.title.text = title
        for node in below:
            if node.kind == "bullets":
                frame = slide.placeholders[1].text_frame
                frame.text = node.items[0]
                for item in node.items[1:]:
                    frame.add_paragraph().text = item
            elif node.kind == "table":
                shape = slide.shapes.add_table(
                    len(node.rows), len(node.rows[0]), Inches(1), Inches(2), Inches(8), Inches(3)
                )
                for r, row in enumerate(node.rows):
                    for c, value in enumerate(row):
                        shape.table.cell(r, c).text = value
            elif node.kind == "note":
                slide.notes_slide.notes_text_frame.text = node.text
    target = io.BytesIO()
    deck.save(target)
    return normalised(target.getvalue())


def xlsx(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook; strings that begin with `=` are formulas, written with no cached value."""
    import openpyxl
    from openpyxl.styles import Font

    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.creator = _AUTHOR
    book.properties.created = book.properties.modified = _WHEN
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for row in sheet.iter_rows():
            for cell in row:
                if isinstance(cell.value, date):
                    cell.number_format = "yyyy-mm-dd"
    target = io.BytesIO()
    book.save(target)
    return normalised(_fixed_times(target.getvalue()))


def _fixed_times(data: bytes) -> bytes:
    """openpyxl writes the moment of saving; put the fixed one in its place."""
    import re
    import zipfile

    from sample_writers.packages import package

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    stamp = _WHEN.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    return package(
        [
            (n, re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp, d) if "core.xml" in n else d)
            for n, d in members
        ]
    )
