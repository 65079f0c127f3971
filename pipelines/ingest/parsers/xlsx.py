"""Spreadsheets (XLSX, XLS, ODS): cells through calamine, and what stands beside them."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from pipelines.ingest.parsers.archive import Archive, preflight_zip
from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.ooxml import Package
from pipelines.ingest.parsers.sheetsides import (
    write_ods_sides,
    write_xls_sides,
    write_xlsx_sides,
)
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_MEDIA_TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xls": "application/vnd.ms-excel",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}
_MAX_CELLS = 20_000_000
"""Largest rectangle around a sheet's cells that is laid out in memory."""
_CELL = re.compile(rb'\sr="([A-Z]{1,3})(\d{1,7})"')


class SpreadsheetParser:
    """Workbooks to text and blocks: a `sheet` block each, tables between empty rows in it."""

    name = "spreadsheet"
    formats = frozenset({"xlsx", "xls", "ods"})

    @property
    def version(self) -> str:
        """Of this parser and of the libraries behind it."""
        return f"2/python-calamine-{version('python-calamine')}/lxml-{version('lxml')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a workbook. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted`, `malformed`, `limit_elements` when the cells span too large a
                rectangle, or another limit.
        """
        limits: Limits = options.get("limits") or Limits()
        build = TextBuilder(limits)
        package, archive = _check(data, format, limits)
        for number, (sheet, visible, rows, start) in enumerate(_sheets(data, format), 1):
            if not visible:
                build.warn(f"hidden sheet {sheet!r} is kept")
            build.page = number
            build.open("sheet", locator=sheet)
            _tables(build, sheet, rows, start)
            build.close()
        build.page = None
        pictures = False
        if package is not None:
            write_xlsx_sides(build, package)
            pictures = package.has_pictures()
        elif archive is not None:
            write_ods_sides(build, archive)
            pictures = archive.has_pictures()
        else:
            pictures = write_xls_sides(build, data)
        title, language = package.core() if package is not None else (None, None)
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="spreadsheet",
            media_type=_MEDIA_TYPES[format],
            title=title,
            language=language,
            empty_is_proven=not pictures and not (package and package.embedded()),
            warnings=tuple(build.warnings),
        )


def _check(data: bytes, format: str, limits: Limits) -> tuple[Package | None, Archive | None]:
    """Refuse bombs before the library lays anything out; what is opened, for what follows."""
    if format == "ods":
        archive = preflight_zip(data, limits)
        if archive.find("META-INF/manifest.xml") and b"encryption-data" in archive.read(
            "META-INF/manifest.xml"
        ):
            raise ParseError("encrypted", "the file is encrypted; save it without a password")
        return None, archive
    if format == "xls":
        return None, None
    package = Package(data, limits)
    for part in package.archive.names:
        if not part.startswith("xl/worksheets/") or not part.endswith(".xml"):
            continue
        rows = columns = 0
        source = package.archive.read(part)
        references = set(_CELL.findall(source)) if len(source) < 1 << 20 else _ends(source)
        for letters, digits in references:
            rows = max(rows, int(digits))
            columns = max(columns, _column_number(letters))
        if rows * columns > _MAX_CELLS:
            raise ParseError(
                "limit_elements",
                f"{part}: cells up to row {rows:,} and column {columns:,} span more than "
                f"{_MAX_CELLS:,} cells",
            )
    return package, None


def _ends(source: bytes) -> set[tuple[bytes, bytes]]:
    """References with the highest row and the highest column, a block at a time."""
    found: set[tuple[bytes, bytes]] = set()
    for start in range(0, len(source), 1 << 20):
        references = _CELL.findall(source, start, start + (1 << 20) + 64)
        if references:
            found.add(max(references, key=lambda reference: int(reference[1])))
            found.add(max(references, key=lambda reference: (len(reference[0]), reference[0])))
    return found


def _sheets(data: bytes, format: str) -> list[tuple[str, bool, list[list[Any]], tuple[int, int]]]:
    """Name, visibility, rows and the first row's and column's index of each sheet with cells."""
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    found = []
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for metadata in workbook.sheets_metadata:
            try:
                sheet = workbook.get_sheet_by_name(metadata.name)
            except CalamineError:
                if "Work" in str(metadata.typ):
                    raise
                continue  # a chart or macro sheet has no cells
            if sheet.start is None:
                continue
            if sheet.height * sheet.width > _MAX_CELLS:
                raise ParseError(
                    "limit_elements",
                    f"sheet {metadata.name!r} spans {sheet.height:,} rows and {sheet.width:,} "
                    f"columns, more than {_MAX_CELLS:,} cells",
                )
            rows = sheet.to_python(skip_empty_area=True)
            visible = metadata.visible == SheetVisibleEnum.Visible
            found.append((metadata.name, visible, rows, sheet.start))
    except (CalamineError, OSError, ValueError) as error:
        message = str(error)
        if "assword" in message or "ncrypt" in message:
            raise ParseError("encrypted", f"the workbook is protected: {message}") from error
        if format == "xls" and "detect file format" in message:
            raise ParseError(
                "unsupported", "no workbook of Excel 5 or later; save it as XLSX"
            ) from error
        raise ParseError("malformed", f"not a readable workbook: {message}") from error
    return found


def _tables(
    build: TextBuilder, sheet: str, rows: Sequence[Sequence[Any]], start: tuple[int, int]
) -> None:
    """Add the rows, as a table per run of rows that are not empty."""
    first_row, first_column = start
    pending: list[tuple[int, list[str], bool]] = []
    for index, row in enumerate([*rows, []]):
        cells = [_spell(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            words = all(isinstance(value, str) and value.strip() for value in row[: len(cells)])
            pending.append((first_row + index + 1, cells, words))
            continue
        if len(pending) == 1 and sum(map(bool, pending[0][1])) == 1:
            build.leaf(
                "paragraph", "".join(pending[0][1]), locator=_reference(sheet, first_column,
                                                                        pending[0])
            )  # fmt: skip
        elif pending:
            build.open("table")
            if len(pending) > 1 and sum(map(bool, pending[0][1])) == 1 < len(pending[1][1]):
                title = pending.pop(0)
                reference = _reference(sheet, first_column, title)
                build.leaf("caption", "".join(title[1]), "\n", locator=reference)
            headed = len(pending) > 1 and pending[0][2] and len(pending[0][1]) > 1
            for entry in pending:
                header = headed and entry is pending[0]
                build.row(entry[1], header=header, locator=_reference(sheet, first_column, entry))
            build.close()
        pending.clear()


def _reference(sheet: str, first_column: int, entry: tuple[int, list[str], bool]) -> str:
    number, cells, _ = entry
    left = _column_name(first_column)
    right = _column_name(first_column + len(cells) - 1)
    return f"{sheet}!{left}{number}:{right}{number}"


def _spell(value: Any) -> str:
    """A cell's value as text; numbers without a needless fraction, dates in ISO form."""
    if isinstance(value, str):
        return squeeze(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        # Fifteen digits are what these programs keep.
        text = format(value, ".15g")
        whole = "e" in text and abs(value) < 1e21 and value.is_integer()
        return str(int(Decimal(text))) if whole else text
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return "" if value is None else str(value)


def _column_name(index: int) -> str:
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
